import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import sinon from 'sinon';
import { unlessAborted } from '../lib/abort.ts';
import type { StartStep } from '../lib/errors.ts';
import { AbortError, StartError, StartTimeoutError } from '../lib/errors.ts';
import type { ExitCause } from '../lib/events.ts';
import { endedEarly, runStep } from '../lib/start.ts';
import { rejected } from './helpers/errors.ts';

/** A task that ends only when it is told to. */
const endless = (signal: AbortSignal) => unlessAborted(signal, () => new Promise<never>(() => {}));

describe('A step of a start', () => {
  let clock: sinon.SinonFakeTimers;
  let signal: AbortSignal;
  beforeEach(() => {
    clock = sinon.useFakeTimers();
    ({ signal } = new AbortController());
  });
  afterEach(() => {
    clock.restore();
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });

  it('gives what it gives, and leaves no timer', async () => {
    expect(await runStep(signal, 'launch', 1000, async () => 5)).to.equal(5);
    expect(clock.countTimers()).to.equal(0);
  });

  it('fails as it fails', async () => {
    const failure = new TypeError('no');
    const step = runStep(signal, 'launch', 1000, () => Promise.reject(failure));
    expect(await rejected(TypeError, step)).to.equal(failure);
    expect(clock.countTimers()).to.equal(0);
  });

  const messages: Readonly<Record<StartStep, string>> = {
    preSpawn: 'The hook preSpawn took longer than startTimeout (1.5 s).',
    submit: 'The submission could not be completed within startTimeout (1.5 s).',
    queue: 'The job waited in the queue for longer than queueTimeout (1.5 s).',
    launch: 'Where the server listens was not known within startTimeout (1.5 s).',
    readiness: 'The server did not answer within httpTimeout (1.5 s).',
    progressReady: 'The hook progressReady took longer than startTimeout (1.5 s).',
  };
  for (const step of Object.keys(messages) as StartStep[]) {
    it(`of the kind ${step} says which option limits it, when its time is over`, async () => {
      const failed = rejected(StartTimeoutError, runStep(signal, step, 1500, endless));
      await clock.tickAsync(1499);
      expect(clock.countTimers()).to.equal(1);
      await clock.tickAsync(1);
      expect(await failed).to.include({ message: messages[step], step, timeout: 1500 });
    });
  }

  it('names what it has met with until its time is over', async () => {
    const trouble = new StartError('The door is shut.');
    let met: StartError | undefined;
    const step = runStep(signal, 'submit', 1500, endless, () => met);
    const failed = rejected(StartTimeoutError, step);
    await clock.tickAsync(1000);
    met = trouble;
    await clock.tickAsync(500);
    expect(await failed).to.include({ cause: trouble, retryable: true });
    expect(String(await failed)).to.match(/within startTimeout \(1\.5 s\)\. The door is shut\.$/);
  });

  it('fails for lack of time, whatever breaks when it is ended because of that', async () => {
    const step = runStep(signal, 'launch', 1000, async (inner) => {
      await endless(inner).catch(() => {});
      throw new TypeError('The connection was closed.');
    });
    const failed = rejected(StartTimeoutError, step);
    await clock.tickAsync(1000);
    expect(await failed).to.include({ step: 'launch' });
  });

  it('without a limit takes as long as it takes', async () => {
    const controller = new AbortController();
    const failed = rejected(AbortError, runStep(controller.signal, 'queue', null, endless));
    await clock.tickAsync(1e12);
    controller.abort('left');
    expect(await failed).to.include({ cause: 'left' });
  });

  it('keeps a result that comes although its time is over', async () => {
    const step = runStep(signal, 'submit', 1000, async (inner) => {
      await endless(inner).catch(() => {});
      return 'job 5';
    });
    await clock.tickAsync(1000);
    expect(await step).to.equal('job 5');
  });

  it('does not begin when the start is aborted already', async () => {
    const run = sinon.fake.resolves(5);
    await rejected(AbortError, runStep(AbortSignal.abort(), 'launch', 1000, run));
    expect(run.called).to.equal(false);
    expect(clock.countTimers()).to.equal(0);
  });
});

describe('A start whose server ended early', () => {
  const isRetryable = (cause: ExitCause, log?: string) =>
    endedEarly('Ended.', { code: 1, signal: null, cause, message: 'Failed.' }, log).retryable;

  it('may be tried again where its node was the reason', () => {
    const causes = ['node-failure', 'preempted', 'failed', 'out-of-memory', 'timeout', 'cancelled'];
    expect((causes as ExitCause[]).map((cause) => isRetryable(cause))).to.deep.equal([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  for (const log of [
    'OSError: [Errno 98] Address already in use',
    'Error: listen EADDRINUSE: address already in use 0.0.0.0:41234',
    'listen tcp :41234: bind: address already in use',
    'ERROR: the Jupyter server could not be started because port 41234 is not available.',
    'The port 41234 is already in use, trying another port.',
  ]) {
    it(`may be tried again where its port was taken: ${log}`, () => {
      expect(isRetryable('failed', `Starting\n${log}\nBye\n`)).to.equal(true);
    });
  }

  it('may not be tried again for other words about ports', () => {
    for (const log of ['', 'The port 41234 is open.', 'The module is not available', 'EADDR']) {
      expect(isRetryable('failed', log)).to.equal(false);
    }
  });
});
