import type { CommandRunner, RunOptions } from './runner.ts';

/** In bytes: how much of a log an error shows. */
const length = 4096;

/**
 * The end of what a server wrote, without its secret.
 *
 * @param prefix the words of a command that runs `tail` as another account
 * @param lines how many; default: what an error shows
 * @returns undefined where it can't be read
 */
export async function endOfLog(
  runner: CommandRunner,
  prefix: readonly string[],
  file: string,
  secret: string | undefined,
  options: RunOptions,
  lines?: number,
): Promise<string | undefined> {
  try {
    const part = lines === undefined ? ['-c', String(length)] : ['-n', String(lines)];
    const argv = [...prefix, 'tail', ...part, '--', file];
    const { stdout, exitCode } = await runner.run(argv, options);
    // The first character may have been cut.
    return exitCode === 0 ? withoutSecret(stdout.replace(/^\uFFFD+/, ''), secret) : undefined;
  } catch {
    return undefined;
  }
}

/** A text without a secret, also where the beginning of the text may be the end of one. */
export function withoutSecret(text: string, secret = ''): string {
  for (let length = secret.length; length > 3; length -= 1) {
    if (text.startsWith(secret.slice(-length))) {
      return withoutSecret(text.slice(length), secret);
    }
  }
  return secret === '' ? text : text.replaceAll(secret, '[token]');
}
