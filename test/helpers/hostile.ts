import fc from 'fast-check';

/** Pieces that mean something to a shell, to sbatch, to a template or to a server's command line. */
const pieces = [
  ...[
    '"',
    "'",
    '\\',
    '`',
    '$',
    '$(',
    ')',
    '${',
    '}',
    '((',
    '&',
    ';',
    '|',
    '<<E',
    '>',
    '*',
    '?',
    '~',
  ],
  ...[' ', '  ', '-', '--', '=', ',', ':', '/', '..', '#', '!', '%', '%j', '[', ']', '{', '(null)'],
  ...['{{cmd}}', '{{{prologue}}}', '{{/cmd}}', '{port}', '{{', '}}', '$(touch x)', '`id`', '$HOME'],
  ...['#SBATCH', '#!/bin/sh', 'hetjob', 'packjob', '--wrap=id', 'exit 0', 'END_OF_PROGRAM', '()'],
  ...['a', 'B', '7', '_', 'é', '😀', '\u00a0', '\u2003', '\u202e', '\ufeff'],
];

/** Pieces that no line of a script can hold. */
const breaks = ['\n', '\r', '\r\n', '\t', '\v', '\f', '\u0085', '\u2028', '\n#SBATCH --uid=0\n'];

function textOf(units: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 20, arbitrary: fc.string({ unit: fc.constantFrom(...units), maxLength: 12 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...units).map((unit) => unit.repeat(10_000 / unit.length)),
    },
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
      .string({ unit: 'binary' })
      .map((text) => Buffer.from(text).toString().replaceAll('\0', '')),
  },
);

/** Texts with NUL, or that are none. */
export const impossible: fc.Arbitrary<unknown> = fc.oneof(
  manyLines.map((text) => `${text}\0`),
  fc.constantFrom(null, 7, true, [], {}, ''),
);
