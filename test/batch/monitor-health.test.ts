import { expect } from 'chai';
import sinon from 'sinon';
import type { JobQuery } from '../../lib/batch/monitor.ts';
import { JobMonitor } from '../../lib/batch/monitor.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const query: JobQuery = { scheduler: slurm, argv: ['squeue'], options: {}, interval: 2000 };

describe('JobMonitor.healthOf', () => {
  let clock: sinon.SinonFakeTimers;
  let answer: StubAnswer;
  let runner: StubRunner;

  /** Asks, and lets time pass. */
  const ask = async (ms: number) => {
    const look = JobMonitor.of(runner, query).look('1');
    await clock.tickAsync(ms);
    await look;
  };

  beforeEach(() => {
    clock = sinon.useFakeTimers();
    answer = '';
    runner = new StubRunner(() => answer);
  });

  afterEach(() => {
    clock.restore();
  });

  it('says how old the last usable answer is, and how many failed since', async () => {
    await ask(5000);
    expect(JobMonitor.healthOf(runner)).to.deep.equal([
      { scheduler: 'slurm', age: 5, failures: 0 },
    ]);

    answer = { exitCode: 1 };
    await ask(60_000);
    await ask(60_000);
    expect(JobMonitor.healthOf(runner)).to.deep.equal([
      { scheduler: 'slurm', age: 125, failures: 2 },
    ]);

    answer = '';
    await ask(1000);
    expect(JobMonitor.healthOf(runner)).to.deep.equal([
      { scheduler: 'slurm', age: 1, failures: 0 },
    ]);
  });

  it('says that there was no usable answer yet', async () => {
    answer = { timedOut: true };
    await ask(1000);
    expect(JobMonitor.healthOf(runner)).to.deep.equal([
      { scheduler: 'slurm', age: null, failures: 1 },
    ]);
  });

  it('speaks of the shared monitors of that runner that somebody asks', async () => {
    JobMonitor.of(runner, { ...query, argv: ['squeue', '-M', 'unused'] });
    await JobMonitor.of(runner, { ...query, argv: ['squeue', '-M', 'b'] }).look('1');
    await JobMonitor.of(runner, { ...query, jobId: '1' }).look('1');
    await ask(0);
    expect(JobMonitor.healthOf(runner)).to.have.length(2);
    expect(JobMonitor.healthOf(new StubRunner({}))).to.deep.equal([]);

    await clock.tickAsync(600_000);
    expect(JobMonitor.healthOf(runner)).to.have.length(2);
    await clock.tickAsync(1);
    expect(JobMonitor.healthOf(runner)).to.deep.equal([]);
    await ask(0);
    expect(JobMonitor.healthOf(runner)).to.have.length(1);
  });
});
