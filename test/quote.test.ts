import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';
import { commentText, directiveLine, directiveValue, sbatchWord, shellWord } from '../lib/quote.ts';

/** Texts made of what has a meaning to a shell or a scheduler, and of any Unicode. */
const hostile = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      ...[
        '"',
        "'",
        '\\',
        '#',
        ' ',
        '\t',
        '\n',
        '\r\n',
        '\r',
        '$',
        '`',
        '$(',
        ')',
        '{{x}}',
        '~',
        '=',
      ],
      ...[
        'a',
        '-',
        '!',
        '*',
        '\n#SBATCH ',
        '\n#$ ',
        '\n #PBS ',
        '\n#BSUB ',
        'hetjob',
        'é',
        '😀',
        '\v',
      ],
    ),
    maxLength: 20,
  }),
  fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
);

const argvPrinter = 'console.log(JSON.stringify(process.argv.slice(1)))';

/** The arguments that a shell reads from a command line. */
function argvBy(shell: string, words: readonly string[]): unknown {
  const script = `exec "$NODE" -e '${argvPrinter}' -- ${words.join(' ')}\n`;
  const env = { NODE: process.execPath, LC_ALL: 'C.UTF-8' };
  return JSON.parse(execFileSync(shell, ['-s'], { input: script, env, encoding: 'utf8' }));
}

describe('shellWord', () => {
  const plain = [
    'a',
    '/home/alice',
    '--port=8888',
    'user@host',
    'a.b-c_d',
    'a,b',
    '50%',
    '-v',
    '1.5',
  ];
  for (const text of plain) {
    it(`leaves ${text} as it is`, () => {
      expect(shellWord(text)).to.equal(text);
    });
  }

  const quoted = [
    '',
    'a b',
    '~',
    '~root',
    '$HOME',
    'a*',
    'if',
    'done',
    'time',
    'FOO=1',
    'FOO+=1',
    '=x',
  ];
  for (const text of [...quoted, '8888', 'a;b', '{a,b}', '!', '#', 'é', 'a\tb']) {
    it(`quotes ${JSON.stringify(text)}`, () => {
      expect(shellWord(text)).to.equal(`'${text}'`);
    });
  }

  it('writes a quote outside of the quotes', () => {
    expect(shellWord("it's")).to.equal(`'it'\\''s'`);
  });

  it('refuses NUL', () => {
    expect(() => shellWord('a\0b')).to.throw(RangeError, 'NUL');
  });

  for (const shell of ['sh', 'bash']) {
    it(`is read by ${shell} as the text that it was made from`, () => {
      const texts = fc.sample(hostile, { numRuns: 300, seed: 1 });
      texts.push("'\n".repeat(5000), 'x'.repeat(10_000), '\r\n', '\n', '\n\n#SBATCH --mem=1');
      expect(argvBy(shell, texts.map(shellWord))).to.deep.equal(texts);
    });
  }

  it('has no line that could be a directive, and no CR before LF', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const [, ...continued] = shellWord(text).split('\n');
        expect(continued.filter((line) => /^\s*#/.test(line))).to.deep.equal([]);
        expect(shellWord(text)).not.to.include('\r\n');
      }),
    );
  });

  it('leaves all other lines as they are, for people to read', () => {
    expect(shellWord('if a; then\n  b # c\n\nfi\n')).to.equal("'if a; then\n  b # c\n\nfi\n'");
    expect(shellWord('a\n#PBS\n\t #$ b\nc')).to.equal("'a\n''#PBS\n''\t #$ b\nc'");
  });
});

/** The words that sbatch reads from a line, by its rules (see the comment of `sbatchWord`). */
function readBySbatch(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    let char = line.charAt(i);
    if (char === '\\') {
      char = line.charAt(++i);
    } else if (quote !== '' || char === '"' || char === "'") {
      if (quote === '' || char === quote) {
        quote = quote === '' ? char : '';
        continue;
      }
    } else if (char === '#') {
      break;
    } else if (/\s/.test(char)) {
      if (word !== undefined) {
        words.push(word);
      }
      word = undefined;
      continue;
    }
    word = (word ?? '') + char;
  }
  expect(quote, 'open quote').to.equal('');
  return word === undefined ? words : [...words, word];
}

describe('sbatchWord', () => {
  it('leaves a text as it is that needs no quotes', () => {
    for (const text of [
      '4G',
      'node[01-04]',
      'gpu:a100:2',
      '1-00:00:00',
      '$HOME',
      '~',
      'a=b',
      'é',
    ]) {
      expect(sbatchWord(text)).to.equal(text);
    }
  });

  it('quotes blanks, quotes, backslashes and #', () => {
    expect(sbatchWord('a b')).to.equal('"a b"');
    expect(sbatchWord('#1')).to.equal('"#1"');
    expect(sbatchWord('say "it\'s"')).to.equal(String.raw`"say \"it's\""`);
    expect(sbatchWord('a\\b')).to.equal(String.raw`"a\\b"`);
  });

  it('writes nothing for an empty text, since sbatch reads no further than ""', () => {
    expect(`--comment=${sbatchWord('')} --mem=4G`).to.equal('--comment= --mem=4G');
  });

  it('hides the words that begin another part of a heterogeneous job', () => {
    expect(sbatchWord('my-hetjob')).to.equal('"my-het""job"');
    expect(readBySbatch(sbatchWord('PackJob hetjob'))).to.deep.equal(['PackJob hetjob']);
  });

  it('is read by sbatch as the text that it was made from, and as one word', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        fc.pre(!/[\p{Cc}\u2028\u2029]/u.test(text));
        const line = ` --comment=${sbatchWord(text)} --mem=4G`;
        expect(readBySbatch(line)).to.deep.equal([`--comment=${text}`, '--mem=4G']);
      }),
    );
  });
});

describe('what stands on a directive or comment line', () => {
  const escapers = { sbatchWord, directiveValue, commentText, directiveLine };
  for (const [name, write] of Object.entries(escapers)) {
    for (const char of ['\n', '\r', '\v', '\f', '\u0085', '\u2028', '\u2029']) {
      it(`has no ${JSON.stringify(char)} (${name})`, () => {
        expect(() => write(`a${char}b`)).to.throw(RangeError, 'line break');
      });
    }

    it(`has no NUL or other control character (${name})`, () => {
      expect(() => write('a\0b')).to.throw(RangeError, 'NUL');
      expect(() => write('a\x1bb')).to.throw(RangeError, 'control character');
    });
  }

  it('is one word, and without what could need quotes', () => {
    expect(directiveValue('select=1:ncpus=4')).to.equal('select=1:ncpus=4');
    expect(() => directiveValue('a b')).to.throw(RangeError, 'holds a blank');
    for (const char of ['"', "'", '\\', '#']) {
      expect(() => directiveValue(`a${char}b`)).to.throw(RangeError, `holds ${char}`);
    }
  });

  it('is several words where an administrator wrote the line', () => {
    expect(directiveLine('-l "a b"\t-q x # y')).to.equal('-l "a b"\t-q x # y');
  });

  it('is so short that no scheduler cuts its line', () => {
    expect(directiveValue('é'.repeat(512))).to.have.length(512);
    expect(() => directiveValue('é'.repeat(513))).to.throw(RangeError, '1024 bytes');
    expect(() => commentText('x'.repeat(1025))).to.throw(RangeError, '1024 bytes');
    expect(sbatchWord('x'.repeat(10_000))).to.have.length(10_000);
    expect(directiveLine('x'.repeat(10_000))).to.have.length(10_000);
  });
});
