import { assert } from 'chai';
import type { ExitStatus } from '../../../lib/events.ts';
import type { CommandRunner } from '../../../lib/runners/runner.ts';
import { sleep } from '../../../lib/sleep.ts';
import type { Supervisor } from '../../../lib/supervisor/supervisor.ts';
import { until } from './slurm.ts';
import type { Told } from './supervised-hub.ts';
import { identityOf, nameOf, SupervisedHub } from './supervised-hub.ts';

/** A cluster whose scheduler can be away. */
export interface OutageCluster {
  readonly runner: CommandRunner;
  /** The program that lists jobs. */
  readonly lister: string;
  /** The outages that it can have: what happens, how that begins, and how it ends. */
  readonly outages: readonly (readonly [
    what: string,
    begin: () => Promise<void>,
    end: () => Promise<void>,
  ])[];
  /** In ms: how old a job has to be so that no outage makes the scheduler forget it. */
  readonly settling: number;
  /** Registers `patient` and `hasty`, which takes less time for a stop than an outage does. */
  register(supervisor: Supervisor, hub: SupervisedHub): void;
  /** The names of all jobs that it has had, also of those that have ended. */
  jobNames(): Promise<readonly string[]>;
}

const count = Number(process.env['OUTAGE_SERVERS'] ?? 100);
/** In s. */
const length = Number(process.env['OUTAGE_SECONDS'] ?? 60);
/** How many are stopped in an outage, and how many are new. */
const stops = Math.ceil(count / 10);
const starts = Math.ceil(count / 20);

const pollInterval = 15_000;
/** In ms: what commands may take on a busy machine. */
const slack = 15_000;

/** What a hub with many servers does while the scheduler is away, and afterwards. */
export function supervisorOutageSuite(cluster: OutageCluster): void {
  let hub: SupervisedHub;
  /** The process of each server that is to live. */
  const alive = new Map<string, number>();
  /** How often each server was to be started. */
  const asked = new Map<string, number>();
  let numbered = 0;

  before(async () => {
    hub = await SupervisedHub.open(cluster.runner, { pollInterval }, cluster.register);
  });
  after(async function () {
    this.timeout(300_000);
    await hub?.close();
  });

  function newNames(many: number): string[] {
    return Array.from({ length: many }, () => {
      numbered += 1;
      return `${numbered % 2 === 0 ? 'alice' : 'bob'}/outage${numbered}`;
    });
  }

  function split(name: string): { readonly user: string; readonly serverName: string } {
    const [user = '', serverName = ''] = name.split('/');
    return { user, serverName };
  }

  function isPatient(name: string): boolean {
    return Number(/\d+$/.exec(name)?.[0]) % 4 < 2;
  }

  function ask(name: string) {
    const { user, serverName } = split(name);
    const spawner = isPatient(name) ? 'patient' : 'hasty';
    return hub.supervisor.start({ user, serverName, spawner });
  }

  function start(name: string): Promise<void> {
    asked.set(name, (asked.get(name) ?? 0) + 1);
    return join(name);
  }

  /** Asks for what was asked for already. */
  async function join(name: string): Promise<void> {
    const { pid, account, serverName } = await identityOf(await ask(name));
    assert.equal(`${account}/${serverName}`, name);
    alive.set(name, pid);
  }

  function stop(name: string): Promise<void> {
    alive.delete(name);
    const { user, serverName } = split(name);
    return hub.supervisor.stop(user, serverName);
  }

  /** All that are to live are ready, are the same processes as ever, and nothing else is there. */
  async function assertAllLive(): Promise<void> {
    const all = hub.supervisor.list();
    const expected = [...alive.keys()].sort();
    assert.deepEqual(all.map(nameOf).sort(), expected, 'the list');
    const others = all.filter(({ status }) => status !== 'ready');
    assert.deepEqual(others.map(nameOf), [], 'servers that are not ready');
    assert.deepEqual((await hub.stored()).sort(), expected, 'the store');
    const pids = await Promise.all(
      all.map(async (server) => [
        nameOf(server),
        (await identityOf(server.address ?? assert.fail())).pid,
      ]),
    );
    assert.deepEqual(pids.sort(), [...alive].sort(), 'processes');
  }

  /** Each start has had one job. */
  async function assertNoDoubles(): Promise<void> {
    const jobs = new Map<string, number>();
    for (const jobName of await cluster.jobNames()) {
      const [, user, serverName] = /^jupyter-(alice|bob)-(outage\d+)-[0-9a-f]{12}$/.exec(jobName) ?? [];
      const name = `${user}/${serverName}`;
      jobs.set(name, (jobs.get(name) ?? 0) + 1);
    }
    assert.deepEqual([...jobs].sort(), [...asked].sort(), 'jobs');
    const submitted = hub.told.filter(({ event }) => event === 'submitted');
    assert.isAtMost(submitted.length, [...asked.values()].reduce((sum, each) => sum + each, 0));
  }

  function programsSince(from: number): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { program } of hub.ran.filter(({ at }) => at >= from)) {
      counts[program] = (counts[program] ?? 0) + 1;
    }
    return counts;
  }

  it(`${count} servers are started`, async () => {
    const begun = performance.now();
    await Promise.all(newNames(count).map(start));
    print(`started in ${seconds(performance.now() - begun)}`, programsSince(begun));
    await assertAllLive();
    await assertNoDoubles();
  }).timeout(180_000);

  it('a round of polls is one command', async () => {
    const begun = performance.now();
    await sleep(1.15 * pollInterval);
    const counts = programsSince(begun);
    print('polls', counts);
    assert.hasAllKeys(counts, [cluster.lister]);
    assert.include([1, 2], counts[cluster.lister]);
  });

  for (const [index, [what, begin, end]] of cluster.outages.entries()) {
    const isRestarted = process.env['OUTAGE_RESTART'] === 'all' || index === cluster.outages.length - 1;
    const restarted = isRestarted ? ', and the hub is restarted meanwhile' : '';
    it(`the scheduler ${what}${restarted}: nobody is declared dead, and what was asked for is done afterwards`, async () => {
      await sleep(cluster.settling);
      const toldBefore = hub.told.length;
      const told = (...events: readonly Told['event'][]) =>
        hub.told.slice(toldBefore).filter(({ event }) => events.includes(event));
      const names = [...alive.keys()];
      // A start of one whose stop has failed is refused.
      const again = names.find(isPatient) ?? assert.fail();
      const [killed = '', ...stopped] = names.filter((name) => name !== again).slice(0, stops);

      const begun = performance.now();
      await begin();
      const pid = alive.get(killed) ?? assert.fail();
      alive.delete(killed);
      process.kill(pid, 'SIGKILL');
      const stopping = [again, ...stopped].map((name) => settled(stop(name)));
      const fresh = newNames(starts);
      const starting = [...fresh, again].map((name) => settled(start(name)));
      // They ask once more.
      const joining = [...fresh, again].map((name) => settled(join(name)));
      const impatient = performance.now();
      for (const name of alive.keys()) {
        const { user, serverName } = split(name);
        assert.deepEqual(await ask(name), hub.supervisor.find(user, serverName)?.address);
      }
      assert.isBelow(performance.now() - impatient, 2000, 'addresses of those that are ready');

      const expected = [...alive.keys(), killed, again, ...stopped, ...fresh].sort();
      const look = async (ms: number) => {
        for (const until = performance.now() + ms; performance.now() < until; ) {
          await sleep(500);
          assert.deepEqual(hub.supervisor.list().map(nameOf).sort(), expected, 'the list');
          assert.deepEqual(told('exited', 'removed', 'failed', 'stray', 'moved'), []);
        }
      };
      await look((length * 1000) / 2);
      if (isRestarted) {
        const ending = performance.now();
        await hub.end();
        const ended = performance.now();
        const restored = await hub.restore();
        print(
          `hub ended in ${seconds(ended - ending)}, restored in ${seconds(performance.now() - ended)}`,
          restored,
        );
        assert.isBelow(ended - ending, slack, 'the end of the hub');
        assert.isBelow(performance.now() - ended, 2 * slack, 'restore()');
        assert.equal(restored.ended, 0);
        // Nobody but them knows that one was to be started anew when it is stopped.
        joining.push(...[...fresh, again].map((name) => settled(join(name))));
      }
      await look(length * 1000 - (performance.now() - begun));
      const minutes = (performance.now() - begun) / 60_000;
      const during = Object.entries(programsSince(begun)).map(([program, times]) => [
        program,
        Math.round(times / minutes),
      ]);
      print(`outage of ${seconds(minutes * 60_000)}; commands a minute`, Object.fromEntries(during));

      const ending = performance.now();
      await end();
      const back = performance.now();
      const isDone = () => {
        const gone = new Set(told('removed').map(({ name }) => name));
        const ready = new Set(told('ready').map(({ name }) => name));
        return (
          [killed, again, ...stopped].every((name) => gone.has(name)) &&
          [again, ...fresh].every((name) => ready.has(name))
        );
      };
      await until('what was asked for', isDone, 90);
      print(
        `back after ${seconds(back - ending)}; then: stopped ${range(told('removed').filter(({name}) => name !== killed), back)}, ` +
          `killed ${range(told('exited').filter(({ name }) => name === killed), back)}, ready ${range(told('ready'), back)}`,
        programsSince(ending),
      );
      const warnings: Record<string, number> = {};
      for (const { detail } of told('warning')) {
        const { code } = detail as { code: string };
        warnings[code] = (warnings[code] ?? 0) + 1;
      }
      print('warnings', warnings);
      print('outcomes', ...(await Promise.all([...stopping, ...starting, ...joining])));
      await assertAllLive();
      await assertNoDoubles();
      assert.deepEqual(told('failed', 'stray', 'moved', 'unhealthy'), []);
      assert.deepEqual(told('exited').map(({name}) => name).sort(), [killed, again, ...stopped].sort());
      const exit = told('exited').find(({ name }) => name === killed)?.detail as ExitStatus;
      print('killed', exit);
    }).timeout(length * 1000 + 180_000);
  }

  it('all are stopped', async () => {
    const begun = performance.now();
    await Promise.all([...alive.keys()].map(stop));
    print(`stopped in ${seconds(performance.now() - begun)}`, programsSince(begun));
    await assertAllLive();
    await assertNoDoubles();
  }).timeout(180_000);
}

/** What came of a promise, in a word. */
function settled(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error) => String(error),
  );
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function range(told: readonly Told[], since: number): string {
  const times = told.map(({ at }) => at - since);
  return `${seconds(Math.min(...times))} to ${seconds(Math.max(...times))}`;
}

function print(...what: readonly unknown[]): void {
  console.log(`      ${what.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join(' ')}`);
}
