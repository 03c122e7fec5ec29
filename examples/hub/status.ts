import type { ProgressEvent, Spawner } from 'hubspawner';
import { servicePrefix } from 'hubspawner';
import type { Choices, Kind } from './kinds.ts';

/** What a person is shown of a server. */
export type Status =
  | { readonly is: 'starting' | 'running' | 'stopping' }
  /** It runs or may run, but can not be opened: it has to be stopped before it can be started again. */
  | { readonly is: 'unusable'; readonly why: string }
  | { readonly is: 'ended' | 'failed'; readonly why: string; readonly log: string | undefined };

/** One server of one person, from its start on. */
export interface Server {
  readonly user: string;
  /** '' is the one without a name. */
  readonly name: string;
  readonly kind: Kind;
  readonly choices: Choices;
  readonly logFile: string;
  readonly spawner: Spawner;
  status: Status;
  /** How far the start has come. */
  progress: ProgressEvent | undefined;
  /** Something that went wrong and that the server survives. */
  notice: string | undefined;
  /** Counts the changes. */
  revision: number;
}

/** The path below which a server answers. */
export function serverPath(user: string, name: string): string {
  return servicePrefix({ user: { name: user }, serverName: name, hub: { baseUrl: '/' } });
}

/** Whether there is, or may be, something left of it that could be stopped. */
export function isAlive({ status }: Server): boolean {
  return status.is !== 'ended' && status.is !== 'failed';
}
