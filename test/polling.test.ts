import { expect } from 'chai';
import sinon from 'sinon';
import { crashed, eventsOf, TestMachine, TestSpawner } from './helpers/test-spawner.ts';

const pollInterval = 10_000;

describe('A spawner that polls by itself', () => {
  let clock: sinon.SinonFakeTimers;
  let random: sinon.SinonStub<[], number>;
  beforeEach(() => {
    clock = sinon.useFakeTimers();
    random = sinon.stub(Math, 'random').returns(0.5);
  });
  afterEach(() => sinon.restore());

  it('asks again and again while the server lives', async () => {
    const spawner = new TestSpawner({ pollInterval });
    await spawner.start();
    await clock.tickAsync(3 * pollInterval);
    expect(spawner.polls).to.equal(3);
  });

  it('emits once that the server has ended, and asks no more', async () => {
    const spawner = new TestSpawner({ pollInterval });
    await spawner.start();
    const events = eventsOf(spawner);
    spawner.machine.end(crashed);
    await clock.tickAsync(10 * pollInterval);
    expect(events).to.deep.equal([
      ['exited', crashed],
      ['state', { version: 1, spawner: 'test' }],
    ]);
    expect(spawner.polls).to.equal(1);
    expect(clock.countTimers()).to.equal(0);
  });

  it('asks no more after a stop, nor after clearState()', async () => {
    for (const end of ['stop', 'clearState'] as const) {
      const spawner = new TestSpawner({ pollInterval });
      await spawner.start();
      await spawner[end]();
      await clock.tickAsync(10 * pollInterval);
      expect(spawner.polls).to.equal(0);
      expect(clock.countTimers()).to.equal(0);
    }
  });

  it('asks about a server whose state it has loaded', async () => {
    const machine = new TestMachine();
    const first = new TestSpawner({}, { machine });
    await first.start();
    const second = new TestSpawner({ pollInterval }, { machine });
    second.loadState(first.getState());
    machine.end(crashed);
    const events = eventsOf(second);
    await clock.tickAsync(pollInterval);
    expect(events[0]).to.deep.equal(['exited', crashed]);
  });

  it('asks about the server of a second start as about the first', async () => {
    const spawner = new TestSpawner({ pollInterval });
    await spawner.start();
    await spawner.stop();
    await spawner.start();
    await clock.tickAsync(2 * pollInterval);
    expect(spawner.polls).to.equal(2);
    expect(clock.countTimers()).to.equal(1);
  });

  it('goes on asking about a server when a second start is refused because of it', async () => {
    const spawner = new TestSpawner({ pollInterval });
    await spawner.start();
    await spawner.start().catch(() => {});
    spawner.polls = 0;
    await clock.tickAsync(2 * pollInterval);
    expect(spawner.polls).to.equal(2);
  });

  it('spreads the questions of many spawners by a tenth of the interval', async () => {
    for (const [luck, before, after] of [
      [0, 8999, 9000],
      [0.999999, 10_990, 11_000],
    ] as const) {
      random.returns(luck);
      const spawner = new TestSpawner({ pollInterval });
      await spawner.start();
      await clock.tickAsync(before);
      expect(spawner.polls).to.equal(0);
      await clock.tickAsync(after - before);
      expect(spawner.polls).to.equal(1);
      await spawner.stop();
    }
  });

  it('does not keep the process of the hub alive', async () => {
    const timers = sinon.spy(globalThis, 'setTimeout');
    await new TestSpawner({ pollInterval }).start();
    const last: unknown = timers.lastCall.returnValue;
    expect(last).to.respondTo('hasRef');
    expect((last as NodeJS.Timeout).hasRef()).to.equal(false);
  });

  it('turns errors of questions into warnings, and asks again', async () => {
    const spawner = new TestSpawner({ pollInterval });
    await spawner.start();
    const events = eventsOf(spawner);
    spawner.failure = new Error('squeue: no answer');
    await clock.tickAsync(2 * pollInterval);
    const warning = {
      code: 'command-failed',
      message: 'The server could not be polled: squeue: no answer',
      cause: spawner.failure,
    };
    expect(events).to.deep.equal([
      ['warning', warning],
      ['warning', warning],
    ]);
    spawner.failure = undefined;
    spawner.machine.end(crashed);
    await clock.tickAsync(pollInterval);
    expect(events[2]).to.deep.equal(['exited', crashed]);
  });

  it('survives a poll() that throws without a promise', async () => {
    const spawner = new TestSpawner({ pollInterval });
    await spawner.start();
    const events = eventsOf(spawner);
    const poll = sinon.stub(spawner, 'poll').throws(new TypeError('no promise'));
    await clock.tickAsync(2 * pollInterval);
    expect(poll.callCount).to.equal(2);
    expect(events.map(([name]) => name)).to.deep.equal(['warning', 'warning']);
  });

  it('does not ask again while a question is open', async () => {
    const spawner = new TestSpawner({ pollInterval });
    await spawner.start();
    let answer = (_: null) => {};
    const poll = sinon.stub(spawner, 'poll').returns(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    await clock.tickAsync(5 * pollInterval);
    expect(poll.callCount).to.equal(1);
    answer(null);
    await clock.tickAsync(pollInterval);
    expect(poll.callCount).to.equal(2);
  });

  it('leaves the asking to the hub where the interval is 0', async () => {
    const spawner = new TestSpawner({ pollInterval: 0 });
    await spawner.start();
    expect(clock.countTimers()).to.equal(0);
  });
});
