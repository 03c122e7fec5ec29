import type { SpawnerUser } from '../context.ts';
import { messageOf, StartError } from '../errors.ts';
import type { MarkedServer } from '../mark.ts';
import type { Spawner } from '../spawner.ts';
import type { SpawnerState } from '../state.ts';
import type { Stray } from './events.ts';
import type { Found, SpawnerKind } from './look.ts';
import { idOf, Look, nameOf } from './look.ts';
import type { ServerRequest } from './record.ts';
import { keyOf } from './record.ts';
import { allAtOnce } from './rounds.ts';
import type { ManagedServer } from './server.ts';
import type { ServerName } from './setup.ts';

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
  /** What may belong to servers of which the store has lost the records. */
  readonly #doubtful = new Map<string, Found>();
  /** What is being cancelled, and by whom. */
  readonly #ending = new Map<string, Spawner>();
  /** Those that wait for lists. */
  readonly #looks = new Set<Look>();
  #isOver = false;

  constructor(home: RecoveryHome) {
    this.#home = home;
  }

  /** Nothing is begun any more about what is found. */
  stop(): void {
    this.#isOver = true;
  }

  /** Leaves what is being cancelled to the next hub; resolves when nothing is under way. */
  async detach(): Promise<void> {
    await Promise.all([...this.#ending.values()].map((spawner) => spawner.detach()));
  }

  /** A server is gone. Returns whether its start has failed, so that it may have left something. */
  removed(server: ManagedServer): boolean {
    for (const look of this.#looks) {
      look.removed(server);
    }
    const isSuspect = server.status === 'starting' && server.spawner !== undefined;
    if (isSuspect) {
      this.#failed.set(server.key, server);
    }
    return isSuspect;
  }

  /**
   * Looks once, and deals with what there is; resolves when servers have what is theirs. Does not throw.
   *
   * @param isFirst nothing is known yet of the servers but what the store says
   * @returns `isDone`: whether nothing is left to be done, when what was to be ended has ended
   */
  async look(isFirst = false): Promise<{ readonly isDone: Promise<boolean> }> {
    const suspects = [...this.#failed.values()];
    const look = new Look(this.#home.servers.values(), isFirst);
    this.#looks.add(look);
    const isComplete = await this.#ask(look);
    this.#looks.delete(look);
    if (this.#isOver) {
      return { isDone: Promise.resolve(false) };
    }
    const undone = this.#dealWith(look);
    for (const server of look.servers) {
      if (server.isUnclear && look.listOf(server) !== undefined) {
        server.clarify();
      }
    }
    const finish = async () => {
      const keys = await undone;
      for (const server of suspects) {
        if (look.listOf(server) !== undefined && !keys.has(server.key)) {
          this.#acquit(server);
        }
      }
      return isComplete && keys.size === 0;
    };
    return { isDone: finish() };
  }

  /**
   * What there is already of a server of which the store may have lost the record, for its start to go
   * on with; undefined where there is nothing.
   *
   * @throws StartError where that can't be said, or the server can't have it
   */
  async claim(request: ServerRequest): Promise<SpawnerState | undefined> {
    const { user, serverName, spawnerName } = request;
    const key = keyOf(user.name, serverName);
    const list = await this.#listOf(request);
    if (list === undefined) {
      throw new StartError(
        `The store has lost records of servers, and ${spawnerName} gives no answer to whether this one is there already.`,
        { retryable: true },
      );
    }
    const own = list.find((marked) => keyOf(marked.user, marked.serverName) === key);
    if (own === undefined) {
      await this.#refuseDoubtful(key);
      return undefined;
    }
    const found = { marked: own, kind: request };
    try {
      this.#holderOf(found, request);
    } catch (error) {
      throw lost(found, messageOf(error));
    }
    this.#tell(found, 'adopted', 'the store has lost the record of the server');
    return own.state;
  }

  /** Throws where one of a server's own may live that others list. */
  async #refuseDoubtful(key: string): Promise<void> {
    for (const [id, found] of this.#doubtful) {
      const { marked, kind } = found;
      if (keyOf(marked.user, marked.serverName) === key) {
        const list = await this.#listOf(kind);
        if (list === undefined || list.some(({ tag }) => tag === marked.tag)) {
          throw lost(found, 'Ask for it with the spawner and the options that it had');
        }
        this.#doubtful.delete(id);
      }
    }
  }

  async #listOf(kind: SpawnerKind): Promise<readonly MarkedServer[] | undefined> {
    try {
      return await this.#home.create(kind).survey();
    } catch {
      return undefined;
    }
  }

  /** Asks all kinds of spawners; returns whether all have answered. */
  async #ask(look: Look): Promise<boolean> {
    const silent = new Map<string, unknown>();
    const since = performance.now();
    await allAtOnce(this.#witnesses(), async ({ kind, spawner }) => {
      try {
        const list = await spawner().survey(since);
        if (list === undefined) {
          silent.set(kind.spawnerName, undefined);
        } else {
          look.add(kind, list);
        }
      } catch (cause) {
        silent.set(kind.spawnerName, cause);
      }
    });
    this.#tellSilence(silent);
    return silent.size === 0;
  }

  /** One for all with the same options: servers may be in other clusters than was registered. */
  #witnesses(): readonly Witness[] {
    const witnesses = new Map<string, Witness>();
    for (const spawnerName of this.#home.spawnerNames) {
      const kind = { spawnerName, options: {} };
      witnesses.set(nameOf(kind), { kind, spawner: () => this.#home.create(kind) });
    }
    for (const servers of [this.#home.servers, this.#failed]) {
      for (const { spawnerName, options, spawner } of servers.values()) {
        if (spawner !== undefined) {
          const kind = { spawnerName, options };
          witnesses.set(nameOf(kind), { kind, spawner: () => spawner });
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

  /** Nothing is left of its start. */
  #acquit(server: ManagedServer): void {
    if (this.#failed.get(server.key) === server) {
      this.#failed.delete(server.key);
    }
  }

  /** Gives the keys of servers about which something is left to be done. */
  async #dealWith(look: Look): Promise<ReadonlySet<string>> {
    const undone = new Set<string>();
    await Promise.all(
      look.found.map(async (found) => {
        if (!(await this.#deal(found, look))) {
          undone.add(keyOf(found.marked.user, found.marked.serverName));
        }
      }),
    );
    return undone;
  }

  /** Returns whether nothing is left to be done about it. */
  async #deal(found: Found, look: Look): Promise<boolean> {
    const { servers, strays, doubt } = this.#home;
    const { marked } = found;
    const key = keyOf(marked.user, marked.serverName);
    const server = servers.get(key);
    const own = server?.spawner?.tag;
    if (own === marked.tag) {
      return true;
    }
    if (!look.isUnchanged(key, server)) {
      return false;
    }
    // What its own spawner lists is all that it can have.
    const list = server && look.listOf(server);
    const isThere = own !== undefined && list?.some(({ tag }) => tag === own) === true;
    if (server !== undefined) {
      const isLost = look.isFirst && own !== undefined && !isThere && server.status !== 'stopping';
      const mine = list?.find((each) => idOf(each) === idOf(marked));
      if (mine !== undefined && (server.isUnclear || isLost)) {
        return this.#adopt({ marked: mine, kind: server.request }, server);
      }
      if (server.status === 'waiting' || server.status === 'starting') {
        // Its own may be about to be made, or found.
        return false;
      }
    }
    const why = doubt(key);
    if (why !== undefined) {
      this.#doubtful.set(idOf(marked), found);
    }
    if (why !== undefined || strays === 'report') {
      this.#tell(found, 'reported', why ?? 'strays are reported only');
      return true;
    }
    if (server?.spawner?.hasServer === true && own === undefined) {
      this.#tell(found, 'reported', 'its spawner does not say which job or unit is its own');
      return true;
    }
    // What the store says of a server may be out of date.
    const isSure = isThere || server?.progressLog.last?.outcome === 'ready';
    if (server?.isUp === true && !isSure) {
      if (list !== undefined) {
        this.#tell(found, 'reported', 'it is not certain that the server has its own');
      }
      return false;
    }
    return this.#cancel(found, server !== undefined);
  }

  #adopt(found: Found, server: ManagedServer): boolean {
    try {
      this.#holderOf(found, server.request);
      server.adopt(found.marked.state);
      this.#tell(found, 'adopted', 'the hub ended while the server was started');
    } catch (error) {
      this.#tell(found, 'reported', messageOf(error));
    }
    return true;
  }

  async #cancel(found: Found, isDouble: boolean): Promise<boolean> {
    const { marked } = found;
    const id = idOf(marked);
    if (this.#ending.has(id)) {
      return false;
    }
    let spawner: Spawner;
    try {
      const { serverName } = marked;
      spawner = this.#holderOf(found, { user: this.#userOf(marked), serverName });
    } catch (error) {
      this.#tell(found, 'reported', messageOf(error));
      return true;
    }
    this.#ending.set(id, spawner);
    try {
      await spawner.stop();
    } catch (error) {
      if (!this.#isOver) {
        const problem = messageOf(error);
        this.#tell(found, 'reported', `it is to be cancelled, again and again: ${problem}`);
      }
      return false;
    } finally {
      this.#ending.delete(id);
    }
    this.#tell(found, 'cancelled', isDouble ? 'the server has another' : 'there is no such server');
    return true;
  }

  /** A spawner that has what was found. Throws what keeps a server from having it. */
  #holderOf({ marked, kind }: Found, server: ServerName): Spawner {
    const spawner = this.#home.create(kind, server);
    // The list may come from another class of the same batch system.
    spawner.loadState({ ...marked.state, spawner: spawner.getState().spawner });
    return spawner;
  }

  /** Whoever had that server, or has another, has told the account. */
  #userOf({ user, serverName }: MarkedServer): SpawnerUser {
    const known =
      this.#failed.get(keyOf(user, serverName)) ??
      [...this.#home.servers.values()].find((server) => server.user.name === user);
    return known?.user ?? { name: user };
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

/** Why a server can't be started of which there is one already. */
function lost({ marked, kind }: Found, what: string): StartError {
  return new StartError(
    `The store may have lost the record of this server, which is there already: ${marked.id}, found by ${kind.spawnerName}. ${what}, or cancel it by hand.`,
  );
}
