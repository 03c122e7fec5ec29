import { messageOf } from '../errors.ts';
import type { MarkedServer } from '../mark.ts';
import type { Spawner } from '../spawner.ts';
import type { Json } from '../state.ts';
import type { Stray } from './events.ts';
import { keyOf } from './record.ts';
import type { ManagedServer } from './server.ts';

/** Of which servers a spawner can list what lives. */
export interface SpawnerKind {
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
  /** A spawner for a server of which nothing is known but the name; without one, for nobody's. */
  create(kind: SpawnerKind, found?: Pick<MarkedServer, 'user' | 'serverName'>): Spawner;
  tellStray(stray: Stray): void;
  warn(spawnerName: string, cause: unknown): void;
}

/** A job or unit, and who has found it. */
interface Found {
  readonly marked: MarkedServer;
  readonly kind: SpawnerKind;
  /** The tags of the list that it stands in. */
  readonly listed: ReadonlySet<string>;
}

/** Looks for the jobs and units of this hub that no server has: what was lost, or is there twice. */
export class Recovery {
  readonly #home: RecoveryHome;
  /** What was told of already, so that it is not told at each round. */
  readonly #told = new Set<string>();
  #isOver = false;

  constructor(home: RecoveryHome) {
    this.#home = home;
  }

  /** Nothing is done any more about what is found. */
  stop(): void {
    this.#isOver = true;
  }

  /**
   * Looks once, and deals with what there is; resolves when servers have what is theirs. Does not throw.
   *
   * @param isFirst nothing is known yet of the servers but what the store says
   * @returns `isDone`: whether nothing is left to be done, when what was to be ended has ended
   */
  async look(isFirst = false): Promise<{ readonly isDone: Promise<boolean> }> {
    const { servers } = this.#home;
    const lists = new Map<readonly MarkedServer[], SpawnerKind>();
    const silent = new Set<string>();
    await Promise.all(
      this.#kinds().map(async (kind) => {
        const list = await this.#ask(kind);
        if (list === undefined) {
          silent.add(kind.spawnerName);
        } else {
          lists.set(list, kind);
        }
      }),
    );
    const found = [...lists].flatMap(([list, kind]): readonly Found[] => {
      const listed = new Set(list.map(({ tag }) => tag));
      return list.map((marked) => ({ marked, kind, listed }));
    });
    const dealing = Promise.all(found.map((each) => this.#deal(each, isFirst)));
    for (const server of servers.values()) {
      if (server.isUnclear && !silent.has(server.spawnerName)) {
        server.clarify();
      }
    }
    return { isDone: dealing.then((dealt) => silent.size === 0 && dealt.every(Boolean)) };
  }

  /** One for all that would ask the same: servers may be in other clusters than was registered. */
  #kinds(): readonly SpawnerKind[] {
    const kinds = new Map<string, SpawnerKind>();
    const add = (kind: SpawnerKind) => kinds.set(JSON.stringify(kind), kind);
    for (const spawnerName of this.#home.spawnerNames) {
      add({ spawnerName, options: {} });
    }
    for (const { spawnerName, options } of this.#home.servers.values()) {
      add({ spawnerName, options });
    }
    return [...kinds.values()];
  }

  async #ask(kind: SpawnerKind): Promise<readonly MarkedServer[] | undefined> {
    try {
      return await this.#home.create(kind).survey();
    } catch (cause) {
      this.#home.warn(kind.spawnerName, cause);
      return undefined;
    }
  }

  /** Returns whether nothing is left to be done about it. */
  async #deal(found: Found, isFirst: boolean): Promise<boolean> {
    const { servers, strays, doubt } = this.#home;
    const { marked, kind, listed } = found;
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
      const isLost = isFirst && own !== undefined && !listed.has(own);
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
    return this.#cancel(found, kind, server !== undefined);
  }

  #adopt(found: Found, server: ManagedServer): boolean {
    if (server.spawnerName !== found.kind.spawnerName) {
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

  async #cancel(found: Found, kind: SpawnerKind, isDouble: boolean): Promise<boolean> {
    let spawner: Spawner;
    try {
      spawner = this.#home.create(kind, found.marked);
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

  #tell({ marked, kind }: Found, fate: Stray['fate'], reason: string): void {
    const { user, serverName, id, tag } = marked;
    const news = `${fate} ${tag}`;
    if (!this.#told.has(news)) {
      this.#told.add(news);
      const { spawnerName } = kind;
      this.#home.tellStray({ user, serverName, id, spawnerName, fate, reason });
    }
  }
}
