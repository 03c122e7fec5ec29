/**
 * Escapers: each writes one text for one place in a job script, and throws a RangeError where the
 * text can't stand there. Its message is a clause without a subject (`holds a NUL character`), for
 * the caller to say whose value it is.
 */

/**
 * Words that a shell takes for syntax where a command may stand: those of POSIX (2.4), and what
 * bash and ksh add.
 */
const reservedWords = new Set(
  'case coproc do done elif else esac fi for function if in select then time until while'.split(
    ' ',
  ),
);

/** What needs no quotes in any place of a word, nor before an operator such as `>`. */
function isPlainWord(text: string): boolean {
  return (
    /^[\w@%+:,./-][\w@%+=:,./-]*$/.test(text) &&
    !/^[A-Za-z_]\w*\+?=/.test(text) && // else FOO=1 were an assignment
    !/^\d+$/.test(text) && // else the 2 of `2>file` were a file descriptor
    !/^\W*(?:flux|FLUX):/.test(text) && // else it were a directive of Flux
    !reservedWords.has(text)
  );
}

/**
 * One word of a POSIX shell (2.2.2, Single-Quotes): a plain word as it is, everything else in single
 * quotes, `'` as `'\''`.
 *
 * No line of the text may be taken for a directive: Grid Engine takes every line of a script that
 * begins with `#$` for one, and sbatch those that begin with `#BSUB` or `#PBS`, even inside of quotes;
 * PBS allows blanks before `#PBS`. So `''` is put in front of a line that begins with `#`, or with
 * blanks and `#`. Flux refuses a script in which a line further down begins with `flux:`, or with
 * any signs and `flux:` (RFC 36): there `''` stands before the colon.
 *
 * A CR is written as a command that prints one: sbatch refuses a script with CR LF in it, Torque's
 * qsub drops the CR, and Flux makes a line break of it. All else stays as it is, for people who read
 * the script.
 *
 * @throws {RangeError} for NUL, which neither a script nor an argument can hold.
 */
export function shellWord(text: string): string {
  refuseNul(text);
  if (isPlainWord(text)) {
    return text;
  }
  const quoted = text
    .replaceAll("'", "'\\''")
    .replace(/(^|\n)([^\w\n]*(?:flux|FLUX))(?=:)/g, "$1$2''")
    .replace(/\n(?=[^\S\n]*#)/g, "\n''")
    .replace(/\r+/g, (returns) => `'"$(printf '${returns.replaceAll('\r', '\\r')}')"'`);
  return `'${quoted}'`;
}

/**
 * One word, or a part of one, on an `#SBATCH` line. sbatch reads these lines itself: blanks part the
 * words, `"` and `'` quote, a backslash takes the next character literally in and out of quotes,
 * and `#` begins a comment. So where one of those occurs, the text stands in double quotes with a
 * backslash before `"` and `\`. An empty text stays empty: to sbatch a word `""` is the end of the
 * line, all the options after it are lost.
 *
 * Releases up to 19.05 take every line with `packjob` in it for the border between two parts of a
 * heterogeneous job, later ones `hetjob`; an empty pair of quotes hides the words from them.
 *
 * @throws {RangeError} for line breaks and other control characters.
 */
export function sbatchWord(text: string): string {
  refuseControls(text);
  if (!/[\s"'\\#]|(?:het|pack)job/i.test(text)) {
    return text;
  }
  const escaped = text.replace(/["\\]/g, '\\$&').replace(/(?<=het|pack)(?=job)/gi, '""');
  return `"${escaped}"`;
}

/**
 * A text as one line that `printf %b` turns into it again (POSIX): ASCII without quotes, backquotes,
 * `$` and `!`, and no two backslashes in a row, so that it can stand between quotes in most languages;
 * in single quotes csh acts on `!`, and fish on backslashes. For batch systems that take no script.
 *
 * @throws {RangeError} for NUL.
 */
export function printfText(text: string): string {
  refuseNul(text);
  return text.replace(/[^ #%&(-[\]-_a-~]+/g, (rest) =>
    Array.from(Buffer.from(rest), (byte) => printfBytes[byte]).join(''),
  );
}

/** As in `\0303`. */
const printfBytes: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte === 10 ? '\\n' : `\\0${byte.toString(8).padStart(3, '0')}`,
);

/**
 * The most bytes of one value on a line that is not a shell's. Torque's qsub reads pieces of 4094
 * bytes, and takes a piece that begins with `#PBS` for a directive; Grid Engine documents 2048 bytes
 * as the longest line of options.
 */
const longestValue = 1024;

/**
 * One word, or a part of one, on a directive line whose quotes we do not know, as it is.
 *
 * @throws {RangeError} for what would part it or begin a comment: blanks, quotes, backslashes, `#`,
 * line breaks and other control characters; and for more than 1024 bytes.
 */
export function directiveValue(text: string): string {
  refuseControls(text);
  refuseLong(text);
  const special = /[\s"'\\#]/.exec(text)?.[0];
  if (special !== undefined) {
    const what = special.trim() === '' ? 'a blank' : special;
    throw new RangeError(`holds ${what}, which can't be quoted on a directive line`);
  }
  return text;
}

/**
 * What stands in a comment, as it is.
 *
 * @throws {RangeError} for line breaks and other control characters except tabs; and for more than
 * 1024 bytes.
 */
export function commentText(text: string): string {
  refuseLong(text);
  return directiveLine(text);
}

/**
 * The rest of a directive line that an administrator wrote, as in `--gres=gpu:1 --exclusive`: as it
 * is, since it holds several words with their quotes.
 *
 * @throws {RangeError} for line breaks and other control characters except tabs.
 */
export function directiveLine(text: string): string {
  refuseControls(text.replaceAll('\t', ' '));
  return text;
}

/** @throws {RangeError} for NUL. */
export function refuseNul(text: string): void {
  if (text.includes('\0')) {
    throw new RangeError('holds a NUL character');
  }
}

/** `\n` alone ends a line for schedulers; filters written in other languages know the others too. */
function refuseControls(text: string): void {
  refuseNul(text);
  if (/[\n\r\v\f\u0085\u2028\u2029]/.test(text)) {
    throw new RangeError('holds a line break, which would begin a new line of the script');
  }
  if (/\p{Cc}/u.test(text)) {
    throw new RangeError('holds a control character');
  }
}

function refuseLong(text: string): void {
  if (Buffer.byteLength(text) > longestValue) {
    throw new RangeError(`is longer than ${longestValue} bytes`);
  }
}
