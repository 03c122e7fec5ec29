import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { CommandError, codeOf } from '../errors.ts';
import type { RunOptions } from './runner.ts';

/** The name of the account that this process runs as, or its number if it has no name. */
export function account(): string {
  try {
    return userInfo().username;
  } catch {
    return `${process.geteuid?.()}`;
  }
}

/**
 * Makes a `CommandError` of Node's error about a program that it can't start. Any other error is
 * returned as it is. Node's own is not kept as the cause, because it holds the arguments.
 */
export async function explain(
  failure: unknown,
  command: string,
  { cwd = '/' }: RunOptions,
): Promise<unknown> {
  const code = codeOf(failure);
  if (code === undefined) {
    return failure;
  }
  const error = (why: string, retryable = false) =>
    new CommandError(`The command '${command}' can't be run: ${why}.`, { command, retryable });

  switch (code) {
    case 'ENOENT':
    case 'EACCES':
    case 'ENOTDIR': {
      // Node reports a working directory in the same words as a program.
      const wrong = await whyNoDirectory(cwd);
      if (wrong !== undefined) {
        return error(`its working directory '${cwd}' ${wrong}`);
      }
      if (code === 'EACCES') {
        return error(`the account '${account()}' may not execute it (EACCES)`);
      }
      if (!command.includes('/')) {
        return error('there is no program of this name in its PATH');
      }
      return (await exists(resolve(cwd, command)))
        ? error('the file exists, but not the interpreter that its first line names')
        : error('there is no such file');
    }
    case 'E2BIG':
      return error(
        'its arguments and its environment are too large for the system (E2BIG): hand large data ' +
          'over by its standard input',
      );
    case 'EAGAIN':
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return error(`the system has no room for another process now (${code})`, true);
    default:
      return error(`the system says ${code}`);
  }
}

/** Why a path is no directory that this account can enter; undefined if it is one. */
async function whyNoDirectory(path: string): Promise<string | undefined> {
  try {
    // The slash makes it fail for a file.
    await access(`${path}/`, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    switch (code) {
      case 'ENOENT':
        return 'does not exist';
      case 'ENOTDIR':
        return 'is no directory';
      default:
        return `can't be entered by the account '${account()}' (${code})`;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
