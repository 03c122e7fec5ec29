import { createHash, randomBytes } from 'node:crypto';
import type { SpawnerContext } from './context.ts';

/** What marks a job or unit as that of one start of one server. */
export interface StartMark {
  /** Hub, user, server and start, as in `hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55`. */
  readonly tag: string;
  /** For people, and unique as well. */
  readonly jobName: string;
}

/**
 * Marks a new start of a server.
 *
 * @param nameLength the most characters of the name, at least 15
 */
export function newMark(
  { user, serverName = '', hub }: SpawnerContext,
  nameLength: number,
): StartMark {
  const start = randomBytes(6).toString('hex');
  const hubId = createHash('sha256')
    .update(hub?.apiUrl ?? '')
    .digest('hex')
    .slice(0, 8);
  const who = [user.name, serverName].map(encodeURIComponent).join(':');
  return {
    tag: `hubspawner:${hubId}:${who}:${start}`,
    jobName: `${['jupyter', user.name, serverName]
      .filter((part) => part !== '')
      .map(plain)
      .join('-')
      .slice(0, nameLength - start.length - 1)}-${start}`,
  };
}

/** A name as it may stand in a job name and a file name of any batch system. */
function plain(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_').slice(0, 32);
}
