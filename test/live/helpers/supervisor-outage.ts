import { assert } from 'chai';
import { StopError } from '../../../lib/errors.ts';
import type { CommandRunner } from '../../../lib/runners/runner.ts';
import { sleep } from '../../../lib/sleep.ts';
import type { Supervisor } from '../../../lib/supervisor/supervisor.ts';
import { Crowd } from './crowd.ts';
import { until } from './slurm.ts';
import type { Told } from './supervised-hub.ts';
import { nameOf, SupervisedHub } from './supervised-hub.ts';

/** A cluster whose scheduler can be away. */
export interface OutageCluster {
  readonly runner: CommandRunner;
  /** The program that lists jobs. */
  readonly lister: string;
  /** In ms: how old a job has to be so that no outage makes the scheduler forget it. */
  readonly settling: number;
  /** What can happen to it: how that begins, and how it ends. In the last one the hub is restarted. */
  readonly outages: readonly (readonly [
    what: string,
    begin: () => Promise<void>,
    end: () => Promise<void>,
  ])[];
  /** Registers `patient`, and `hasty`, whose `stopTimeout` is shorter than an outage. */
  register(supervisor: Supervisor, hub: SupervisedHub): void;
  /** The names of all jobs that it has had, also of those that have ended. */
  jobNames(): Promise<readonly string[]>;
}

const count = Number(process.env['OUTAGE_SERVERS'] ?? 100);
/** In ms. */
const length = Number(process.env['OUTAGE_SECONDS'] ?? 60) * 1000;
/** How many are stopped in an outage, beside one that dies and one that is started anew. */
const stops = Math.ceil(count / 10);
/** How many are new. */
const starts = Math.ceil(count / 20);
/** In ms. */
const pollInterval = 15_000;
/** In ms: what commands may take on a busy machine. */
const slack = 15_000;

/** What a hub with many servers does while the scheduler is away, and afterwards. What was measured is printed. */
export function supervisorOutageSuite(cluster: OutageCluster): void {
  let hub: SupervisedHub;
  let crowd: Crowd;
  /** Brings back a scheduler that is away. */
  let bringBack: (() => Promise<void>) | undefined;

  before(async () => {
    hub = await SupervisedHub.open(cluster.runner, { pollInterval }, cluster.register);
    crowd = new Crowd(hub);
  });
  after(async function () {
    this.timeout(300_000);
    await hub?.close();
  });
  afterEach(async () => {
    await bringBack?.();
    bringBack = undefined;
    crowd.assertNoDoubles(await cluster.jobNames());
  });

  /** How often each program was run since then. */
  function programs(since: number): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { program } of hub.ran.filter(({ at }) => at >= since)) {
      counts[program] = (counts[program] ?? 0) + 1;
    }
    return counts;
  }

  async function restart(): Promise<void> {
    const begun = performance.now();
    await hub.end();
    const over = performance.now();
    const { servers, ended, strays } = await hub.restore();
    const restored = performance.now();
    print(`the hub ended in ${s(over - begun)}, and was restored in ${s(restored - over)}`);
    assert.isBelow(over - begun, slack, 'the end of the hub');
    assert.isBelow(restored - over, 2 * slack, 'restore()');
    assert.deepEqual({ ended, strays }, { ended: 0, strays: [] });
    assert.equal(servers, crowd.alive.size + 1 + stops + starts + 1);
  }

  it(`${count} servers are started`, async () => {
    const begun = performance.now();
    await Promise.all(crowd.newNames(count).map((name) => crowd.start(name)));
    print(`started in ${s(performance.now() - begun)}:`, programs(begun));
    await crowd.assertAllLive();
  }).timeout(180_000);

  it('a round of polls is one command', async () => {
    const begun = performance.now();
    await sleep(1.15 * pollInterval);
    assert.hasAllKeys(programs(begun), [cluster.lister]);
    assert.include([1, 2], programs(begun)[cluster.lister]);
  }).timeout(2 * pollInterval);

  for (const [index, [what, begin, end]] of cluster.outages.entries()) {
    const isRestarted = index === cluster.outages.length - 1;
    it(`while it ${what}${isRestarted ? ', and the hub is restarted' : ''}, nobody is declared dead, and all goes on afterwards`, async () => {
      await sleep(cluster.settling);
      const before = hub.told.length;
      const told = (...events: readonly Told['event'][]) =>
        hub.told.slice(before).filter(({ event }) => events.includes(event));
      const names = [...crowd.alive.keys()];
      // A start of one whose stop has failed is refused.
      const again = names.find((name) => crowd.isPatient(name)) ?? assert.fail();
      const [killed = '', ...stopped] = names.filter((name) => name !== again).slice(0, stops + 1);
      const fresh = crowd.newNames(starts);

      bringBack = end;
      await begin();
      const begun = performance.now();
      crowd.kill(killed);
      const stopping = [again, ...stopped].map((name) => outcome(crowd.stop(name), name));
      const starting = [again, ...fresh].flatMap((name) => [
        outcome(crowd.start(name), name),
        outcome(crowd.join(name), name),
      ]);
      const addresses = await Promise.all([...crowd.alive.keys()].map((name) => crowd.ask(name)));
      assert.isBelow(performance.now() - begun, 3000, 'the addresses of those that are ready');
      assert.lengthOf(addresses, crowd.alive.size);

      const all = [...crowd.alive.keys(), killed, again, ...stopped, ...fresh].sort();
      const watch = async (ms: number) => {
        for (const over = begun + ms; performance.now() < over; await sleep(500)) {
          assert.deepEqual(hub.supervisor.list().map(nameOf).sort(), all, 'the list');
          assert.deepEqual(told('exited', 'removed', 'failed', 'stray', 'moved'), []);
        }
      };
      await watch(length / 2);
      if (isRestarted) {
        await restart();
        // Nobody but those who wait knows that it is to be started anew.
        starting.splice(0, starting.length, outcome(crowd.join(again), again));
        starting.push(...fresh.map((name) => outcome(crowd.join(name), name)));
      }
      await watch(length);
      const minutes = (performance.now() - begun) / 60_000;
      const during = programs(begun);
      print(`away for ${s(minutes * 60_000)}, with these commands:`, during);
      assert.isBelow((during[cluster.lister] ?? 0) / minutes, 40, 'lists in a minute');
      const others = Object.values(during).reduce((sum, each) => sum + each, 0);
      assert.isBelow(others / minutes, 40 + 5 * (stops + starts), 'commands in a minute');

      const ending = performance.now();
      await end();
      bringBack = undefined;
      const back = performance.now();
      const happened = (event: Told['event'], of: readonly string[]) =>
        told(event).filter(({ name }) => of.includes(name));
      await until(
        'what was asked for',
        () =>
          happened('removed', [killed, again, ...stopped]).length === stops + 2 &&
          happened('ready', [again, ...fresh]).length === starts + 1,
        90,
      );
      print(
        `back in ${s(back - ending)}; stopped ${range(happened('removed', [again, ...stopped]), back)}, ` +
          `dead ${range(happened('exited', [killed]), back)}, ` +
          `ready ${range(happened('ready', [again, ...fresh]), back)} after that:`,
        programs(ending),
      );
      const last = told('removed', 'ready').at(-1)?.at ?? assert.fail();
      assert.isBelow(last - back, pollInterval + slack, 'until all was done');

      assert.deepEqual(
        (await Promise.all(starting)).filter((error) => error !== undefined),
        [],
      );
      for (const { name, error } of (await Promise.all(stopping)).flatMap((each) => each ?? [])) {
        assert(isRestarted || (error instanceof StopError && !crowd.isPatient(name)), `${error}`);
      }
      await crowd.assertAllLive();
      assert.deepEqual(told('failed', 'stray', 'moved'), []);
      // That the dead one does not answer may be seen before the scheduler can say why.
      assert.deepEqual(
        told('unhealthy').filter(({ name }) => name !== killed),
        [],
      );
      const exits = told('exited').map(({ name }) => name);
      assert.sameMembers(exits, [killed, again, ...stopped]);
      const [exit] = happened('exited', [killed]);
      assert.deepInclude(exit?.detail, { cause: 'failed', code: 137 });
    }).timeout(length + 240_000);
  }

  it('all are stopped', async () => {
    const begun = performance.now();
    await Promise.all([...crowd.alive.keys()].map((name) => crowd.stop(name)));
    print(`stopped in ${s(performance.now() - begun)}:`, programs(begun));
    await crowd.assertAllLive();
  }).timeout(180_000);
}

/** How a promise failed, with the name of the server that it is about; undefined where it did not. */
function outcome(
  promise: Promise<unknown>,
  name: string,
): Promise<{ readonly name: string; readonly error: unknown } | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => ({ name, error }),
  );
}

function s(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function range(told: readonly Told[], since: number): string {
  const times = told.map(({ at }) => at - since);
  return `${s(Math.min(...times))} to ${s(Math.max(...times))}`;
}

function print(what: string, counts: Readonly<Record<string, number>> = {}): void {
  const each = Object.entries(counts).map(([program, times]) => `${times} ${program}`);
  console.log(`      ${[what, each.join(', ')].join(' ')}`);
}
