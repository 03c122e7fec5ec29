import { expect } from 'chai';
import sinon from 'sinon';
import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import { PbsSpawner } from '../../lib/batch/pbs.ts';
import type { GenericOptions } from '../../lib/generated/options.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const minute = 60_000;

describe('The end of the walltime, where the batch system does not answer any more', () => {
  let clock: sinon.SinonFakeTimers;
  let list: string;
  let isAway: boolean;

  beforeEach(() => {
    clock = sinon.useFakeTimers({ now: new Date('2026-03-02T06:05:04Z') });
    sinon.stub(Math, 'random').returns(1);
    isAway = false;
  });
  afterEach(() => {
    sinon.restore();
    clock.restore();
  });

  const runner = () => new StubRunner(() => (isAway ? { exitCode: 1, stderr: 'away\n' } : list));
  const common = {
    endpoint: 'fixed',
    ...{ port: 8888, pollInterval: 0 },
    ...{ unknownBudget: { time: minute, count: 1 }, walltimeSlack: 10 * minute },
  } as const;
  const saved = (spawner: string, jobId: string) => ({
    ...{ version: 1, spawner, jobId, jobName: 'ju-1', tag: 'hub:alice:1' },
    submittedAt: '2026-03-02T06:05:00Z',
  });

  /** How the job has ended after some time, if it has. */
  async function causeAfter(spawner: GenericBatchSpawner | PbsSpawner, minutes: number) {
    await clock.tickAsync(minutes * minute);
    const exit = spawner.poll();
    await clock.tickAsync(30_000);
    return (await exit)?.cause;
  }

  describe('and never says when that is', () => {
    const script = '#!/bin/sh\n#MY time={{runtime}}\n{{{exports}}}\n{{cmd}}\n';

    function create(more: Partial<GenericOptions> = {}) {
      const spawner = new GenericBatchSpawner(
        { user: { name: 'alice' }, runner: runner() },
        {
          ...common,
          directive: '^#MY\\b',
          request: { homedir: '/home/alice', runtime: '2:00:00' },
          script,
          commands: {
            submit: ['mysub', '--name={{jobName}}'],
            query: ['mystat'],
            cancel: ['mydel', '{{jobId}}'],
          },
          patterns: {
            jobId: '^job (?<id>\\d+)$',
            job: '^(?<id>\\d+) (?<state>\\S+) (?<host>\\S+)$',
          },
          states: {
            R: { state: 'running' },
            S: { state: 'suspended' },
            Q: { state: 'pending' },
          },
          ...more,
        },
      );
      spawner.loadState(saved('generic', '7'));
      return spawner;
    }

    it('is as long after the job was last seen running as it was asked for', async () => {
      list = '7 R node01\n';
      const spawner = create();
      expect(await causeAfter(spawner, 60)).to.equal(undefined);
      isAway = true;
      expect(await causeAfter(spawner, 60)).to.equal(undefined);
      expect(await causeAfter(spawner, 65)).to.equal(undefined);
      expect(await causeAfter(spawner, 10)).to.equal('timeout');
    });

    for (const [what, row] of [
      ['was suspended', '7 S node01\n'],
      ['waited', '7 Q -\n'],
    ] as const) {
      it(`is none for a job that ${what}`, async () => {
        list = '7 R node01\n';
        const spawner = create();
        expect(await causeAfter(spawner, 1)).to.equal(undefined);
        list = row;
        expect(await causeAfter(spawner, 1)).to.equal(undefined);
        isAway = true;
        expect(await causeAfter(spawner, 1)).to.equal(undefined);
        expect(await causeAfter(spawner, 60 * 24)).to.equal(undefined);
      });
    }

    for (const [what, more] of [
      ['no walltime was asked for', { request: { homedir: '/home/alice' } }],
      ['the script does not ask for it', { script: script.replace(/#MY.*/, '') }],
      ['it is without limit', { request: { homedir: '/home/alice', runtime: '0' } }],
    ] as const) {
      it(`is none where ${what}`, async () => {
        list = '7 R node01\n';
        const spawner = create(more);
        expect(await causeAfter(spawner, 1)).to.equal(undefined);
        isAway = true;
        expect(await causeAfter(spawner, 1)).to.equal(undefined);
        expect(await causeAfter(spawner, 60 * 24)).to.equal(undefined);
      });
    }
  });

  describe('and has said when that is', () => {
    const record = (state: string, run = '1') => `Job Id: 7.node01
    Job_Name = ju-1
    job_state = ${state}
    exec_host = node01/0
    Resource_List.walltime = 02:00:00
    stime = Mon Mar  2 06:05:04 2026
    substate = 42
    run_count = ${run}

`;

    function create() {
      const spawner = new PbsSpawner(
        { user: { name: 'alice' }, runner: runner() },
        { ...common, request: { homedir: '/home/alice' } },
      );
      spawner.loadState(saved('pbs', '7.node01'));
      return spawner;
    }

    it('is kept in the state, and believed', async () => {
      list = record('R');
      const spawner = create();
      expect(await causeAfter(spawner, 1)).to.equal(undefined);
      expect(spawner.getState()).to.include({ endsAt: '2026-03-02T08:05:04.000Z' });
      isAway = true;
      expect(await causeAfter(spawner, 120)).to.equal(undefined);
      expect(await causeAfter(spawner, 20)).to.equal('timeout');
    });

    it('is not believed of a run that was suspended, also by the next hub', async () => {
      list = record('R');
      const spawner = create();
      await causeAfter(spawner, 1);
      list = record('S');
      await causeAfter(spawner, 1);
      expect(spawner.getState()).not.to.have.property('endsAt');
      list = record('R');
      await causeAfter(spawner, 60);

      const next = create();
      next.loadState(JSON.parse(JSON.stringify(spawner.getState())));
      await causeAfter(next, 1);
      expect(next.getState()).not.to.have.property('endsAt');
      isAway = true;
      expect(await causeAfter(next, 1)).to.equal(undefined);
      expect(await causeAfter(next, 60 * 24)).to.equal(undefined);

      isAway = false;
      list = record('R', '2');
      await causeAfter(next, 1);
      expect(next.getState()).to.have.property('endsAt');
    });

    it('is not that of the next run, which is waited for', async () => {
      list = record('R');
      const spawner = create();
      await causeAfter(spawner, 1);
      list = record('Q');
      await causeAfter(spawner, 1);
      expect(spawner.getState()).not.to.have.property('endsAt');
    });
  });
});
