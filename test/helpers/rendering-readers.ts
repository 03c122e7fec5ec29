/**
 * What batch systems read in a submission: second implementations of their rules, for tests. That of
 * Slurm is in `sbatch-reader.ts`.
 */
import { wordsOf } from './sbatch-reader.ts';

/** The longest piece of a line, in bytes, that Torque's qsub reads at once. */
const torquePiece = 4094;

/**
 * The options on `#PBS` lines, before which there may be blanks, up to the first line that is a
 * command. Torque reads lines in pieces, PBS joins those that end with a backslash: what either finds
 * has to be the same.
 */
export function qsubOptionsIn(script: string): readonly string[] {
  const lines = script.replaceAll('\\\n', '').split('\n');
  const head = lines.slice(0, lines.findIndex(isCommand));
  const pieces = head.flatMap((line) => {
    const bytes = Buffer.from(line);
    const starts = Array.from({ length: Math.ceil(bytes.length / torquePiece) }, (_, i) => i);
    return starts.map((i) => bytes.subarray(i * torquePiece, (i + 1) * torquePiece).toString());
  });
  return pieces.flatMap((line) => {
    const [, options] = /^\s*#PBS(.*)$/s.exec(line) ?? [];
    return options === undefined ? [] : wordsOf(options);
  });
}

/** Neither empty nor a comment; a `:` at the beginning is one as well. */
function isCommand(line: string): boolean {
  return /^\s*[^\s#:]/.test(line);
}

/** The options on all lines that begin with a prefix: Grid Engine's `#$`, LSF's `#BSUB`. */
export function optionsOnEachLine(script: string, prefix: string): readonly string[] {
  return script
    .split('\n')
    .flatMap((line) => (line.startsWith(prefix) ? wordsOf(line.slice(prefix.length)) : []));
}

/**
 * The options that flux-batch(1) finds (RFC 36). It reads a script as Python reads text, in which a
 * CR is a line break as well.
 *
 * @throws where it would refuse the script
 */
export function fluxOptionsIn(script: string): readonly string[] {
  const options: string[] = [];
  let prefix: string | undefined;
  let isOver = false;
  for (const line of script.split(/\r\n|\r|\n/)) {
    const [, before, rest = ''] = /^([^\p{L}\p{N}_]*)(?:flux|FLUX):(.*)$/u.exec(line) ?? [];
    if (before === undefined) {
      isOver ||= prefix !== undefined && !line.startsWith(prefix) && line.trim() !== '';
      continue;
    }
    if (isOver || (prefix ?? before) !== before) {
      throw new Error(`flux-batch refuses a script with this line: ${line}`);
    }
    prefix = before;
    if (/[();<>|&]/.test(rest.replace(/"[^"]*"|'[^']*'|#.*$/g, ''))) {
      throw new Error(`flux-batch parts words at operators: ${line}`);
    }
    options.push(...wordsOf(rest));
  }
  return options;
}

/**
 * The environment that flux-batch(1) gives to a job, by the rules in its arguments.
 *
 * @param env its own
 */
export function fluxEnvironment(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  let made: Record<string, string> = { ...env };
  for (const word of argv) {
    const [, remove, rule] = /^--env(-remove)?=(.*)$/s.exec(word) ?? [];
    if (remove !== undefined) {
      if (rule !== '*') {
        throw new Error(`This rule is not known here: ${rule}`);
      }
      made = {};
    } else if (rule?.startsWith('/')) {
      const pattern = new RegExp(rule.replace(/^\/|\/+$/g, ''), 'y');
      const found = Object.entries(env).filter(([name]) => name.search(pattern) === 0);
      made = { ...Object.fromEntries(found), ...made };
    } else if (rule !== undefined) {
      const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(rule) ?? [];
      if (name === '' || value.includes('$')) {
        throw new Error(`flux-batch changes what this rule says: ${rule}`);
      }
      made[name] = value;
    }
  }
  return made;
}

/** The commands `name = value` of a submit description; all of `+Name = value` but the plus is name. */
export type SubmitDescription = readonly (readonly [name: string, value: string])[];

/** @throws for macros, for lines that are no command, and for more than one `queue` */
export function submitDescriptionIn(text: string): SubmitDescription {
  const lines = text
    .replace(/\\\n/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.pop() !== 'queue 1') {
    throw new Error('A description has to end with one queue command.');
  }
  return lines.map((line) => {
    const [, name, value] = /^([+A-Za-z][\w.]*)\s*=\s*(.*)$/s.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new Error(`This is no command of a submit description: ${line}`);
    }
    if (/\$\$?[A-Za-z]*[([]/.test(value)) {
      throw new Error(`HTCondor takes this for a macro: ${value}`);
    }
    return [name, value];
  });
}

/**
 * The arguments in HTCondor's new syntax: the whole in double quotes, of which two are one, and in
 * it blanks between the words, and single quotes around blanks, of which two are one as well.
 *
 * @throws where it is not that
 */
export function condorArguments(value: string): readonly string[] {
  const [, inner] = /^"((?:[^"]|"")*)"$/s.exec(value) ?? [];
  if (inner === undefined) {
    throw new Error(`These are no arguments in the new syntax: ${value}`);
  }
  const text = inner.replaceAll('""', '"');
  const words: string[] = [];
  let isInWord = false;
  let end = 0;
  for (const { 0: all, 1: quoted, 2: plain, index } of text.matchAll(
    /'((?:[^']|'')*)'|([^\s']+)|\s+/g,
  )) {
    const part = quoted?.replaceAll("''", "'") ?? plain;
    if (index !== end) {
      throw new Error(`A quote is open: ${value}`);
    }
    if (part !== undefined) {
      words.push(isInWord ? `${words.pop()}${part}` : part);
    }
    isInWord = part !== undefined;
    end = index + all.length;
  }
  if (end !== text.length) {
    throw new Error(`A quote is open: ${value}`);
  }
  return words;
}

/** What `printf %b` makes of a text (POSIX). */
export function printed(text: string): string {
  const bytes: Buffer[] = [];
  for (const [, octal, short, plain = ''] of text.matchAll(/\\0([0-7]{1,3})|\\(.)|([^\\]+)/gs)) {
    if (octal !== undefined) {
      bytes.push(Buffer.from([Number.parseInt(octal, 8)]));
    } else if (short === 'n') {
      bytes.push(Buffer.from('\n'));
    } else if (short !== undefined) {
      throw new Error(`This escape is not known here: \\${short}`);
    } else {
      bytes.push(Buffer.from(plain));
    }
  }
  return Buffer.concat(bytes).toString();
}

/** The lines of a script that some batch system could take for its own, though not at its head. */
export function strayDirectivesIn(script: string, own: RegExp): readonly string[] {
  const lines = script.split('\n');
  const first = lines.findIndex((line) => /^\s*[^\s#]/.test(line));
  return lines.filter(
    (line, index) =>
      (/^\s*#(?:SBATCH|PBS|MSUB|\$|BSUB|OAR|MY)/.test(line) || /^\W*(?:flux|FLUX):/.test(line)) &&
      (index > first || !own.test(line)),
  );
}
