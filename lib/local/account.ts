import { userInfo } from 'node:os';
import { StartError } from '../errors.ts';
import { passwdEntry } from '../runners/passwd.ts';
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
  const { gid, home, shell } = await passwdEntry(
    runner,
    name,
    signal === undefined ? {} : { signal },
  );
  return {
    name,
    home,
    shell,
    // Of util-linux. The command takes the place of setpriv, and so keeps its process id. Node's own
    // `uid` and `gid` would drop the supplementary groups.
    prefix: ['setpriv', `--reuid=${name}`, `--regid=${gid}`, '--init-groups', '--'],
  };
}

function ownAccount(): OwnAccount {
  try {
    const { username, uid, homedir, shell } = userInfo();
    return { name: username, uid, home: homedir, shell: shell ?? '/bin/sh' };
  } catch {
    const uid = process.geteuid?.() ?? -1;
    return { name: String(uid), uid, home: '/', shell: '/bin/sh' };
  }
}
