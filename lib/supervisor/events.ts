import type { ExitStatus, ServerAddress, SpawnerWarning, Submitted } from '../events.ts';
import type { MarkedServer } from '../mark.ts';
import type { ProgressEvent } from '../progress.ts';
import type { SupervisedServer } from './supervised-server.ts';

/** Something went wrong that servers survive. */
export interface SupervisorWarning {
  /** A constant that programs can test: one of a spawner's, or one of these. */
  readonly code: SpawnerWarning['code'] | 'store-failed' | 'record-unusable' | 'stop-failed';
  /** For a person. */
  readonly message: string;
  /** The error behind it, where there is one. */
  readonly cause?: unknown;
}

/** A job or unit with the mark of this hub that belongs to no server, and what is done about it. */
export interface Stray extends Pick<MarkedServer, 'user' | 'serverName' | 'id'> {
  /** The name under which the spawner is registered that has found it. */
  readonly spawnerName: string;
  /** `adopted` by the server whose it is; `cancelled`; or left alone, and `reported`. */
  readonly fate: 'adopted' | 'cancelled' | 'reported';
  /** For a person: why that was done. */
  readonly reason: string;
}

/** The events of a supervisor, and what their listeners get. */
export interface SupervisorEvents {
  /** The status of a server has changed, or its `problem`, or a server is new. */
  status: (server: SupervisedServer) => void;
  /** A start has come further. */
  progress: (server: SupervisedServer, event: ProgressEvent) => void;
  /** There is a job, unit or process now; again where a start's job goes back into the queue. */
  submitted: (server: SupervisedServer, submitted: Submitted) => void;
  /** It runs, on that host. */
  running: (server: SupervisedServer, where: { readonly host: string }) => void;
  /** The server answers. */
  ready: (server: SupervisedServer, address: ServerAddress) => void;
  /** A ready server has moved: its job has started anew, on another host or port. */
  moved: (server: SupervisedServer, address: ServerAddress) => void;
  /** A start has failed, and is not begun anew. */
  failed: (server: SupervisedServer, error: unknown) => void;
  /** A server has ended that had been ready, by itself or by a stop. */
  exited: (server: SupervisedServer, exit: ExitStatus) => void;
  /** A server no longer answers HTTP although it lives; see its `problem`. */
  unhealthy: (server: SupervisedServer) => void;
  /** It answers again. */
  healthy: (server: SupervisedServer) => void;
  /** A server is about to be stopped because nobody used it, or because of its age. */
  culled: (server: SupervisedServer, why: 'idle' | 'age') => void;
  /** A server is no longer in the list, since it has ended. */
  removed: (server: SupervisedServer) => void;
  /** A job or unit was found that no server has. */
  stray: (stray: Stray) => void;
  /** Something went wrong that servers survive. */
  warning: (warning: SupervisorWarning, server?: SupervisedServer) => void;
}
