import { CommandError, ParseError } from '../errors.ts';
import type { CommandResult } from '../runners/runner.ts';
import type { Scheduler, SchedulerPatterns } from './scheduler.ts';

/** The most of what a command wrote to standard error that an error keeps. */
const longestTail = 1000;

/**
 * Why the result of a command is no usable answer; undefined where it is one.
 *
 * @param outage on standard error: it failed although its exit code may be 0
 */
export function failureOf(
  program: string,
  { exitCode, signal, stderr, timedOut, truncated }: CommandResult,
  outage: RegExp,
): string | undefined {
  const said = stderr.trim() === '' ? '' : `: ${tail(stderr)}`;
  if (timedOut) {
    return `${program} did not end in time${said}`;
  }
  if (signal !== null) {
    return `${program} was ended by ${signal}${said}`;
  }
  if (exitCode !== 0) {
    return `${program} failed with exit code ${exitCode}${said}`;
  }
  if (truncated === true) {
    return `${program} printed more than its runner keeps`;
  }
  return outage.test(stderr) ? `${program} failed with exit code 0${said}` : undefined;
}

/** Whether the command was not let come to its end, or not all that it printed is there. */
export function isCut({ timedOut, signal, truncated }: CommandResult): boolean {
  return timedOut || signal !== null || truncated === true;
}

/** What was read; undefined where it could not be. */
export function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParseError) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Whether a command about one job, which failed, says that there is no such job. What was cut off
 * says nothing, nor does one that speaks of another job, or of an outage on a line of its own.
 *
 * @param jobId the job that it was about
 */
export function saysNotFound(
  result: CommandResult,
  { notFound, outage }: Pick<SchedulerPatterns, 'notFound' | 'outage'>,
  jobId?: string,
): boolean {
  if (isCut(result)) {
    return false;
  }
  const { stdout, stderr } = result;
  // Slurm says `error:` in either case, and Flux reports an unknown job as if it were no failure.
  const lines = linesWith(notFound, stderr);
  const rest = lines.reduce((text, { line }) => text.replace(line, ''), stderr);
  if (outage.test(rest)) {
    return false;
  }
  // Grid Engine says so on standard output.
  return [...lines, ...linesWith(notFound, stdout)].some(
    (found) => jobId === undefined || !isAboutAnother(found, jobId),
  );
}

/** A whole line, or several, with a match in it. */
interface MatchedLine {
  readonly line: string;
  readonly before: string;
  readonly match: string;
  readonly after: string;
}

function linesWith(pattern: RegExp, text: string): readonly MatchedLine[] {
  const matches = text.matchAll(new RegExp(pattern, `${pattern.flags}g`));
  return Array.from(matches, ({ 0: match, index }) => {
    const before = text.slice(text.slice(0, index).lastIndexOf('\n') + 1, index);
    const [after = ''] = text.slice(index + match.length).split('\n', 1);
    return { line: `${before}${match}${after}`, before, match, after };
  });
}

/** How many words before and after a match may be the id, as in `Unknown Job Id Error 7.node01`. */
const nearWords = 2;

/** A line without any id may be about our job, as Slurm's is, or one with a number further away. */
function isAboutAnother({ line, before, match, after }: MatchedLine, jobId: string): boolean {
  // It may have the number of the job without its server, or with the server's full name.
  const isOurs = (word: string) =>
    `${word}.`.startsWith(`${jobId}.`) || (/\d/.test(word) && jobId.startsWith(`${word}.`));
  if (wordsOf(line).some(isOurs)) {
    return false;
  }
  const [letters = ''] = /^\D*/.exec(jobId) ?? [];
  const isId = (word: string) =>
    letters === ''
      ? /^\d+(?:\[\d*\])?(?:\.[\w.-]+)?$/.test(word)
      : word.startsWith(letters) && /\d/.test(word);
  const near = [
    ...wordsOf(before).slice(-nearWords),
    ...wordsOf(match),
    ...wordsOf(after).slice(0, nearWords),
  ];
  return near.some(isId);
}

/** The longest word that may be an id. */
const longestWord = 300;

/** Without the signs around them, and without `@server`. */
function wordsOf(text: string): readonly string[] {
  return text
    .split(/\s+/)
    .filter((word) => word.length <= longestWord)
    .map((word) => word.replace(/^\W+|@.*$|[^\w\]]+$/g, ''))
    .filter((word) => word !== '');
}

/** Whether a list of all jobs, which failed, says that there are none. */
export function saysNothingListed(
  argv: readonly string[],
  result: CommandResult,
  { patterns, listsNothing }: Pick<Scheduler, 'patterns' | 'listsNothing'>,
): boolean {
  return (
    !isCut(result) && !patterns.outage.test(result.stderr) && listsNothing?.(argv, result) === true
  );
}

/** The error for a command that failed. */
export function commandError(
  message: string,
  program: string,
  { exitCode, signal, stderr, timedOut }: CommandResult,
  retryable = false,
): CommandError {
  return new CommandError(message, {
    command: program,
    exitCode,
    signal,
    stderr: tail(stderr),
    timedOut,
    retryable,
  });
}

function tail(text: string): string {
  const trimmed = text.trim();
  return trimmed.length > longestTail ? `…${trimmed.slice(-longestTail)}` : trimmed;
}
