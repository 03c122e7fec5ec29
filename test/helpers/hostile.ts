import fc from 'fast-check';

/** Pieces that mean something to a shell, a batch system, a template or a server's command line. */
const pieces = [
  ...['"', "'", '\\', '`', '$', '$(', ')', '${', '}', '((', '&', ';', '|', '<<E', '>', '*', '?'],
  ...[' ', '  ', '-', '--', '=', ',', ':', '/', '..', '#', '!', '%', '%j', '[', ']', '{', '(null)'],
  ...['{{cmd}}', '{{{prologue}}}', '{{/cmd}}', '{port}', '{{', '}}', '$(touch x)', '`id`', '$HOME'],
  ...['#SBATCH', '#PBS', '#$', '#BSUB', '#FLUX:', 'flux:', '#OAR', '#MY', '$(X)', '$$(Y)', '$ENV('],
  ...[
    '#!/bin/sh',
    'hetjob',
    'packjob',
    '--wrap=id',
    'exit 0',
    'END_OF_PROGRAM',
    '()',
    '~',
    '+',
    '@',
  ],
  ...['a', 'B', '7', '_', 'é', '😀', '\u00a0', '\u2003', '\u202e', '\ufeff', '"""'],
];

/** Pieces that no line of a script can hold. */
const breaks = [
  ...['\n', '\r', '\r\n', '\t', '\v', '\f', '\u0085', '\u2028', '\n#SBATCH --uid=0\n'],
  ...['\n #PBS -W x=y\n', '\n#$ -P x\n', '\n#BSUB -R x\n', '\n// flux: --x\n', '\n#OAR -t x\n'],
  ...['\nqueue 9\n', '\n+X = 1\n', '\n#MY x\n'],
];

function textOf(units: readonly string[]): fc.Arbitrary<string> {
  const unit = fc.constantFrom(...units);
  return fc.oneof(
    {
      weight: 200,
      arbitrary: fc.array(unit, { maxLength: 12, size: 'max' }).map((texts) => texts.join('')),
    },
    { weight: 1, arbitrary: unit.map((text) => text.repeat(10_000 / text.length)) },
  );
}

/** Texts without line breaks and control characters; among them '' and some of 10,000 characters. */
export const oneLine: fc.Arbitrary<string> = textOf(pieces);

/** Texts with line breaks, and any of Unicode, but without NUL and halves of characters. */
export const manyLines: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: textOf([...pieces, ...breaks]) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.integer({ min: 1, max: 0x10f7ff }), { size: '-1' })
      .map((codes) => codes.map((code) => (code < 0xd800 ? code : code + 0x800)))
      .map((codes) => String.fromCodePoint(...codes)),
  },
);

/**
 * Texts of one line that are not empty, do not begin with `-`, and are not too long for a line that
 * is not a shell's.
 *
 * @param refused what is left out of them
 */
export function plainText(refused: RegExp): fc.Arbitrary<string> {
  return oneLine.map((text) => {
    const rest = text.replace(refused, '').replace(/^-+/, '');
    return rest === '' ? 'x' : [...rest].slice(0, 250).join('');
  });
}

/** Texts with NUL, or that are none. */
export const impossible: fc.Arbitrary<unknown> = fc.oneof(
  manyLines.map((text) => `${text}\0`),
  fc.constantFrom(null, 7, true, [], {}, ''),
);
