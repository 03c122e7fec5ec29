import { messageOf } from '../errors.ts';
import type { MarkedServer } from '../mark.ts';
import type { Spawner } from '../spawner.ts';
import type { Stray } from './events.ts';
import { keyOf } from './record.ts';
import type { ManagedServer } from './server.ts';

/** What looking for strays needs of a supervisor. */
export interface RecoveryHome {
  readonly strays: 'cancel' | 'report';
  /** The servers there are, by their keys. */
  readonly servers: ReadonlyMap<string, ManagedServer>;
  /** Why the store may have had a server of that key, though it is not known; undefined where it had none. */
  doubt(key: string): string | undefined;
  /** A spawner without a server for each kind that is registered. */
  probes(): Promise<ReadonlyMap<string, Spawner>>;
  /** A spawner for somebody's server of whom nothing is known but the name. */
  create(spawnerName: string, found: MarkedServer): Promise<Spawner>;
  tellStray(stray: Stray): void;
}

/** Looks for the jobs and units of this hub that no server has: what was lost, or is there twice. */
export class Recovery {
  readonly #home: RecoveryHome;
  /** What was told of already, so that it is not told at each round. */
  readonly #reported = new Set<string>();

  constructor(home: RecoveryHome) {
    this.#home = home;
  }

  /**
   * Looks once, and deals with what there is.
   *
   * @returns whether nothing is left to be done: all have answered, and what was to be ended has ended
   * @throws what a spawner has thrown that should have answered; the others are dealt with
   */
  async look(): Promise<boolean> {
    const lists = new Map<readonly MarkedServer[], string>();
    const asked: Promise<boolean>[] = [];
    const ask = async (spawner: Spawner, spawnerName: string) => {
      const list = await spawner.survey();
      if (list !== undefined) {
        lists.set(list, spawnerName);
      }
      return list !== undefined;
    };
    for (const [name, probe] of await this.#home.probes()) {
      asked.push(ask(probe, name));
    }
    // They may be in other clusters than those of the options that were registered.
    for (const { spawner, spawnerName } of this.#home.servers.values()) {
      if (spawner !== undefined) {
        asked.push(ask(spawner, spawnerName));
      }
    }
    const answers = await Promise.allSettled(asked);
    const answered = answers.every((answer) => answer.status === 'fulfilled' && answer.value);
    const found = [...lists].flatMap(([list, name]) =>
      list.map((marked) => this.#deal(marked, name)),
    );
    const done = (await Promise.all(found)).every(Boolean);
    if (answered) {
      for (const server of this.#home.servers.values()) {
        if (server.isUnclear) {
          server.clarify();
        }
      }
    }
    for (const answer of answers) {
      if (answer.status === 'rejected') {
        throw answer.reason;
      }
    }
    return answered && done;
  }

  /** Returns whether nothing is left to be done about it. */
  async #deal(found: MarkedServer, spawnerName: string): Promise<boolean> {
    const { servers, strays } = this.#home;
    const key = keyOf(found.user, found.serverName);
    const server = servers.get(key);
    if (server?.spawner?.tag === found.tag) {
      return true;
    }
    const report = (reason: string) => {
      this.#tell(found, spawnerName, 'reported', reason);
      return true;
    };
    if (server?.isUnclear === true) {
      return this.#adopt(found, spawnerName, server);
    }
    if (server?.status === 'waiting' || server?.status === 'starting') {
      // Its own may be about to be made, or found.
      return false;
    }
    const doubt = server === undefined ? this.#home.doubt(key) : undefined;
    if (doubt !== undefined || strays === 'report') {
      return report(doubt ?? 'strays are reported only');
    }
    return this.#cancel(found, spawnerName, server !== undefined);
  }

  #adopt(found: MarkedServer, spawnerName: string, server: ManagedServer): boolean {
    try {
      server.clarify(found.state);
      this.#tell(found, spawnerName, 'adopted', 'the hub ended while the server was started');
    } catch (error) {
      this.#tell(found, spawnerName, 'reported', messageOf(error));
    }
    return true;
  }

  async #cancel(found: MarkedServer, spawnerName: string, isDouble: boolean): Promise<boolean> {
    let spawner: Spawner;
    try {
      spawner = await this.#home.create(spawnerName, found);
      spawner.loadState(found.state);
    } catch (error) {
      this.#tell(found, spawnerName, 'reported', messageOf(error));
      return true;
    }
    try {
      await spawner.stop();
    } catch {
      return false;
    }
    const reason = isDouble ? 'the server has another' : 'there is no such server';
    this.#tell(found, spawnerName, 'cancelled', reason);
    return true;
  }

  #tell(found: MarkedServer, spawnerName: string, fate: Stray['fate'], reason: string): void {
    const { user, serverName, id, tag } = found;
    if (!this.#reported.has(tag)) {
      this.#reported.add(tag);
      this.#home.tellStray({ user, serverName, id, spawnerName, fate, reason });
    }
  }
}
