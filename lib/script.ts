import { commentText, directiveLine, directiveValue, shellWord } from './quote.ts';
import type { ShellPlace } from './shell.ts';

/** A value that can be written into a script. */
export type ScriptValue = string | number | boolean | readonly string[];

/** What differs between the job scripts of the schedulers. */
export interface ScriptRules {
  /** Matches the beginning of a directive line, as in `/^#SBATCH\b/`. */
  readonly directive: RegExp;
  /**
   * Writes a text as one word, or as a part of one, on a directive line: `sbatchWord`, or
   * `directiveValue` where the scheduler's quotes are not known. It gives back the same text only if
   * that could stand between quotes as well. Throws a RangeError, whose message is a clause such as
   * `holds a line break`, where it can't write the text.
   */
  readonly directiveWord: (text: string) => string;
  /**
   * The names of values that are script text or directives and come from the administrator. Only
   * these may stand in `{{{name}}}` or `{{&name}}`.
   */
  readonly raw: ReadonlySet<string>;
}

/**
 * Writes a value in its place.
 *
 * @param line What stands before it on its line of the script.
 * @throws {RangeError} where it can't stand there; the message is a clause, as in `quote.ts`.
 */
export function placeValue(
  value: ScriptValue,
  place: ShellPlace,
  line: string,
  rules: ScriptRules,
): string {
  const hashLine = /^\s*#/.test(line);
  switch (place) {
    case 'comment':
      return hashLine ? placeOnHashLine(value, line, rules) : commentText(listed(value));
    case 'word':
    case 'inside a word':
      if (hashLine) {
        throw new RangeError('stands on a line that begins with # but is no comment');
      }
      if (typeof value !== 'object') {
        return shellWord(String(value));
      }
      if (place === 'inside a word') {
        throw new RangeError('is a list, which must not be joined to the text before it');
      }
      return value.map(shellWord).join(' ');
    case 'double quotes':
    case 'single quotes':
      throw new RangeError(`stands in ${place}, but brings its own: end those before it`);
    case 'a word after $, ~ or a backslash':
      throw new RangeError('stands right after a $, ~ or backslash, which would change it');
    default: {
      const where = place === 'unknown' ? 'after shell syntax that can be misread' : `in ${place}`;
      const instead = 'assign it to a variable on a line before, and use that here';
      throw new RangeError(`stands ${where}, where it can't be quoted: ${instead}`);
    }
  }
}

/** Whether a directive line is outside of quotes at its end, and does not end in a backslash. */
const unquoted = /^(?:[^"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*$/su;

function placeOnHashLine(value: ScriptValue, line: string, rules: ScriptRules): string {
  const text = listed(value);
  const isDirective = line.search(rules.directive) !== -1;
  if (!isDirective && /^\s*#(?:#*\s|!)/.test(line)) {
    return commentText(text);
  }
  if (!/^\s*#\S*\s/.test(line)) {
    throw new RangeError('stands right after #, where it could make a directive: leave a blank');
  }
  const inQuotes = !unquoted.test(line);
  if (typeof value !== 'number' && text.startsWith('-') && /\s$/.test(line) && !inQuotes) {
    throw new RangeError('begins with -, which would make it another option');
  }
  const word = isDirective ? rules.directiveWord(text) : directiveValue(text);
  if (inQuotes && word !== text) {
    throw new RangeError('stands in quotes, but needs its own: write it without them');
  }
  return word;
}

/**
 * Puts in script text of the administrator's, which must not have several lines after a `#`: the rest
 * would be commands. (A `#` in quotes counts as well.)
 *
 * @param line What stands before it on its line of the script.
 * @throws {RangeError} for line breaks after a `#`.
 */
export function placeRaw(text: string, line: string): string {
  return /(?:^|\s)#/.test(line) ? directiveLine(text) : text;
}

/** A list with commas between its texts, everything else as text. */
export function listed(value: ScriptValue): string {
  return typeof value === 'object' ? value.join(',') : String(value);
}
