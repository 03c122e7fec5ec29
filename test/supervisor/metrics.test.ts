import { expect } from 'chai';
import { StartError, StartTimeoutError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { SupervisorMetrics } from '../../lib/supervisor/metrics.ts';
import { Metrics } from '../../lib/supervisor/metrics.ts';

const servers = { waiting: 0, starting: 0, ready: 0, unhealthy: 0, stopping: 0 };

/** How many values of a histogram are not greater than each bound that one of them passes first. */
function stepsOf({ buckets }: SupervisorMetrics['startSeconds']['total']): [number, number][] {
  return buckets
    .filter(({ count }, index) => count > (buckets[index - 1]?.count ?? 0))
    .map(({ le, count }) => [le, count]);
}

describe('Metrics', () => {
  let metrics: Metrics;
  const snapshot = () => metrics.snapshot(servers, []);

  beforeEach(() => {
    metrics = new Metrics();
  });

  it('begin at zero, with a place for all that has a fixed name', () => {
    const { starts, stops, culled, exits, failures, commands, startSeconds } = snapshot();
    expect(starts).to.deep.equal({ ready: 0, failed: 0, aborted: 0, retried: 0 });
    expect(stops).to.deep.equal({ done: 0, failed: 0 });
    expect(culled).to.deep.equal({ idle: 0, age: 0 });
    expect(Object.values(exits)).to.deep.equal(Array.from({ length: 8 }, () => 0));
    expect([failures, commands]).to.deep.equal([{}, {}]);
    expect(Object.keys(startSeconds)).to.deep.equal(['slot', 'submit', 'queue', 'launch', 'total']);
    for (const { count, sum, buckets } of Object.values(startSeconds)) {
      expect([count, sum]).to.deep.equal([0, 0]);
      expect(buckets[0]).to.deep.equal({ le: 0.1, count: 0 });
      expect(buckets.at(-1)).to.deep.equal({ le: 3600, count: 0 });
    }
  });

  it('count what happens', () => {
    metrics.aborted();
    metrics.retried();
    metrics.retried();
    metrics.stopped('done');
    metrics.stopped('failed');
    metrics.culled('idle');
    metrics.culled('age');
    const causes: readonly ExitCause[] = ['out-of-memory', 'timeout', 'timeout'];
    for (const cause of causes) metrics.exited(cause);

    const { starts, stops, culled, exits } = snapshot();
    expect(starts).to.deep.equal({ ready: 0, failed: 0, aborted: 1, retried: 2 });
    expect(stops).to.deep.equal({ done: 1, failed: 1 });
    expect(culled).to.deep.equal({ idle: 1, age: 1 });
    expect(exits).to.deep.include({ 'out-of-memory': 1, timeout: 2, failed: 0 });
  });

  it('part a start into its phases, in seconds', () => {
    metrics.started({
      requested: 0,
      waited: 50,
      slot: 50,
      submitted: 250,
      running: 60_250,
      ready: 65_250,
    });
    const { starts, startSeconds } = snapshot();
    expect(starts.ready).to.equal(1);
    const sums = Object.entries(startSeconds).map(([phase, { sum }]) => [phase, sum]);
    expect(Object.fromEntries(sums)).to.deep.equal({
      slot: 0.05,
      submit: 0.2,
      queue: 60,
      launch: 5,
      total: 65.25,
    });
    expect(stepsOf(startSeconds.queue), 'a bound belongs to its bucket').to.deep.equal([[60, 1]]);
    expect(stepsOf(startSeconds.total)).to.deep.equal([[120, 1]]);
  });

  it('add up the buckets, and have what is greater than all in the count alone', () => {
    for (const ready of [0, 90, 101, 7_200_000]) {
      metrics.started({ requested: 0, waited: 0, slot: 0, ready });
    }
    const { total } = snapshot().startSeconds;
    expect(stepsOf(total)).to.deep.equal([
      [0.1, 2],
      [0.25, 3],
    ]);
    expect(total.buckets.at(-1)?.count).to.equal(3);
    expect([total.count, total.sum]).to.deep.equal([4, 7200.191]);
  });

  it('leave out a phase whose beginning or end is not known', () => {
    metrics.started({ requested: 0, waited: 1, slot: 1, ready: 10 });
    metrics.started({ requested: 0, waited: 1, slot: 1, submitted: 5, ready: 10 });
    const { startSeconds } = snapshot();
    const counts = Object.values(startSeconds).map(({ count }) => count);
    expect(counts).to.deep.equal([2, 1, 0, 0, 2]);
  });

  it('tell of failures what ended the server, or else what the error is', () => {
    const exit = { code: null, signal: null, message: 'It is over.' };
    const errors: readonly unknown[] = [
      new StartError('.', { exit: { ...exit, cause: 'out-of-memory' } }),
      new StartError('.'),
      new StartTimeoutError('.', 'queue', 1000),
      Object.assign(new Error('.'), { code: 'ENOSPC' }),
      Object.assign(new Error('.'), { code: 7 }),
      new Error('.'),
      'text',
      undefined,
    ];
    for (const error of errors) metrics.failed(error);

    const { starts, failures } = snapshot();
    expect(starts.failed).to.equal(errors.length);
    expect(failures).to.deep.equal({
      'out-of-memory': 1,
      ERR_SPAWNER_START: 1,
      ERR_SPAWNER_TIMEOUT: 1,
      ENOSPC: 1,
      unknown: 4,
    });
  });

  it('keep commands by program', () => {
    metrics.ran('squeue', 'ok', 5);
    metrics.ran('squeue', 'failed', 6);
    metrics.ran('squeue', 'timedOut', 60_000);
    metrics.ran('sbatch', 'notRun');

    const { squeue, sbatch } = snapshot().commands;
    expect(squeue).to.deep.include({ ok: 1, failed: 1, timedOut: 1, notRun: 0 });
    expect(squeue?.seconds).to.deep.include({ count: 3, sum: 60.011 });
    expect(squeue && stepsOf(squeue.seconds)).to.deep.equal([
      [0.005, 1],
      [0.01, 2],
    ]);
    expect(sbatch).to.deep.include({ ok: 0, failed: 0, timedOut: 0, notRun: 1 });
    expect(sbatch?.seconds.count).to.equal(0);
  });

  it('keep so many names and no more', () => {
    for (let index = 0; index < 1000; index += 1) {
      metrics.ran(`program-${index}`, 'ok', 1);
      metrics.failed(Object.assign(new Error('.'), { code: `E${index}` }));
    }
    metrics.ran('program-0', 'ok', 1);

    const { commands, failures } = snapshot();
    expect(Object.keys(commands)).to.have.length(51);
    expect(commands['program-0']?.ok).to.equal(2);
    expect(commands['other']?.ok).to.equal(950);
    expect(Object.keys(failures)).to.have.length(51);
    expect(failures['other']).to.equal(950);
  });

  it('take names that every object has', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      metrics.ran(name, 'ok', 1);
      metrics.failed(Object.assign(new Error('.'), { code: name }));
    }
    const { commands, failures } = snapshot();
    expect(Object.keys(commands)).to.deep.equal(['__proto__', 'constructor', 'toString']);
    expect(Object.entries(failures)).to.deep.equal([
      ['__proto__', 1],
      ['constructor', 1],
      ['toString', 1],
    ]);
  });

  it('give a copy that stays as it is, and is the same after JSON', () => {
    const of = { ...servers, ready: 3 };
    const monitors = [{ scheduler: 'slurm', age: null, failures: 2 }];
    metrics.ran('squeue', 'ok', 5);
    const first = metrics.snapshot(of, monitors);
    const before: unknown = JSON.parse(JSON.stringify(first));

    metrics.ran('squeue', 'ok', 5);
    metrics.started({ requested: 0, waited: 0, slot: 0, submitted: 0, running: 0, ready: 0 });
    metrics.failed(undefined);
    metrics.exited('failed');
    metrics.stopped('done');
    metrics.culled('idle');
    of.ready = 4;
    monitors.pop();

    expect(first).to.deep.equal(before);
    expect(first).to.deep.include({
      servers: { ...servers, ready: 3 },
      monitors: [{ scheduler: 'slurm', age: null, failures: 2 }],
    });
  });
});
