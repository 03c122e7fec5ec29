import { expect } from 'chai';
import type sinon from 'sinon';
import { AbortError, CommandError, StartError, StopError, StoreError } from '../../lib/errors.ts';
import { rejected } from '../helpers/errors.ts';
import { spawnersOf, TestCluster } from '../helpers/test-cluster.ts';
import { fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

describe('The limits of a supervisor', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);

  describe('on starts at once', () => {
    /** A hub whose submissions end one by one, as `next()` says. */
    function gated(startLimit: number) {
      const hub = new TestHub({ startLimit });
      const gates: Gate[] = [];
      hub.cluster.before = (call) => {
        if (call !== 'submitted') return;
        const gate = new Gate();
        gates.push(gate);
        return gate.opened;
      };
      const next = async () => {
        gates.shift()?.open();
        await settle();
      };
      return { hub, next };
    }
    const startingOf = ({ servers }: TestHub) =>
      servers.filter((server) => server.endsWith('starting'));

    it('let others wait for their turn, in their order', async () => {
      const { hub, next } = gated(2);
      const starts = ['a', 'b', 'c', 'd'].map((user) => hub.start(user));
      await settle();
      expect(hub.servers).to.deep.equal(['a/ starting', 'b/ starting', 'c/ waiting', 'd/ waiting']);
      await next();
      expect(hub.servers).to.deep.equal(['a/ ready', 'b/ starting', 'c/ starting', 'd/ waiting']);
      await next();
      await next();
      await next();
      await Promise.all(starts);
      expect(hub.cluster.launched).to.equal(4);
    });

    it('do not let one person keep the others waiting', async () => {
      const { hub, next } = gated(2);
      for (let index = 0; index < 10; index += 1) {
        void hub.start('greedy', { serverName: String(index) });
      }
      await settle();
      void hub.start('bob');
      void hub.start('carol');
      await settle();
      await next();
      expect(startingOf(hub)).to.deep.equal(['greedy/1 starting', 'bob/ starting']);
      await next();
      expect(startingOf(hub)).to.deep.equal(['bob/ starting', 'carol/ starting']);
      for (let index = 0; index < 10; index += 1) await next();
      expect(startingOf(hub)).to.deep.equal([]);
      expect(hub.cluster.launched).to.equal(12);
    });

    it('do not count a start while its job waits in the queue', async () => {
      const hub = new TestHub({ startLimit: 1 });
      hub.cluster.queues = true;
      hub.cluster.answers = false;
      for (const user of ['a', 'b', 'c']) void hub.start(user);
      await settle();
      expect(startingOf(hub)).to.have.length(3);
      // All run now, which is more than may be, and must not let one more start.
      hub.cluster.run();
      await settle();
      void hub.start('d');
      await settle();
      expect(hub.servers.at(-1)).to.equal('d/ waiting');
      hub.cluster.answers = true;
      await clock.tickAsync(1000);
      hub.cluster.run();
      await clock.tickAsync(1000);
      expect(hub.servers).to.deep.equal(['a/ ready', 'b/ ready', 'c/ ready', 'd/ ready']);
    });

    it('do not count a start whose job is put back into the queue', async () => {
      const hub = new TestHub({ startLimit: 1 });
      hub.cluster.answers = false;
      let goesBack = () => {};
      class RequeuedSpawner extends spawnersOf(hub.cluster) {
        override start(signal?: AbortSignal) {
          goesBack = () => this.announce('submitted', { id: 'job-1' });
          return super.start(signal);
        }
      }
      hub.supervisor.register('requeued', RequeuedSpawner);
      void hub.start('a', { spawner: 'requeued' });
      await settle();
      void hub.start('b');
      await settle();
      expect(hub.servers).to.deep.equal(['a/ starting', 'b/ waiting']);
      goesBack();
      await settle();
      expect(hub.servers).to.deep.equal(['a/ starting', 'b/ starting']);
      hub.cluster.answers = true;
      await clock.tickAsync(2000);
      expect(hub.servers).to.deep.equal(['a/ ready', 'b/ ready']);
    });

    it('give the turn of a start that is stopped, or fails, to the next', async () => {
      const { hub, next } = gated(1);
      const stopped = rejected(AbortError, hub.start('a'));
      const left = rejected(AbortError, hub.start('b'));
      const last = hub.start('c');
      await settle();
      await hub.supervisor.stop('b');
      await left;
      const stopping = hub.supervisor.stop('a');
      await settle();
      expect(hub.servers).to.deep.equal(['a/ stopping', 'c/ waiting']);
      await next();
      await stopping;
      await stopped;
      await settle();
      await next();
      expect(await last).to.include({ host: 'node1' });
    });

    it('do not hold up starts by those whose jobs waited in the queue when the hub ended', async () => {
      const hub = new TestHub();
      hub.cluster.queues = true;
      for (const user of ['a', 'b', 'c']) hub.start(user).catch(() => {});
      await settle();
      await hub.supervisor.close();
      const next = hub.next({ startLimit: 1 });
      await next.supervisor.restore();
      next.cluster.queues = false;
      expect(await next.start('d')).to.include({ host: 'node1' });
    });
  });

  it('on the servers of one person refuse one more, and say so', async () => {
    const hub = new TestHub({ userLimit: 2 });
    hub.cluster.queues = true;
    void hub.start('ada');
    void hub.start('ada', { serverName: 'lab' });
    await settle();
    const error = await rejected(StartError, hub.start('ada', { serverName: 'third' }));
    expect(error).to.include({
      message: 'ada has as many servers as may be (2). Stop one of them first.',
      retryable: true,
    });
    hub.cluster.run();
    // What is there already is not one more.
    await hub.start('ada', { serverName: 'lab' });
    void hub.start('bob');
    await hub.supervisor.stop('ada');
    void hub.start('ada', { serverName: 'third' });
    await settle();
    expect(hub.cluster.alive).to.have.length(3);
    expect(hub.supervisor.metrics().starts.failed).to.equal(0);
  });

  it('count a server until it is gone, and the same one once', async () => {
    const hub = new TestHub({ userLimit: 1, serverLimit: 2 });
    await hub.start('ada');
    hub.cluster.before = (call) => {
      if (call === 'cancel') throw new CommandError('Not now.', { command: call });
    };
    await rejected(StopError, hub.supervisor.stop('ada'));
    const own = await rejected(StartError, hub.start('ada', { serverName: 'lab' }));
    expect(own.message).to.equal(
      'ada has as many servers as may be (1). One is still being stopped.',
    );
    await hub.start('bob');
    const all = await rejected(StartError, hub.start('carol'));
    expect(all.message).to.equal('There are as many servers as may be (2).');
    const gate = new Gate();
    hub.cluster.before = (call) => (call === 'cancel' ? gate.opened : undefined);
    const stopped = hub.supervisor.stop('ada');
    const again = hub.start('ada');
    await settle();
    gate.open();
    await Promise.all([stopped, again]);
    expect(hub.servers).to.have.members(['ada/ ready', 'bob/ ready']);
  });

  it('on all servers refuse one more, and say so', async () => {
    const hub = new TestHub({ serverLimit: 1 });
    const [first, second] = [hub.start('ada'), rejected(StartError, hub.start('bob'))];
    await first;
    expect(await second).to.include({
      message: 'There are as many servers as may be (1).',
      retryable: true,
    });
    expect(Object.keys(await hub.store.content())).to.have.length(1);
  });

  describe('on failures', () => {
    /** A hub whose jobs end at once, unless told otherwise. */
    function failing(options: ConstructorParameters<typeof TestHub>[0] = {}) {
      const hub = new TestHub(options);
      hub.cluster.before = (call) => {
        if (call === 'answer') hub.cluster.end(crashed);
      };
      hub.cluster.answers = false;
      const fail = async (user: string) => {
        const failed = rejected(StartError, hub.start(user));
        await clock.tickAsync(1000);
        return (await failed).message;
      };
      const succeed = async (user: string) => {
        const { before } = hub.cluster;
        Object.assign(hub.cluster, { before: () => {}, answers: true });
        await hub.start(user);
        await hub.supervisor.stop(user);
        Object.assign(hub.cluster, { before, answers: false });
      };
      return { hub, fail, succeed };
    }

    it('make a pause for the server after so many in a row, and say why', async () => {
      const { hub, fail, succeed } = failing({ failureLimit: 2, failurePause: 60_000 });
      expect(await fail('ada')).to.equal('It has ended.');
      expect(await fail('ada')).to.equal('It has ended.');
      const error = await rejected(StartError, hub.start('ada'));
      expect(error).to.include({
        message:
          'The server is not started: the last 2 starts have failed, so that the next is possible in 60 s. The last one: It has ended.',
        retryable: true,
      });
      await clock.tickAsync(57_000);
      expect((await rejected(StartError, hub.start('ada'))).message).to.match(/in [123] s/);
      // It is the pause of one server only.
      await succeed('bob');
      expect(hub.cluster.launched).to.equal(3);
      await clock.tickAsync(3000);
      // One more failure makes another pause.
      expect(await fail('ada')).to.equal('It has ended.');
      expect(await fail('ada')).to.include('the last 3 starts have failed');
      await clock.tickAsync(60_000);
      await succeed('ada');
      expect(await fail('ada')).to.equal('It has ended.');
      await succeed('ada');
      expect(hub.supervisor.metrics().starts).to.deep.include({ failed: 4, ready: 3 });
    });

    it('make a pause for a kind of spawner, whoever is concerned, and for no other kind', async () => {
      const { hub, fail } = failing({ spawnerFailureLimit: 2 });
      const other = new TestCluster();
      hub.supervisor.register('other', spawnersOf(other));
      await fail('ada');
      await fail('bob');
      expect(await fail('carol')).to.include('the last 2 starts have failed');
      expect(await hub.start('carol', { spawner: 'other' })).to.include({ host: 'node1' });
    });

    it('of the store make no pause for a kind of spawner', async () => {
      const hub = new TestHub({ spawnerFailureLimit: 2, retries: 0 });
      await hub.supervisor.restore();
      hub.store.before = (call) => {
        if (call === 'set') throw new Error('the disk is full');
      };
      for (const user of ['ada', 'bob', 'carol']) await rejected(StoreError, hub.start(user));
      hub.store.before = () => {};
      expect(await hub.start('dora')).to.include({ host: 'node1' });
    });

    it('of one person alone make no pause for a kind of spawner', async () => {
      const { hub, fail, succeed } = failing({ spawnerFailureLimit: 2, failureLimit: 10 });
      for (let index = 0; index < 3; index += 1) await fail('ada');
      await succeed('bob');
      expect(hub.cluster.launched).to.equal(4);
    });

    it('count no start that was stopped', async () => {
      const hub = new TestHub({ failureLimit: 1, spawnerFailureLimit: 1 });
      hub.cluster.queues = true;
      for (let index = 0; index < 3; index += 1) {
        const aborted = rejected(AbortError, hub.start('ada'));
        await settle();
        await hub.supervisor.stop('ada');
        await aborted;
      }
      expect(hub.supervisor.metrics().starts).to.deep.include({ aborted: 3, failed: 0 });
    });

    it('count a start that is begun anew as one', async () => {
      const hub = new TestHub({ failureLimit: 2, retryDelay: 100 });
      hub.cluster.before = (call) => {
        if (call === 'submit') throw new CommandError('Busy.', { command: call, retryable: true });
      };
      const failed = rejected(CommandError, hub.start('ada'));
      await clock.tickAsync(1000);
      await failed;
      hub.cluster.before = () => {};
      expect(await hub.start('ada')).to.include({ host: 'node1' });
    });

    it('make no pause where it has no length', async () => {
      const { fail } = failing({ failureLimit: 1, failurePause: 0 });
      await fail('ada');
      expect(await fail('ada')).to.equal('It has ended.');
    });
  });
});
