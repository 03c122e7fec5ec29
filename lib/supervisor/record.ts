import type { SpawnerUser } from '../context.ts';
import { StateError } from '../errors.ts';
import type { Json } from '../state.ts';

/** What was asked for, and is to be brought back by. */
export interface ServerRequest {
  /** Whose server it is. */
  readonly user: SpawnerUser;
  /** '' is the server without a name. */
  readonly serverName: string;
  /** The name under which its spawner is registered. */
  readonly spawnerName: string;
  /** Options of this server alone. */
  readonly options: Readonly<Record<string, Json>>;
}

/** How far a server has come, and what is to become of it. */
export type Phase = 'starting' | 'ready' | 'stopping';

/** What a store keeps of a server. */
export interface ServerRecord extends ServerRequest {
  readonly phase: Phase;
  /** When it was asked for. */
  readonly requestedAt: Date;
  /** Of its spawner; undefined before there was one. */
  readonly state: unknown;
}

/** The key of a server in maps and stores. */
export function keyOf(user: string, serverName: string): string {
  return `${prefix}${JSON.stringify([user, serverName])}`;
}

const prefix = 'hubspawner:';

/** Whether a store has the key of us; a Keyv may be shared. */
export function isKey(key: string): boolean {
  return key.startsWith(prefix);
}

/** The record as JSON. */
export function writeRecord({ spawnerName, requestedAt, ...rest }: ServerRecord): unknown {
  return { version: 1, ...rest, spawner: spawnerName, requestedAt: requestedAt.toISOString() };
}

/**
 * Reads what `writeRecord` has made.
 *
 * @throws StateError if it is something else
 */
export function readRecord(key: string, value: unknown): ServerRecord {
  const fields: Readonly<Record<string, unknown>> = isObject(value) ? value : {};
  const { version, user, serverName, spawner, options, phase, requestedAt, state } = fields;
  if (version !== 1) {
    throw new StateError(
      `it has version ${JSON.stringify(version) ?? 'none'}, where this release reads version 1`,
    );
  }
  const time = typeof requestedAt === 'string' ? Date.parse(requestedAt) : Number.NaN;
  if (
    !isUser(user) ||
    typeof serverName !== 'string' ||
    keyOf(user.name, serverName) !== key ||
    typeof spawner !== 'string' ||
    !isJsonObject(options) ||
    !isPhase(phase) ||
    Number.isNaN(time)
  ) {
    throw new StateError('a field is missing or not what it must be');
  }
  return {
    user,
    serverName,
    spawnerName: spawner,
    options,
    phase,
    requestedAt: new Date(time),
    state,
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What comes out of a store is JSON, whatever is in it. */
function isJsonObject(value: unknown): value is Readonly<Record<string, Json>> {
  return isObject(value);
}

function isUser(value: unknown): value is SpawnerUser {
  return (
    isObject(value) &&
    typeof value['name'] === 'string' &&
    ['string', 'undefined'].includes(typeof value['id']) &&
    ['string', 'undefined'].includes(typeof value['account'])
  );
}

function isPhase(value: unknown): value is Phase {
  return value === 'starting' || value === 'ready' || value === 'stopping';
}
