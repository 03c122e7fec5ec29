import type { ProgressEvent } from './progress.ts';
import type { SpawnerState } from './state.ts';

/** Where a server listens. */
export interface ServerAddress {
  /** A name or an address that the hub can reach. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  /** With the path below which the server answers: `http://node01:40123/user/alice/`. */
  readonly url: string;
}

/** Why a server ended. */
export type ExitCause =
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'timeout'
  | 'out-of-memory'
  | 'preempted'
  | 'node-failure'
  | 'unknown';

/** How a server ended. */
export interface ExitStatus {
  /** Its exit code; null where it has none or nobody knows it. */
  readonly code: number | null;
  /** The signal that ended it, as in `SIGKILL`. */
  readonly signal: string | null;
  /** Why, in words that all kinds of spawners share. */
  readonly cause: ExitCause;
  /** For a person. */
  readonly message: string;
}

/** A job or process that a spawner has started. */
export interface Submitted {
  /** Of the job, process or unit. */
  readonly id: string;
  /** The cluster, where the batch system has several. */
  readonly cluster?: string;
}

/** Something went wrong that the server survives. */
export interface SpawnerWarning {
  /** A constant that programs can test. */
  readonly code:
    | 'status-unknown'
    | 'status-known'
    | 'host-unusable'
    | 'command-failed'
    | 'hook-failed'
    | 'listener-failed'
    | 'option-unused'
    | 'limit-not-enforced';
  /** For a person. */
  readonly message: string;
  /** The error behind it, where there is one. */
  readonly cause?: unknown;
}

/** The events of a spawner, and what their listeners get. */
export interface SpawnerEvents {
  /**
   * The state changed, and the hub should save it. A start makes no job or process before the
   * promises that listeners return have resolved, and none at all if one of them rejects.
   */
  state: (state: SpawnerState) => void | Promise<void>;
  /** A start has come further. */
  progress: (event: ProgressEvent) => void;
  /** There is a job or process now; again where a start's job goes back into the queue. */
  submitted: (submitted: Submitted) => void;
  /** The job or process runs, on that host. */
  running: (where: { readonly host: string }) => void;
  /** The server answers. */
  ready: (address: ServerAddress) => void;
  /** A ready server has moved: its job has started anew, on another host or port. */
  moved: (address: ServerAddress) => void;
  /** The server has ended, by itself or by `stop()`. Once for each start. */
  exited: (exit: ExitStatus) => void;
  /** Something went wrong that the server survives. */
  warning: (warning: SpawnerWarning) => void;
}
