import { CommandError } from '../errors.ts';
import type { CommandResult } from '../runners/runner.ts';
import type { SchedulerPatterns } from './scheduler.ts';

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

/** Whether a command about one job, which failed, says that there is no such job. */
export function saysNotFound(
  { stdout, stderr }: CommandResult,
  { notFound }: Pick<SchedulerPatterns, 'notFound'>,
): boolean {
  // Grid Engine says so on standard output.
  return notFound.test(stderr) || notFound.test(stdout);
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
