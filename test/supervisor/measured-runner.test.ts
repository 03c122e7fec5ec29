import { expect } from 'chai';
import sinon from 'sinon';
import { CommandError } from '../../lib/errors.ts';
import type { RunOptions } from '../../lib/runners/runner.ts';
import { measured } from '../../lib/supervisor/measured-runner.ts';
import { Metrics } from '../../lib/supervisor/metrics.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const servers = { waiting: 0, starting: 0, ready: 0, unhealthy: 0, stopping: 0 };

describe('A measured runner', () => {
  let clock: sinon.SinonFakeTimers;
  let metrics: Metrics;
  const commands = () => metrics.snapshot(servers, []).commands;

  beforeEach(() => {
    clock = sinon.useFakeTimers();
    metrics = new Metrics();
  });

  afterEach(() => {
    clock.restore();
  });

  it('is one for the same runner and metrics, and for those only', () => {
    const runner = new StubRunner({});
    const wrapper = measured(runner, metrics);
    expect(measured(runner, metrics)).to.equal(wrapper);
    expect(measured(runner, new Metrics())).not.to.equal(wrapper);
    expect(measured(new StubRunner({}), metrics)).not.to.equal(wrapper);
    expect(measured(runner, metrics)).to.equal(wrapper);
  });

  it('passes on what it gets and what it gives', async () => {
    const run = sinon
      .stub()
      .resolves(
        Object.freeze({ stdout: 'a', stderr: 'b', exitCode: 0, signal: null, timedOut: false }),
      );
    const argv = Object.freeze(['squeue', '-h']);
    const options: RunOptions = Object.freeze({
      user: 'alice',
      signal: new AbortController().signal,
    });
    const result = await measured({ run }, metrics).run(argv, options);
    expect(run.firstCall.args[0]).to.equal(argv);
    expect(run.firstCall.args[1]).to.equal(options);
    expect(run.firstCall.thisValue).to.have.property('run', run);
    expect(result).to.equal(await run.firstCall.returnValue);
  });

  it('counts what comes of commands, and how long they take', async () => {
    const runner = new StubRunner({
      squeue: ['', { exitCode: 1 }, { signal: 'SIGKILL' }, { timedOut: true, signal: 'SIGTERM' }],
      sleep: () => new Promise((resolve) => setTimeout(() => resolve('late'), 2000)),
    });
    const wrapper = measured(runner, metrics);
    for (let index = 0; index < 4; index += 1) await wrapper.run(['squeue']);
    const slow = wrapper.run(['sleep', '2']);
    expect(commands(), 'before its end').not.to.have.property('sleep');
    await clock.tickAsync(2000);
    await slow;

    expect(commands()['squeue']).to.deep.include({ ok: 1, failed: 2, timedOut: 1, notRun: 0 });
    expect(commands()['squeue']?.seconds.count).to.equal(4);
    expect(commands()['sleep']?.seconds).to.deep.include({ count: 1, sum: 2 });
  });

  it('passes on why a command could not be run, and counts it', async () => {
    const failure = new CommandError('.', { command: 'sbatch' });
    const runners = [
      new StubRunner({ sbatch: failure }),
      {
        run() {
          throw failure;
        },
      },
    ];
    for (const runner of runners) {
      const error = await measured(runner, metrics)
        .run(['sbatch'])
        .catch((reason: unknown) => reason);
      expect(error).to.equal(failure);
    }
    expect(commands()['sbatch']).to.deep.include({ ok: 0, failed: 0, timedOut: 0, notRun: 2 });
    expect(commands()['sbatch']?.seconds.count).to.equal(0);
  });

  it('knows the names of programs and nothing else', async () => {
    const wrapper = measured(new StubRunner(() => ''), metrics);
    await wrapper.run(['/usr/bin/squeue', '--user=alice'], {
      input: 'secret',
      env: { A: 'secret' },
    });
    await wrapper.run(['/bin/sh', '-c', 'rm -f -- "$1"', 'sh', '/home/alice/x']);
    await wrapper.run([]);

    expect(Object.keys(commands())).to.deep.equal(['squeue', 'sh', '']);
    expect(JSON.stringify(commands())).not.to.match(/alice|secret|rm/);
  });
});
