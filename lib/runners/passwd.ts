import { StartError } from '../errors.ts';
import type { CommandRunner, RunOptions } from './runner.ts';

/** An entry of the account database; passwd(5). */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** Name, password, user id, group id, comment, home directory, shell. */
const line = /^([^:]+):[^:]*:(\d+):(\d+):[^:]*:([^:]*):([^:]*)$/;

/**
 * Looks an account up where the runner runs its commands.
 *
 * @throws StartError if there is no such account, or no usable answer
 * @throws CommandError if the database could not be asked
 */
export async function passwdEntry(
  runner: CommandRunner,
  account: string,
  options: RunOptions,
): Promise<PasswdEntry> {
  // getent takes digits for a user id, and a dash for an option.
  if (!/^[^-:\s\p{Cc}][^:\s\p{Cc}]*$/u.test(account) || /^\d+$/.test(account)) {
    throw new StartError(`${JSON.stringify(account)} can't be the name of an account.`);
  }
  const { stdout, exitCode } = await runner.run(['getent', 'passwd', account], options);
  if (exitCode === 2) {
    throw new StartError(`There is no account '${account}' on this machine.`);
  }
  const [, name, uid, gid, home, shell] = line.exec(stdout.split('\n')[0] ?? '') ?? [];
  if (exitCode !== 0 || name === undefined) {
    throw new StartError(`The account database gave no usable answer about '${account}'.`, {
      retryable: true,
    });
  }
  if (name !== account) {
    throw new StartError(`The account database calls '${account}' '${name}': give that name.`);
  }
  return { name, uid: Number(uid), gid: Number(gid), home: home || '/', shell: shell || '/bin/sh' };
}
