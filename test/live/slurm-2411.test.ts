import { assert } from 'chai';
import type { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { stopSlurm } from '../engines/slurm.ts';
import { LiveHub, useHub } from './helpers/hub.ts';
import { until } from './helpers/slurm.ts';
import { conformanceSuite } from './helpers/slurm-suites/conformance.ts';
import { failureSuite } from './helpers/slurm-suites/failure.ts';
import { outageSuite } from './helpers/slurm-suites/outage.ts';
import { queueSuite } from './helpers/slurm-suites/queue.ts';
import { statesSuite } from './helpers/slurm-suites/states.ts';
import { tokenSuite } from './helpers/slurm-suites/token.ts';

describe('SlurmSpawner: on Slurm 24.11', () => {
  const hub = useHub({ release: '24.11' });
  // Its clients are not those of the other test files.
  after(() => stopSlurm());

  describe('a job in the queue', () => queueSuite(hub));

  describe('a server', () => {
    let patience: LiveHub;
    let short: SlurmSpawner;
    let started: Promise<unknown>;

    // Takes up to 100 s, in which the other tests run.
    before(async () => {
      patience = await LiveHub.open();
      short = patience.create({ request: { partition: 'short' } }, { user: { name: 'bob' } });
      started = short.start();
      started.catch(() => {});
    });
    after(() => patience.close());

    conformanceSuite(hub);
    describe('that does not start', () => failureSuite(hub));
    describe('and its token', () => tokenSuite(hub, { accounting: false }));
    describe('with a job', () => statesSuite(hub));
    describe('while slurmctld is stopped', () => outageSuite(hub, 'stop', 12));
    describe('while slurmctld is hung', () => outageSuite(hub, 'hang', 12));

    describe('whose walltime is over', () => {
      it('has ended with the cause timeout', async () => {
        await started;
        const endsAt = Date.parse(String(short.getState()['endsAt']));
        await until('the end of the walltime', () => Date.now() > endsAt, 70);
        await until('the end of the job', async () => (await short.poll()) !== null, 50);
        assert.containsSubset(await short.poll(), { cause: 'timeout' });
      });
    });
  });
});
