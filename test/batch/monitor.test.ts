import { expect } from 'chai';
import sinon from 'sinon';
import type { JobQuery } from '../../lib/batch/monitor.ts';
import { JobMonitor } from '../../lib/batch/monitor.ts';
import { withOverrides } from '../../lib/batch/scheduler.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const listing = (...jobs: readonly (readonly [id: string, state: string])[]) =>
  jobs
    .map(([id, state]) => `\x1e${id}\x1f${state}\x1fn/a\x1f\x1fNone\x1fN/A\x1fN/A\x1fN/A\x1f\n`)
    .join('');

const down: StubAnswer = {
  exitCode: 1,
  stderr: 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n',
};

describe('JobMonitor', () => {
  let clock: sinon.SinonFakeTimers;
  let answer: () => StubAnswer | Promise<StubAnswer>;
  let runner: StubRunner;
  let monitor: JobMonitor;

  const query: JobQuery = {
    scheduler: slurm,
    argv: ['squeue'],
    options: { timeout: 1000 },
    interval: 2000,
  };

  beforeEach(() => {
    clock = sinon.useFakeTimers();
    sinon.stub(Math, 'random').returns(1);
    answer = () => listing(['1', 'RUNNING'], ['2', 'PENDING']);
    runner = new StubRunner(() => answer());
    monitor = JobMonitor.of(runner, query);
  });

  afterEach(() => {
    clock.restore();
    sinon.restore();
  });

  it('asks once for all who want to know at the same time', async () => {
    const sightings = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => monitor.look(String(index))),
    );

    expect(runner.calls).to.have.length(1);
    expect(sightings[1]).to.deep.include({ kind: 'listed' });
    expect(sightings[999]).to.deep.include({ kind: 'unlisted' });
  });

  it('is one for all spawners that ask the same through the same runner, and only for those', () => {
    expect(JobMonitor.of(runner, { ...query })).to.equal(monitor);
    expect(JobMonitor.of(runner, { ...query, argv: ['squeue', '-M', 'b'] })).not.to.equal(monitor);
    expect(JobMonitor.of(new StubRunner(() => ''), query)).not.to.equal(monitor);
  });

  it('keeps to the shortest interval that anybody asks for', async () => {
    expect(JobMonitor.of(runner, { ...query, interval: 500 })).to.equal(monitor);
    await monitor.look('1');
    await clock.tickAsync(500);
    await monitor.look('1');

    expect(runner.calls).to.have.length(2);
  });

  it('is another where an outage is recognised otherwise', () => {
    const scheduler = { ...slurm, patterns: { ...slurm.patterns, outage: /oops/ } };
    expect(JobMonitor.of(runner, { ...query, scheduler })).not.to.equal(monitor);
  });

  it('is another where the list is read otherwise', () => {
    const fitted = (job: string, header = '-') =>
      JobMonitor.of(runner, {
        ...query,
        scheduler: withOverrides(
          slurm,
          checkOptions<SlurmOptions>('slurm.json', { patterns: { job, header } }),
        ),
      });
    const one = fitted('^(?<id>1)(?<state>.)(?<host>.)');
    expect(fitted('^(?<id>1)(?<state>.)(?<host>.)')).to.equal(one);
    expect(fitted('^(?<id>2)(?<state>.)(?<host>.)')).not.to.equal(one);
    expect(fitted('^(?<id>1)(?<state>.)(?<host>.)', '=')).not.to.equal(one);
    expect(one).not.to.equal(monitor);
  });

  it('is another where a class reads the list by a function of its own', async () => {
    const scheduler = { ...slurm, parseQuery: () => ({ jobs: [], complete: true }) };
    const other = JobMonitor.of(runner, { ...query, scheduler });
    expect(await other.look('1')).to.include({ kind: 'unlisted' });
    expect(await monitor.look('1')).to.include({ kind: 'listed' });
    expect(JobMonitor.of(runner, { ...query, scheduler: { ...scheduler } })).to.equal(other);
  });

  it('asks nothing while nobody wants to know', async () => {
    await monitor.look('1');
    await clock.tickAsync(3_600_000);

    expect(runner.calls).to.have.length(1);
  });

  it('answers from the last query for the length of an interval, and then asks again', async () => {
    await monitor.look('1');
    await clock.tickAsync(1999);
    await monitor.look('1');
    expect(runner.calls).to.have.length(1);

    await clock.tickAsync(1);
    await monitor.look('1');
    expect(runner.calls).to.have.length(2);
  });

  it('waits for a query that begins after the moment that was asked for', async () => {
    let release: (output: string) => void = () => {};
    answer = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const first = monitor.look('1');
    await clock.tickAsync(500);
    const second = monitor.look('1', performance.now());
    const third = monitor.look('2', performance.now());

    release(listing(['1', 'RUNNING']));
    expect(await first).to.deep.include({ kind: 'listed', at: 0 });
    answer = () => listing(['1', 'CANCELLED']);
    await clock.tickAsync(2000);

    expect(await second).to.have.nested.property('status.nativeState', 'CANCELLED');
    expect(await third).to.deep.include({ kind: 'unlisted' });
    expect(runner.calls).to.have.length(2);
  });

  const unusable: Record<string, () => StubAnswer> = {
    'an exit code that is not 0': () => down,
    'a time-out': () => ({ timedOut: true }),
    'a signal': () => ({ signal: 'SIGKILL' }),
    'an error on standard error although the exit code is 0': () => ({
      stderr: 'slurm_load_jobs error: Socket timed out on send/recv operation\n',
    }),
    'an unknown user': () => ({ stderr: 'squeue: error: Invalid user: nosuchuser\n' }),
    'output that was cut': () => ({ stdout: listing(['2', 'RUNNING']), truncated: true }),
    'a record that was cut': () => listing(['2', 'RUNNING']).slice(0, -4),
    'output of another kind': () => 'JOBID PARTITION NAME\n',
    'a program that is missing': () => new Error('ENOENT'),
  };
  for (const [what, gives] of Object.entries(unusable)) {
    it(`says that it does not know after ${what}`, async () => {
      answer = gives;

      expect(await monitor.look('1')).to.deep.include({ kind: 'unknown' });
    });
  }

  it('keeps the rows that it could read, whatever the exit code', async () => {
    answer = () => ({ ...down, stdout: listing(['1', 'RUNNING']) });

    expect(await monitor.look('1')).to.deep.include({ kind: 'listed' });
    expect(await monitor.look('2')).to.deep.include({ kind: 'unknown' });
  });

  it('asks ever more rarely while the scheduler is away, and as before when it is back', async () => {
    answer = () => down;
    const begun: number[] = [];
    for (let since = 0; begun.length < 7; since = performance.now() + 1) {
      const pending = monitor.look('1', since);
      await clock.runAllAsync();
      begun.push((await pending).at);
      await clock.tickAsync(1);
    }
    const pauses = begun.slice(1).map((at, index) => at - (begun[index] ?? 0));
    expect(pauses).to.deep.equal([4000, 8000, 15_000, 15_000, 15_000, 15_000]);

    answer = () => listing(['1', 'RUNNING']);
    const back = monitor.look('1', performance.now());
    await clock.runAllAsync();
    expect(await back).to.deep.include({ kind: 'listed' });
    const next = monitor.look('1', performance.now() + 1);
    await clock.tickAsync(2000);
    expect((await next).at - (await back).at).to.equal(2000);
  });

  it('answers at once while it pauses, without a command', async () => {
    answer = () => down;
    await monitor.look('1');
    answer = () => listing(['1', 'RUNNING']);
    await clock.tickAsync(3999);

    expect(await monitor.look('1')).to.deep.include({ kind: 'unknown' });
    expect(runner.calls).to.have.length(1);

    await clock.tickAsync(1);
    expect(await monitor.look('1')).to.deep.include({ kind: 'listed' });
  });

  describe('about one job', () => {
    const about = (jobId: string) => JobMonitor.of(runner, { ...query, jobId });

    it('denies it only where the command says that there is none', async () => {
      const unclear: readonly StubAnswer[] = [
        '',
        listing(['2', 'RUNNING']),
        { exitCode: 1 },
        { stdout: 'Invalid job id specified\n' },
      ];
      for (const output of unclear) {
        answer = () => output;
        expect(await about('1').look('1')).to.deep.include({ kind: 'unknown' });
      }
      answer = () => ({ exitCode: 1, stderr: 'Invalid job id specified\n' });
      expect(await about('1').look('1')).to.deep.include({ kind: 'unlisted', denied: true });
      answer = () => '';
      expect(await monitor.look('1')).to.deep.include({ kind: 'unlisted', denied: false });
    });

    it('asks again after the interval where the answer is about that job alone', async () => {
      answer = () => listing(['1', 'RUNNING']).concat('\x1e2');
      const one = about('1');
      expect(await one.look('1')).to.deep.include({ kind: 'listed' });
      await clock.tickAsync(2000);
      await one.look('1');
      expect(runner.calls).to.have.length(2);
    });

    it('asks few questions at once, however many jobs there are', async () => {
      let now = 0;
      let most = 0;
      answer = async () => {
        now += 1;
        most = Math.max(most, now);
        await new Promise((resolve) => setTimeout(resolve, 10));
        now -= 1;
        return listing(['1', 'RUNNING']);
      };
      const looks = Promise.all(Array.from({ length: 100 }, () => about('1').look('1')));
      await clock.tickAsync(1000);
      expect(await looks).to.have.length(100);
      expect(most).to.be.within(1, 8);
    });
  });
});
