import type { SpawnerUser } from '../context.ts';
import { messageOf } from '../errors.ts';
import type { MarkedServer } from '../mark.ts';
import type { Spawner } from '../spawner.ts';
import type { Json } from '../state.ts';
import type { Stray } from './events.ts';
import { keyOf } from './record.ts';
import { allAtOnce } from './rounds.ts';
import type { ManagedServer } from './server.ts';
import type { ServerName } from './setup.ts';

/** Of which servers a spawner can list what lives. */
interface SpawnerKind {
  readonly spawnerName: string;
  /** Beside those that were registered. */
  readonly options: Readonly<Record<string, Json>>;
}

/** What looking for strays needs of a supervisor. */
export interface RecoveryHome {
  readonly strays: 'cancel' | 'report';
  /** The servers there are, by their keys. */
  readonly servers: ReadonlyMap<string, ManagedServer>;
  /** The names under which kinds of spawners are registered. */
  readonly spawnerNames: Iterable<string>;
  /** Why the store may have had a server of that key, though it is not known; undefined where it had none. */
  doubt(key: string): string | undefined;
  /** A spawner that starts nothing; without a server, for nobody's. */
  create(kind: SpawnerKind, server?: ServerName): Spawner;
  tellStray(stray: Stray): void;
  /** It can't be said what lives of a kind of spawner. */
  warn(spawnerName: string, cause?: unknown): void;
}

/** A list of jobs or units, and who has made it. */
interface Source {
  readonly kind: SpawnerKind;
  /** The names under which all are registered who have made the same. */
  readonly spawnerNames: Set<string>;
  /** The tags in it. */
  readonly tags: ReadonlySet<string>;
}

/** A job or unit, and where it was found. */
interface Found {
  readonly marked: MarkedServer;
  readonly source: Source;
}

/** Who can say what lives of one kind. */
interface Witness {
  readonly kind: SpawnerKind;
  /** Throws what keeps a spawner from being made. */
  readonly spawner: () => Pick<Spawner, 'survey'>;
}

/** Looks for the jobs and units of this hub that no server has: what was lost, or is there twice. */
export class Recovery {
  readonly #home: RecoveryHome;
  /** What was told of already, so that it is not told at each round. */
  readonly #told = new Set<string>();
  /** Kinds of spawners that gave no list, which was told of. */
  readonly #silent = new Set<string>();
  /** Servers that are gone whose start has failed: they may have left what nobody has heard of. */
  readonly #failed = new Map<string, ManagedServer>();
  #isOver = false;

  constructor(home: RecoveryHome) {
    this.#home = home;
  }

  /** Nothing is done any more about what is found. */
  stop(): void {
    this.#isOver = true;
  }

  /** A start has failed, and the server is gone: it may have left something. */
  suspect(server: ManagedServer): void {
    this.#failed.set(server.key, server);
  }

  /**
   * Looks once, and deals with what there is; resolves when servers have what is theirs. Does not throw.
   *
   * @param isFirst nothing is known yet of the servers but what the store says
   * @returns `isDone`: whether nothing is left to be done, when what was to be ended has ended
   */
  async look(isFirst = false): Promise<{ readonly isDone: Promise<boolean> }> {
    const { servers } = this.#home;
    const suspects = [...this.#failed.values()];
    const sources = new Map<readonly MarkedServer[], Source>();
    const found = new Map<string, Found>();
    const silent = new Map<string, unknown>();
    const since = performance.now();
    await allAtOnce(this.#witnesses(), async ({ kind, spawner }) => {
      const { spawnerName } = kind;
      try {
        const list = await spawner().survey(since);
        if (list === undefined) {
          silent.set(spawnerName, undefined);
          return;
        }
        const known = sources.get(list);
        if (known !== undefined) {
          known.spawnerNames.add(spawnerName);
          return;
        }
        const tags = new Set(list.map(({ tag }) => tag));
        const source = { kind, spawnerNames: new Set([spawnerName]), tags };
        sources.set(list, source);
        for (const marked of list) {
          const key = `${marked.id} ${marked.tag}`;
          found.get(key)?.source.spawnerNames.add(spawnerName);
          found.set(key, found.get(key) ?? { marked, source });
        }
      } catch (cause) {
        silent.set(spawnerName, cause);
      }
    });
    this.#tellSilence(silent);
    const dealing = Promise.all([...found.values()].map((each) => this.#deal(each, isFirst)));
    for (const server of servers.values()) {
      if (server.isUnclear && !silent.has(server.spawnerName)) {
        server.clarify();
      }
    }
    const isDone = dealing.then((dealt) => silent.size === 0 && dealt.every(Boolean));
    return { isDone: isDone.then((isAll) => this.#acquit(suspects, isAll)) };
  }

  /** One for all with the same options: servers may be in other clusters than was registered. */
  #witnesses(): readonly Witness[] {
    const witnesses = new Map<string, Witness>();
    for (const spawnerName of this.#home.spawnerNames) {
      const kind = { spawnerName, options: {} };
      witnesses.set(JSON.stringify(kind), { kind, spawner: () => this.#home.create(kind) });
    }
    for (const servers of [this.#home.servers, this.#failed]) {
      for (const { spawnerName, options, spawner } of servers.values()) {
        if (spawner !== undefined) {
          const kind = { spawnerName, options };
          witnesses.set(JSON.stringify(kind), { kind, spawner: () => spawner });
        }
      }
    }
    return [...witnesses.values()];
  }

  /** Tells once of each kind that gives no list, until it does. */
  #tellSilence(silent: ReadonlyMap<string, unknown>): void {
    for (const [spawnerName, cause] of silent) {
      if (!this.#silent.has(spawnerName)) {
        this.#home.warn(spawnerName, cause);
      }
    }
    this.#silent.clear();
    for (const spawnerName of silent.keys()) {
      this.#silent.add(spawnerName);
    }
  }

  #acquit(suspects: readonly ManagedServer[], isDone: boolean): boolean {
    for (const server of isDone ? suspects : []) {
      if (this.#failed.get(server.key) === server) {
        this.#failed.delete(server.key);
      }
    }
    return isDone;
  }

  /** Returns whether nothing is left to be done about it. */
  async #deal(found: Found, isFirst: boolean): Promise<boolean> {
    const { servers, strays, doubt } = this.#home;
    const { marked, source } = found;
    const key = keyOf(marked.user, marked.serverName);
    const server = servers.get(key);
    const own = server?.spawner?.tag;
    if (own === marked.tag) {
      return true;
    }
    if (this.#isOver) {
      return false;
    }
    if (server !== undefined) {
      const isLost = isFirst && own !== undefined && !source.tags.has(own);
      if (server.isUnclear || (isLost && server.status !== 'stopping')) {
        return this.#adopt(found, server);
      }
      if (server.status === 'waiting' || server.status === 'starting') {
        // Its own may be about to be made, or found.
        return false;
      }
      if (own === undefined && server.spawner?.hasServer === true) {
        this.#tell(found, 'reported', 'its spawner does not say which job or unit is its own');
        return true;
      }
    }
    const why = server === undefined ? doubt(key) : undefined;
    if (why !== undefined || strays === 'report') {
      this.#tell(found, 'reported', why ?? 'strays are reported only');
      return true;
    }
    return this.#cancel(found, server !== undefined);
  }

  #adopt(found: Found, server: ManagedServer): boolean {
    if (!found.source.spawnerNames.has(server.spawnerName)) {
      return false;
    }
    try {
      server.adopt(found.marked.state);
      this.#tell(found, 'adopted', 'the hub ended while the server was started');
    } catch (error) {
      this.#tell(found, 'reported', messageOf(error));
    }
    return true;
  }

  async #cancel(found: Found, isDouble: boolean): Promise<boolean> {
    const { kind } = found.source;
    let spawner: Spawner;
    try {
      const { serverName } = found.marked;
      spawner = this.#home.create(kind, { user: this.#userOf(found.marked), serverName });
      spawner.loadState({ ...found.marked.state, spawner: spawner.getState().spawner });
    } catch (error) {
      this.#tell(found, 'reported', messageOf(error));
      return true;
    }
    try {
      await spawner.stop();
    } catch (error) {
      this.#tell(found, 'reported', `it is to be cancelled, again and again: ${messageOf(error)}`);
      return false;
    }
    this.#tell(found, 'cancelled', isDouble ? 'the server has another' : 'there is no such server');
    return true;
  }

  /** Whoever had that server, or has another, has told the account. */
  #userOf({ user, serverName }: MarkedServer): SpawnerUser {
    const known =
      this.#failed.get(keyOf(user, serverName)) ??
      [...this.#home.servers.values()].find((server) => server.user.name === user);
    return known?.user ?? { name: user };
  }

  #tell({ marked, source }: Found, fate: Stray['fate'], reason: string): void {
    const { user, serverName, id, tag } = marked;
    const news = `${fate} ${tag}`;
    if (!this.#told.has(news)) {
      this.#told.add(news);
      const { spawnerName } = source.kind;
      this.#home.tellStray({ user, serverName, id, spawnerName, fate, reason });
    }
  }
}
