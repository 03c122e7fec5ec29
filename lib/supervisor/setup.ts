import type { HubFacts, SpawnerContext, SpawnerUser } from '../context.ts';
import type { SpawnerOptions, SupervisorPolicies } from '../generated/options.ts';
import type { CommandRunner } from '../runners/runner.ts';
import type { Spawner } from '../spawner.ts';
import type { Json } from '../state.ts';
import type { Stray } from './events.ts';
import type { ServerStore } from './store.ts';

/** What a supervisor has to know of its hub, beside its policies. */
export interface SupervisorSetup {
  /** Where it keeps what it knows of servers. */
  readonly store: ServerStore;
  /**
   * What servers are told of the hub. Its `apiUrl` also tells the jobs and units of this hub from
   * those of others: no two supervisors may have the same.
   */
  readonly hub?: HubFacts;
  /** Where commands are run. Default: a `LocalRunner`. */
  readonly runner?: CommandRunner;
  /**
   * The token of a server, whenever a spawner is made for it: for a new server, and after a restart of
   * the hub for the same one again. The store keeps none.
   */
  readonly apiToken?: (server: ServerName) => string | undefined | Promise<string | undefined>;
}

/** Options of a supervisor: what it has to know of its hub, and its policies. */
export type SupervisorOptions = SupervisorSetup & Partial<SupervisorPolicies>;

/** Which server of whom. */
export interface ServerName {
  /** Whose server it is. */
  readonly user: SpawnerUser;
  /** '' is the server without a name. */
  readonly serverName: string;
}

/** What `Supervisor.start()` is asked for. */
export interface StartRequest {
  /** Whose server it is; a text is the name. */
  readonly user: SpawnerUser | string;
  /** Default: '', the server without a name. */
  readonly serverName?: string;
  /** The name under which a kind of spawner is registered. Default: the first. */
  readonly spawner?: string;
  /**
   * Options of this server alone, each in the place of the one that was registered. They come as they
   * are: what a person may choose is for the hub to decide. JSON, kept in the store: no place for secrets.
   */
  readonly options?: Readonly<Record<string, Json>>;
}

/** A class of spawners. */
export type SpawnerClass<O extends SpawnerOptions> = new (
  context: SpawnerContext,
  options?: Partial<O>,
) => Spawner;

/** What `restore()` has found. */
export interface RestoreReport {
  /** How many servers are supervised now. */
  readonly servers: number;
  /** How many had ended while the hub was away. */
  readonly ended: number;
  /** Jobs and units that no server had. */
  readonly strays: readonly Stray[];
}
