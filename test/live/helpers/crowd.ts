import { assert } from 'chai';
import type { ServerAddress } from '../../../lib/events.ts';
import type { SupervisedHub } from './supervised-hub.ts';
import { identityOf, nameOf } from './supervised-hub.ts';

/** Many servers of a hub, and what was asked of it for them. */
export class Crowd {
  /** The process of each server that is to live. */
  readonly alive = new Map<string, number>();
  /** How often each server was to be started. */
  readonly #asked = new Map<string, number>();
  readonly #hub: SupervisedHub;
  #numbered = 0;

  constructor(hub: SupervisedHub) {
    this.#hub = hub;
  }

  /** Names for servers that there never were. */
  newNames(count: number): string[] {
    return Array.from({ length: count }, () => {
      this.#numbered += 1;
      return `${this.#numbered % 2 === 0 ? 'alice' : 'bob'}/outage${this.#numbered}`;
    });
  }

  /** Whether its spawner goes on with a stop for longer than an outage. */
  isPatient(name: string): boolean {
    return Number(/\d+$/.exec(name)?.[0]) % 4 < 2;
  }

  /** Starts a server that is not there, or is about to go. */
  start(name: string): Promise<void> {
    this.#asked.set(name, (this.#asked.get(name) ?? 0) + 1);
    return this.join(name);
  }

  /** Asks for a start that was asked for already. */
  async join(name: string): Promise<void> {
    const { pid, account, serverName } = await identityOf(await this.ask(name));
    assert.equal(`${account}/${serverName}`, name);
    this.alive.set(name, pid);
  }

  /** Asks for a server, as a person does who looks at it. */
  ask(name: string): Promise<ServerAddress> {
    const spawner = this.isPatient(name) ? 'patient' : 'hasty';
    return this.#hub.supervisor.start({ ...split(name), spawner });
  }

  stop(name: string): Promise<void> {
    this.alive.delete(name);
    const { user, serverName } = split(name);
    return this.#hub.supervisor.stop(user, serverName);
  }

  /** Kills the process of a server. */
  kill(name: string): void {
    const pid = this.alive.get(name) ?? assert.fail();
    this.alive.delete(name);
    process.kill(pid, 'SIGKILL');
  }

  /** Asserts that all that are to live are ready, and the same processes as ever, and that nothing else is there. */
  async assertAllLive(): Promise<void> {
    const all = this.#hub.supervisor.list();
    const names = [...this.alive.keys()].sort();
    assert.deepEqual(all.map(nameOf).sort(), names, 'the list');
    assert.deepEqual((await this.#hub.stored()).sort(), names, 'the store');
    const others = all.filter(({ status }) => status !== 'ready');
    assert.deepEqual(others.map(nameOf), [], 'servers that are not ready');
    const processes = await Promise.all(
      all.map(async (server) => {
        const { pid } = await identityOf(server.address ?? assert.fail());
        return [nameOf(server), pid];
      }),
    );
    assert.deepEqual(processes.sort(), [...this.alive].sort(), 'processes');
  }

  /** @param jobNames of all jobs that the cluster has had: one for each time that a start was asked for */
  assertNoDoubles(jobNames: readonly string[]): void {
    const jobs = new Map<string, number>();
    for (const jobName of jobNames) {
      const [, user, serverName] = /^jupyter-(\w+)-(\w+)-[0-9a-f]{12}$/.exec(jobName) ?? [];
      const name = `${user}/${serverName}`;
      jobs.set(name, (jobs.get(name) ?? 0) + 1);
    }
    assert.deepEqual([...jobs].sort(), [...this.#asked].sort(), 'jobs');
  }
}

function split(name: string): { readonly user: string; readonly serverName: string } {
  const [user = '', serverName = ''] = name.split('/');
  return { user, serverName };
}
