import { createHash, randomBytes } from 'node:crypto';
import type { SpawnerContext } from './context.ts';
import type { SpawnerState } from './state.ts';

/** What marks a job or unit as that of one start of one server. */
export interface StartMark {
  /** Hub, user, server and start, as in `hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55`. */
  readonly tag: string;
  /** For people, and unique as well. */
  readonly jobName: string;
}

/** A job or unit that carries the mark of a server of a hub. */
export interface MarkedServer {
  /** The name of the person in the hub. */
  readonly user: string;
  /** '' is the server without a name. */
  readonly serverName: string;
  /** Of the job or unit. */
  readonly id: string;
  /** The mark of its start: `tag` of the spawner that has it. */
  readonly tag: string;
  /** What `loadState()` of a spawner of that server takes, to have it. */
  readonly state: SpawnerState;
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
  const who = [user.name, serverName].map(encodeURIComponent).join(':');
  return {
    tag: `hubspawner:${idOf(hub?.apiUrl ?? '')}:${who}:${start}`,
    jobName: `${['jupyter', user.name, serverName]
      .filter((part) => part !== '')
      .map(plain)
      .join('-')
      .slice(0, nameLength - start.length - 1)}-${start}`,
  };
}

/** By which a hub knows its marks; undefined for one without an interface, which any other may be. */
export function hubIdOf({ hub }: SpawnerContext): string | undefined {
  return hub && idOf(hub.apiUrl);
}

/** Whose server a tag is that of; undefined for one that no start of this hub can have made. */
export function serverOf(
  tag: string,
  hubId: string,
): Pick<MarkedServer, 'user' | 'serverName'> | undefined {
  const [, hub, ...who] = tagPattern.exec(tag) ?? [];
  const [user, serverName] = who.map(decoded);
  return hub === hubId && user !== undefined && serverName !== undefined
    ? { user, serverName }
    : undefined;
}

/** The names in it have the characters that encodeURIComponent leaves. */
const tagPattern = /^hubspawner:([0-9a-f]{8}):([\w.!~*'()%-]+):([\w.!~*'()%-]*):[0-9a-f]{12}$/;

/** Undefined for what is not written as `newMark` writes it. */
function decoded(part: string): string | undefined {
  try {
    const name = decodeURIComponent(part);
    return encodeURIComponent(name) === part ? name : undefined;
  } catch {
    return undefined;
  }
}

function idOf(apiUrl: string): string {
  return createHash('sha256').update(apiUrl).digest('hex').slice(0, 8);
}

/** A name as it may stand in a job name and a file name of any batch system. */
function plain(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_').slice(0, 32);
}
