import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import sinon from 'sinon';
import { sleep } from '../lib/sleep.ts';

describe('sleep', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = sinon.useFakeTimers();
  });
  afterEach(() => clock.restore());

  /** Whether a promise is settled, now that all that can run has run. */
  async function isOver(promise: Promise<unknown>): Promise<boolean> {
    let over = false;
    void promise.then(() => {
      over = true;
    });
    await clock.tickAsync(0);
    return over;
  }

  it('waits for the time that it is given', async () => {
    const sleeping = sleep(1000);
    await clock.tickAsync(999);
    expect(await isOver(sleeping)).to.equal(false);
    await clock.tickAsync(1);
    expect(await isOver(sleeping)).to.equal(true);
  });

  it('ends early, without an error and without a timer, when its signal is aborted', async () => {
    const controller = new AbortController();
    const sleeping = sleep(1000, controller.signal);
    await clock.tickAsync(500);
    controller.abort(new Error('enough'));
    expect(await isOver(sleeping)).to.equal(true);
    expect(clock.countTimers()).to.equal(0);
  });

  it('does not wait at all when its signal is aborted already', async () => {
    expect(await isOver(sleep(1000, AbortSignal.abort()))).to.equal(true);
    expect(clock.countTimers()).to.equal(0);
  });

  it('leaves no listener on a signal that lives longer', async () => {
    const { signal } = new AbortController();
    const sleeping = [sleep(10, signal), sleep(20, signal)];
    expect(getEventListeners(signal, 'abort')).to.have.length(2);
    await clock.tickAsync(20);
    await Promise.all(sleeping);
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });
});
