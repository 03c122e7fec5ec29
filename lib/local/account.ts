import { userInfo } from 'node:os';
import { StartError } from '../errors.ts';
import type { CommandRunner } from '../runners/runner.ts';

/** An account of this machine, as its account database has it. */
export interface Account {
  readonly name: string;
  readonly home: string;
  readonly shell: string;
  /** What stands before a command that is to run as this account; nothing if this process does. */
  readonly prefix: readonly string[];
}

/** The account of this process; one that has no entry in the database has a number for a name. */
interface OwnAccount {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
  readonly shell: string;
}

/**
 * Finds an account that a server can run as: the one of this process, or, where that is root, any
 * other.
 *
 * @param runner asks the account database, on this machine
 * @throws StartError if there is no such account or this process can't change to it
 * @throws CommandError if the database could not be asked
 */
export async function findAccount(
  name: string,
  runner: CommandRunner,
  signal?: AbortSignal,
  own: OwnAccount = ownAccount(),
): Promise<Account> {
  if (name === own.name) {
    return { name, home: own.home, shell: own.shell, prefix: [] };
  }
  if (own.uid !== 0) {
    throw new StartError(
      `The hub runs as '${own.name}' and can't run a server as '${name}': run the hub as root, or ` +
        `give '${own.name}' as the account of the user if all servers are to run as that.`,
    );
  }
  // getent takes digits for a user id, and a dash for an option.
  if (!/^[^-:\s\p{Cc}][^:\s\p{Cc}]*$/u.test(name) || /^\d+$/.test(name)) {
    throw new StartError(`${JSON.stringify(name)} can't be the name of an account.`);
  }
  const { stdout, exitCode } = await runner.run(
    ['getent', 'passwd', name],
    signal === undefined ? {} : { signal },
  );
  if (exitCode === 2) {
    throw new StartError(`There is no account '${name}' on this machine.`);
  }
  const [, found, gid, home, shell] = passwdLine.exec(stdout.trimEnd()) ?? [];
  if (exitCode !== 0 || found === undefined) {
    throw new StartError(`The account database gave no usable answer about '${name}'.`, {
      retryable: true,
    });
  }
  if (found !== name) {
    throw new StartError(`The account database calls '${name}' '${found}': give that name.`);
  }
  return {
    name,
    home: home || '/',
    shell: shell || '/bin/sh',
    // Of util-linux. The command takes the place of setpriv, and so keeps its process id. Node's own
    // `uid` and `gid` would drop the supplementary groups.
    prefix: ['setpriv', `--reuid=${name}`, `--regid=${gid}`, '--init-groups', '--'],
  };
}

/** passwd(5): name, password, user id, group id, comment, home directory, shell. */
const passwdLine = /^([^:]+):[^:]*:\d+:(\d+):[^:]*:([^:]*):([^:]*)$/;

function ownAccount(): OwnAccount {
  try {
    const { username, uid, homedir, shell } = userInfo();
    return { name: username, uid, home: homedir, shell: shell ?? '/bin/sh' };
  } catch {
    const uid = process.geteuid?.() ?? -1;
    return { name: String(uid), uid, home: '/', shell: '/bin/sh' };
  }
}
