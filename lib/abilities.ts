/** What a running server uses; null where it can't be said. */
export interface ServerUsage {
  /** In bytes. */
  readonly memory: number | null;
  /** CPU time since its start, in seconds. */
  readonly cpu: number | null;
  /** Processes and threads, or processes alone where the system counts no more. */
  readonly tasks: number | null;
}

/** Which part of a server's log is wanted. */
export interface LogOptions {
  /** The most lines, from the end. Default: 100. */
  readonly lines?: number;
  /** Nothing older, as far as the log has times. */
  readonly since?: Date;
}

/** What a kind of spawner can say of its server beside whether it lives. */
export type Ability = 'usage' | 'logs';
