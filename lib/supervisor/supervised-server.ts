import type { SpawnerUser } from '../context.ts';
import type { ServerAddress } from '../events.ts';
import type { ProgressEvent } from '../progress.ts';
import type { Spawner } from '../spawner.ts';
import type { Json } from '../state.ts';
import type { ServerStatus } from './status.ts';

/** A server as its supervisor shows it. */
export interface SupervisedServer {
  /** Whose it is. */
  readonly user: SpawnerUser;
  /** '' is the server without a name. */
  readonly serverName: string;
  /** The name under which its spawner is registered. */
  readonly spawnerName: string;
  /** Options of this server alone, as it was asked for. */
  readonly options: Readonly<Record<string, Json>>;
  /** What it is doing. */
  readonly status: ServerStatus;
  /** Why it is unhealthy, or why it could not be stopped yet; for a person. */
  readonly problem: string | undefined;
  /** Where it listens, once that is known. */
  readonly address: ServerAddress | undefined;
  /** When it was asked for. */
  readonly requestedAt: Date;
  /** When somebody used it last, as far as `touch()` was told; at first, when it was ready. */
  readonly lastActivity: Date;
  /** For `usage()`, `logs()` and the like; it is started and stopped by the supervisor alone. Undefined before there is one. */
  readonly spawner: Spawner | undefined;
  /** Follows its start from its beginning, also later; ends with it. */
  progress(): AsyncIterable<ProgressEvent>;
  /** What `JSON.stringify` and `console.log` make of it: all of that but the spawner. */
  toJSON(): ServerSummary;
}

/** What is known of a server, as plain values. */
export type ServerSummary = Omit<SupervisedServer, 'spawner' | 'progress' | 'toJSON'>;
