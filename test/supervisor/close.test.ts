import { expect } from 'chai';
import type sinon from 'sinon';
import { AbortError, CommandError, StopError, StoreError } from '../../lib/errors.ts';
import { newMark } from '../../lib/mark.ts';
import { rejected } from '../helpers/errors.ts';
import { apiUrl, fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

describe('A supervisor that is closed', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);
  const both = ['keep', 'stop'] as const;

  /** So many records are left, and the next hub is done with those of starts that had not begun. */
  async function expectLeft(hub: TestHub, count: number): Promise<void> {
    expect(Object.keys(await hub.store.content())).to.have.length(count);
    const next = hub.next();
    await next.supervisor.restore();
    await settle();
    expect(next.servers).to.have.length(next.cluster.alive.length);
    expect(Object.keys(await next.store.content())).to.have.length(next.cluster.alive.length);
    await next.supervisor.close();
  }

  it('lets its servers live', async () => {
    const hub = new TestHub();
    await Promise.all([hub.start('ada'), hub.start('bob')]);
    const content = await hub.store.content();
    await hub.supervisor.close();
    expect(hub.cluster.alive).to.have.length(2);
    expect(hub.cluster.calls.cancel).to.equal(0);
    expect(await hub.store.content()).to.deep.equal(content);
  });

  it('stops them all where it is told to', async () => {
    const hub = new TestHub();
    await Promise.all([hub.start('ada'), hub.start('bob')]);
    await hub.supervisor.close({ servers: 'stop' });
    expect(hub.cluster.alive).to.deep.equal([]);
    expect(hub.servers).to.deep.equal([]);
    expect(await hub.store.content()).to.deep.equal({});
    expect(hub.supervisor.metrics().stops.done).to.equal(2);
  });

  it('says which servers it could not stop, and leaves them to the next', async () => {
    const hub = new TestHub();
    await Promise.all([hub.start('ada'), hub.start('bob')]);
    hub.cluster.before = (call, tag) => {
      if (call === 'cancel' && tag?.includes(':ada:')) throw new Error('no');
    };
    const error = await rejected(StopError, hub.supervisor.close({ servers: 'stop' }));
    expect(error).to.include({
      message: '1 of 2 servers could not be stopped. The first: The job could not be cancelled.',
      retryable: true,
    });
    expect(JSON.stringify(await hub.store.content())).to.include('"phase":"stopping"');
    const next = hub.next();
    await next.supervisor.restore();
    await settle();
    expect(next.cluster.alive).to.deep.equal([]);
    expect(await next.store.content()).to.deep.equal({});
  });

  it('tries again to stop them where it is told to again', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    hub.cluster.isUp = false;
    await rejected(StopError, hub.supervisor.close({ servers: 'stop' }));
    hub.cluster.isUp = true;
    await hub.supervisor.close({ servers: 'stop' });
    expect(hub.cluster.alive).to.deep.equal([]);
    expect(await hub.store.content()).to.deep.equal({});
  });

  it('says that there are some whose records it could not use', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    await hub.store.set('hubspawner:["bob",""]', 'damaged');
    await hub.supervisor.close();
    const next = hub.next();
    const error = await rejected(StopError, next.supervisor.close({ servers: 'stop' }));
    expect(error.message).to.equal(
      "Servers whose records can't be used are left alone; there are records of 1.",
    );
    expect(next.cluster.alive).to.deep.equal([]);
  });

  it('is closed once, as it was said first', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    const closing = hub.supervisor.close();
    expect(hub.supervisor.close({ servers: 'stop' })).to.equal(closing);
    await closing;
    expect(hub.cluster.alive).to.have.length(1);
  });

  it('starts and stops nothing any more', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    await hub.supervisor.close();
    const error = await rejected(AbortError, hub.start('bob'));
    expect(error.message).to.equal('The supervisor is closed.');
    await rejected(AbortError, hub.start('ada'));
    await rejected(AbortError, hub.supervisor.stop('ada'));
    expect(hub.cluster.launched).to.equal(1);
    expect(hub.cluster.alive).to.have.length(1);
  });

  it('stops also what it has not restored yet', async () => {
    const first = new TestHub();
    await first.start('ada');
    await first.supervisor.close();
    const second = first.next();
    await second.supervisor.close({ servers: 'stop' });
    expect(second.cluster.alive).to.deep.equal([]);
    expect(await second.store.content()).to.deep.equal({});
  });

  it('can be closed before it was restored, and is not restored any more', async () => {
    const first = new TestHub();
    await first.start('ada');
    await first.supervisor.close();
    const hub = first.next();
    await hub.supervisor.close();
    await rejected(AbortError, hub.supervisor.restore());
    expect(hub.servers).to.deep.equal([]);
    expect(clock.countTimers()).to.equal(0);
  });

  for (const servers of both) {
    describe(`(${servers})`, () => {
      it('ends a start that waits for its turn', async () => {
        const hub = new TestHub({ startLimit: 1 });
        const gate = new Gate();
        hub.cluster.before = (call) => (call === 'submitted' ? gate.opened : undefined);
        const starts = ['ada', 'bob'].map((user) => rejected(AbortError, hub.start(user)));
        await settle();
        expect(hub.servers).to.deep.equal(['ada/ starting', 'bob/ waiting']);
        const closing = hub.supervisor.close({ servers });
        gate.open();
        await closing;
        await Promise.all(starts);
        expect(hub.cluster.launched).to.equal(1);
        expect(hub.cluster.alive).to.have.length(servers === 'keep' ? 1 : 0);
        await expectLeft(hub, servers === 'keep' ? 2 : 0);
        expect(hub.supervisor.metrics().starts).to.include({ failed: 0, aborted: 2 });
        expect(clock.countTimers()).to.equal(0);
      });

      it('ends the pause before a start is begun anew', async () => {
        const hub = new TestHub();
        hub.cluster.before = (call) => {
          if (call === 'submit')
            throw new CommandError('Busy.', { command: call, retryable: true });
        };
        const aborted = rejected(AbortError, hub.start('ada'));
        await settle();
        await hub.supervisor.close({ servers });
        await aborted;
        expect(hub.cluster.calls.submit).to.equal(1);
        expect(clock.countTimers()).to.equal(0);
        await expectLeft(hub, servers === 'keep' ? 1 : 0);
      });

      it('ends a start that waits for a token', async () => {
        const hub = new TestHub({ apiToken: () => new Promise(() => {}) });
        const aborted = rejected(AbortError, hub.start('ada'));
        await settle();
        await hub.supervisor.close({ servers });
        await aborted;
        expect(clock.countTimers()).to.equal(0);
        await expectLeft(hub, servers === 'keep' ? 1 : 0);
      });

      it('ends a start that waits for a stop', async () => {
        const hub = new TestHub();
        await hub.start('ada');
        const gate = new Gate();
        hub.cluster.before = (call) => (call === 'cancel' ? gate.opened : undefined);
        const stopping = hub.supervisor.stop('ada');
        const aborted = rejected(AbortError, hub.start('ada'));
        await settle();
        const closing = hub.supervisor.close({ servers });
        gate.open();
        await closing;
        await stopping;
        await aborted;
        expect(hub.cluster.launched).to.equal(1);
        expect(await hub.store.content()).to.deep.equal({});
      });

      it('waits until it is restored', async () => {
        const first = new TestHub();
        await first.start('ada');
        await first.supervisor.close();
        const hub = first.next();
        const gate = new Gate();
        hub.store.before = (call) => (call === 'list' ? gate.opened : undefined);
        const restored = hub.supervisor.restore();
        const closing = hub.supervisor.close({ servers });
        gate.open();
        await restored;
        await closing;
        expect(clock.countTimers()).to.equal(0);
        expect(hub.cluster.alive).to.have.length(servers === 'keep' ? 1 : 0);
      });

      it('does not wait for a store that can not be read', async () => {
        const hub = new TestHub();
        hub.store.before = () => Promise.reject(new Error('no'));
        const failed = rejected(StoreError, hub.supervisor.restore());
        const closed = hub.supervisor.close({ servers });
        if (servers === 'keep') {
          await closed;
        } else {
          expect((await rejected(StopError, closed)).message).to.equal(
            "It is not known which servers an earlier hub has left: The store can't be read: no",
          );
        }
        await failed;
      });

      it('does not wait for ever for a store that does not answer', async () => {
        const first = new TestHub();
        await first.start('ada');
        await first.supervisor.close();
        const hub = first.next();
        const gate = new Gate();
        hub.store.before = (call) => (call === 'list' ? gate.opened : undefined);
        const restored = rejected(AbortError, hub.supervisor.restore());
        const closing = hub.supervisor.close({ servers });
        const closed = servers === 'keep' ? closing : rejected(StopError, closing);
        await clock.tickAsync(servers === 'keep' ? 15_000 : 120_000);
        await closed;
        // What it would bring back now is another hub's.
        gate.open();
        await restored;
        expect(hub.servers).to.deep.equal([]);
        expect(hub.cluster.alive).to.have.length(1);
        expect(clock.countTimers()).to.equal(0);
      });

      it('does not wait for ever until the store has kept and removed all', async () => {
        const hub = new TestHub();
        await hub.start('ada');
        hub.store.before = () => new Promise(() => {});
        const closing = hub.supervisor.close({ servers });
        await clock.tickAsync(20_000);
        await closing;
        expect(hub.cluster.alive).to.have.length(servers === 'keep' ? 1 : 0);
      });

      it('lets a server be whose token comes too late', async () => {
        const first = new TestHub({ apiToken: () => 'a-token-of-ada' });
        await first.start('ada');
        await first.supervisor.close();
        let isReady = false;
        const gate = new Gate();
        const apiToken = async () => {
          if (!isReady) throw new Error('no');
          await gate.opened;
          return 'a-token-of-ada';
        };
        const hub = first.next({ apiToken });
        await hub.supervisor.restore();
        isReady = true;
        await clock.tickAsync(33_000);
        await hub.supervisor.close({ servers }).catch(() => {});
        hub.told.length = 0;
        gate.open();
        await settle();
        expect([hub.servers, hub.told]).to.deep.equal([[], []]);
        expect(hub.cluster.alive).to.have.length(1);
      });
    });
  }

  it('lets a start go on for the next hub, and its promise end', async () => {
    const hub = new TestHub();
    hub.cluster.queues = true;
    const aborted = rejected(AbortError, hub.start('ada'));
    await settle();
    await hub.supervisor.close();
    await aborted;
    expect(hub.cluster.alive).to.have.length(1);
    expect(hub.told).to.not.include('failed ada/');
    const next = hub.next();
    await next.supervisor.restore();
    const start = next.start('ada');
    await settle();
    next.cluster.run();
    expect(await start).to.include({ host: 'node1' });
    expect(next.cluster.launched).to.equal(1);
  });

  it('waits for a submission that is under way, and keeps its job', async () => {
    const hub = new TestHub();
    const gate = new Gate();
    hub.cluster.before = (call) => (call === 'submitted' ? gate.opened : undefined);
    const aborted = rejected(AbortError, hub.start('ada'));
    await settle();
    let isClosed = false;
    const closing = hub.supervisor.close().then(() => {
      isClosed = true;
    });
    await settle();
    expect(isClosed).to.equal(false);
    gate.open();
    await closing;
    await aborted;
    expect(JSON.stringify(await hub.store.content())).to.include('"id":"job-1"');
  });

  it('keeps a start unclear for the next hub', async () => {
    const first = new TestHub();
    first.store.before = (call, value) =>
      call === 'set' && JSON.stringify(value).includes('"tag"') ? new Promise(() => {}) : undefined;
    first.start('ada').catch(() => {});
    await settle();
    first.kill();
    clock.reset();
    const hub = first.next();
    hub.cluster.isUp = false;
    await hub.supervisor.restore();
    await hub.supervisor.close();
    hub.cluster.add(newMark({ user: { name: 'ada' }, hub: { apiUrl } }, 64).tag, 'ada');
    const next = hub.next();
    await next.supervisor.restore();
    await settle();
    expect(next.servers).to.deep.equal(['ada/ ready']);
  });

  it('is told of nothing any more', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    const { spawner } = hub.supervisor.find('ada') ?? {};
    const content = await hub.store.content();
    await hub.supervisor.close();
    const told = hub.told.length;
    hub.cluster.end(crashed);
    await spawner?.poll();
    await settle();
    expect(hub.told).to.have.length(told);
    expect(await hub.store.content()).to.deep.equal(content);
  });

  it('waits for what a round has begun', async () => {
    const hub = new TestHub();
    hub.cluster.isUp = false;
    await hub.supervisor.restore();
    hub.cluster.isUp = true;
    hub.cluster.add(newMark({ user: { name: 'ada' }, hub: { apiUrl } }, 64).tag, 'ada');
    const gate = new Gate();
    hub.cluster.before = (call) => (call === 'cancel' ? gate.opened : undefined);
    await clock.tickAsync(33_000);
    let isClosed = false;
    const closing = hub.supervisor.close().then(() => {
      isClosed = true;
    });
    await settle();
    expect(isClosed).to.equal(false);
    gate.open();
    await closing;
  });
});
