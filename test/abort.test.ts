import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { abortError, firstOf, throwIfAborted, unlessAborted, withSignal } from '../lib/abort.ts';
import { AbortError, StartTimeoutError } from '../lib/errors.ts';
import { rejected, thrown, unhandledDuring } from './helpers/errors.ts';

/** Settles only when the signal is aborted. */
function untilAborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('aborted'));
  });
}

describe('The error of an aborted call', () => {
  it('is an AbortError with the reason of the signal as its cause', () => {
    const reason = new Error('The person has left.');
    const error = abortError(AbortSignal.abort(reason));
    expect(error).to.be.instanceOf(AbortError);
    expect(error.name).to.equal('AbortError');
    expect(error.cause).to.equal(reason);
  });

  it('is the reason itself where that is an error of this library', () => {
    const reason = new StartTimeoutError('It took too long.', 'launch', 1000);
    expect(thrown(StartTimeoutError, () => throwIfAborted(AbortSignal.abort(reason)))).to.equal(
      reason,
    );
  });

  it('does not come while the signal is not aborted', () => {
    expect(() => throwIfAborted(new AbortController().signal)).not.to.throw();
  });
});

describe('unlessAborted', () => {
  it('gives what the task gives, and leaves no listener', async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(signal, async () => 5)).to.equal(5);
    const failure = new Error('no');
    const failed = unlessAborted(signal, () => Promise.reject(failure));
    expect(await rejected(Error, failed)).to.equal(failure);
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });

  it('does not begin the task when the signal is aborted already', async () => {
    let begun = false;
    const waiting = unlessAborted(AbortSignal.abort(), async () => {
      begun = true;
    });
    await rejected(AbortError, waiting);
    expect(begun).to.equal(false);
  });

  it('waits no longer for a task that never ends, when the signal is aborted', async () => {
    const controller = new AbortController();
    const waiting = unlessAborted(controller.signal, () => new Promise(() => {}));
    controller.abort();
    await rejected(AbortError, waiting);
    expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
  });

  it('takes no notice of a task that fails after it was given up', async () => {
    const controller = new AbortController();
    let fail = (_: Error) => {};
    const task = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const unhandled = await unhandledDuring(async () => {
      const waiting = unlessAborted(controller.signal, () => task);
      controller.abort();
      await rejected(AbortError, waiting);
      fail(new Error('late'));
    });
    expect(unhandled).to.be.empty;
  });
});

describe('withSignal', () => {
  it('aborts the task with the reason of the outer signal', async () => {
    const controller = new AbortController();
    const done = withSignal(controller.signal, async (signal) => {
      await untilAborted(signal);
      return signal.reason;
    });
    controller.abort('left');
    expect(await done).to.equal('left');
  });

  it('begins with an aborted signal where the outer one is aborted already', async () => {
    const aborted = await withSignal(AbortSignal.abort('left'), async (signal) => signal.reason);
    expect(aborted).to.equal('left');
  });

  it('lets the task be aborted without the outer signal', async () => {
    const { signal: outer } = new AbortController();
    const reason = await withSignal(outer, async (signal, abort) => {
      abort('enough');
      return signal.reason;
    });
    expect(reason).to.equal('enough');
    expect(outer.aborted).to.equal(false);
  });

  it('ends what the task has left behind, and leaves no listener on the outer signal', async () => {
    const { signal: outer } = new AbortController();
    let left = Promise.resolve('');
    await withSignal(outer, async (signal) => {
      left = untilAborted(signal);
    });
    expect(await left).to.equal('aborted');
    await rejected(
      TypeError,
      withSignal(outer, () => Promise.reject(new TypeError('no'))),
    );
    expect(getEventListeners(outer, 'abort')).to.deep.equal([]);
  });
});

describe('firstOf', () => {
  it('gives what the first task gives, when the others have ended', async () => {
    const { signal } = new AbortController();
    let ended = false;
    const first = await firstOf(
      signal,
      async () => 'first',
      async (inner) => {
        await untilAborted(inner);
        await new Promise((resolve) => setImmediate(resolve));
        ended = true;
        return 'second';
      },
    );
    expect(first).to.equal('first');
    expect(ended).to.equal(true);
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });

  it('fails when the first task to settle fails, and leaves no later failure in the air', async () => {
    const { signal } = new AbortController();
    const failure = new TypeError('first');
    const unhandled = await unhandledDuring(async () => {
      const failed = firstOf<string>(
        signal,
        () => Promise.reject(failure),
        async (inner) => {
          await untilAborted(inner);
          throw new Error('second');
        },
      );
      expect(await rejected(TypeError, failed)).to.equal(failure);
    });
    expect(unhandled).to.be.empty;
  });

  it('aborts all tasks when the signal is aborted', async () => {
    const controller = new AbortController();
    const both = firstOf(controller.signal, untilAborted, untilAborted);
    controller.abort();
    expect(await both).to.equal('aborted');
  });
});
