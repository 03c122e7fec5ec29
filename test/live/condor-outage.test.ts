import { assert } from 'chai';
import type { CondorSpawner } from '../../lib/batch/condor.ts';
import type { ExitStatus } from '../../lib/events.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { schedd, startd } from '../engines/condor.ts';
import { report, useCondor } from './helpers/condor.ts';
import { until } from './helpers/slurm.ts';

interface Outage {
  readonly title: string;
  readonly begin: () => Promise<void>;
  readonly end: () => Promise<void>;
}

const outages: readonly Outage[] = [
  { title: 'killed and restarted', begin: schedd.crash, end: schedd.start },
  { title: 'hung for a while', begin: schedd.hang, end: schedd.resume },
];

/** In ms: how long the schedd is away. */
const duration = 15_000;

for (const { title, begin, end } of outages) {
  describe(`CondorSpawner: while the schedd is ${title}`, () => {
    const hub = useCondor();
    // A submission to a hung schedd has no end of its own.
    const create = (serverName: string) => hub().create({ commandTimeout: 5000 }, { serverName });

    it('nobody is declared dead, and all goes on afterwards', async () => {
      const running = create('running');
      const stopped = create('stopped');
      const late = create('late');
      const logs = new Map([running, stopped, late].map((one) => [one, new EventLog(one)]));
      const eventsOf = (spawner: CondorSpawner) => logs.get(spawner) ?? assert.fail();
      const address = await running.start();
      await stopped.start();

      await begin();
      const begun = Date.now();
      const starting = late.start();
      const stopping = stopped.stop();
      const polls: (ExitStatus | null)[] = [];
      while (Date.now() < begun + duration) {
        polls.push(await running.poll());
        await report(address);
      }
      assert.deepEqual(eventsOf(stopped).exited, []);
      await end();

      await until('an answer', async () => {
        polls.push(await running.poll());
        return eventsOf(running).warning.some(({ code }) => code === 'status-known');
      });
      polls.push(await running.poll());
      assert.isAbove(polls.length, 2);
      assert.deepEqual(
        polls.filter((exit) => exit !== null),
        [],
      );
      assert.deepEqual(
        eventsOf(running).warning.map(({ code }) => code),
        ['status-unknown', 'status-known'],
      );
      assert.deepEqual(eventsOf(running).moved, []);
      await report(address);

      await stopping;
      assert.equal((await stopped.poll())?.cause, 'cancelled');
      assert.deepEqual(await hub().jobsOf(stopped), []);

      await report(await starting);
      assert.isNull(await late.poll());
      assert.lengthOf(await hub().jobsOf(late), 1);
      assert.lengthOf(eventsOf(late).submitted, 1);
    });
  });
}

describe('CondorSpawner: while the execution host does not answer', () => {
  const hub = useCondor();

  it('a server is alive, and a stop gives it up only after the time to kill it', async () => {
    const spawner = hub().create();
    await spawner.start();
    await startd.hang();
    try {
      assert.isNull(await spawner.poll());
      const begun = Date.now();
      await spawner.stop();
      assert.isAtLeast(Date.now() - begun, 25_000);
    } finally {
      await startd.resume();
    }
    const exit = await spawner.poll();
    assert.equal(exit?.cause, 'cancelled');
    assert.include(exit?.message, 'via condor_rm -forcex');
  });
});
