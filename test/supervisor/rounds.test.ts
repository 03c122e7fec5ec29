import { expect } from 'chai';
import sinon from 'sinon';
import { OptionsError, StopError } from '../../lib/errors.ts';
import type { ExitStatus } from '../../lib/events.ts';
import { Rounds } from '../../lib/supervisor/rounds.ts';
import { rejected, thrown } from '../helpers/errors.ts';
import { spawnersOf } from '../helpers/test-cluster.ts';
import { fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

describe('Rounds', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => {
    sinon.restore();
    clock.restore();
  });

  it('come after an interval, give or take a tenth', async () => {
    for (const [chance, delay] of [
      [0, 900],
      [0.5, 1000],
      [0.9999, 1099],
    ] as const) {
      const random = sinon.stub(Math, 'random').returns(chance);
      const round = sinon.fake.resolves(undefined);
      const rounds = new Rounds(1000, round);
      rounds.start();
      rounds.start();
      await clock.tickAsync(delay - 1);
      expect(round.callCount).to.equal(0);
      await clock.tickAsync(1);
      expect(round.callCount).to.equal(1);
      await clock.tickAsync(delay);
      expect(round.callCount).to.equal(2);
      expect(clock.countTimers()).to.equal(1);
      rounds.stop();
      expect(clock.countTimers()).to.equal(0);
      random.restore();
    }
  });

  it('do not come before the last one is over', async () => {
    const gate = new Gate();
    const round = sinon.spy(() => gate.opened);
    const rounds = new Rounds(1000, round);
    rounds.start();
    await clock.tickAsync(10_000);
    expect(round.callCount).to.equal(1);
    gate.open();
    await clock.tickAsync(1100);
    expect(round.callCount).to.equal(2);
  });

  it('are over for ever, also when one is under way, or none has begun', async () => {
    const gate = new Gate();
    const round = sinon.spy(() => gate.opened);
    const rounds = new Rounds(1000, round);
    rounds.start();
    await clock.tickAsync(1100);
    rounds.stop();
    gate.open();
    await clock.tickAsync(10_000);
    rounds.start();
    expect(clock.countTimers()).to.equal(0);
    expect(round.callCount).to.equal(1);
    const never = new Rounds(1000, round);
    never.stop();
    never.start();
    expect(clock.countTimers()).to.equal(0);
  });

  it('keep no process alive', () => {
    clock.restore();
    const set = sinon.spy(globalThis, 'setTimeout');
    const rounds = new Rounds(1000, async () => {});
    rounds.start();
    expect(set.lastCall.returnValue.hasRef()).to.equal(false);
    rounds.stop();
  });
});

describe('In its rounds, a supervisor', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
    sinon.stub(Math, 'random').returns(0.5);
  });
  afterEach(() => {
    sinon.restore();
    clock.restore();
  });
  const settle = () => clock.tickAsync(0);

  it('polls the servers that are ready, by one timer', async () => {
    const hub = new TestHub({ pollInterval: 10_000, healthInterval: 0 });
    await Promise.all(['ada', 'bob', 'carol'].map((user) => hub.start(user)));
    await settle();
    expect(clock.countTimers()).to.equal(1);
    const { query } = hub.cluster.calls;
    await clock.tickAsync(9999);
    expect(hub.cluster.calls.query).to.equal(query);
    await clock.tickAsync(1);
    expect(hub.cluster.calls.query).to.equal(query + 3);
    expect(clock.countTimers()).to.equal(1);
  });

  it('polls very many, and other work has its turn meanwhile', async () => {
    const hub = new TestHub({ startLimit: 1000, healthInterval: 0 });
    await Promise.all(Array.from({ length: 500 }, (_, index) => hub.start(`user${index}`)));
    const { query } = hub.cluster.calls;
    await clock.tickAsync(30_000);
    expect(hub.cluster.calls.query).to.equal(query + 199);
    await clock.tickAsync(10);
    expect(hub.cluster.calls.query).to.equal(query + 500);
  });

  it('tells once how a server has ended, calls its hook, and forgets it', async () => {
    const postStop = sinon.fake.resolves(undefined);
    const hub = new TestHub();
    hub.supervisor.register('hooked', spawnersOf(hub.cluster), { hooks: { postStop } });
    const exits: ExitStatus[] = [];
    hub.supervisor.on('exited', (_, exit) => exits.push(exit));
    await hub.start('ada', { spawner: 'hooked' });
    hub.told.length = 0;
    hub.cluster.end(crashed);
    await clock.tickAsync(30_000);
    await clock.tickAsync(60_000);
    expect(exits).to.deep.equal([crashed]);
    expect(hub.told).to.deep.equal(['exited ada/', 'removed ada/']);
    expect(postStop.callCount).to.equal(1);
    expect(hub.servers).to.deep.equal([]);
    expect(hub.supervisor.find('ada')).to.equal(undefined);
  });

  it('goes on while one server can not be polled', async () => {
    const hub = new TestHub();
    class BrokenSpawner extends spawnersOf(hub.cluster) {
      override poll = () => Promise.reject(new Error('no'));
    }
    hub.supervisor.register('broken', BrokenSpawner);
    await hub.start('ada', { spawner: 'broken' });
    await hub.start('bob');
    hub.cluster.end(crashed, 'job-2');
    await clock.tickAsync(30_000);
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.warnings.map(({ code }) => code)).to.deep.equal(['command-failed']);
  });

  describe('says that a server is unhealthy', () => {
    it('which has not answered twice in a row, and that it is healthy again', async () => {
      const hub = new TestHub({ healthInterval: 10_000 });
      await hub.start('ada');
      hub.told.length = 0;
      hub.cluster.answers = false;
      await clock.tickAsync(10_000);
      hub.cluster.answers = true;
      await clock.tickAsync(10_000);
      hub.cluster.answers = false;
      await clock.tickAsync(10_000);
      expect(hub.told).to.deep.equal([]);
      await clock.tickAsync(10_000);
      expect(hub.told).to.deep.equal(['status ada/ unhealthy', 'unhealthy ada/']);
      expect(hub.supervisor.find('ada')?.problem).to.equal(
        'It does not answer at http://node1:4000/user/ada/.',
      );
      expect(hub.supervisor.metrics().servers).to.include({ ready: 0, unhealthy: 1 });
      await clock.tickAsync(50_000);
      expect(hub.told).to.have.length(2);
      expect(hub.cluster.alive).to.have.length(1);
      hub.cluster.answers = true;
      await clock.tickAsync(10_000);
      expect(hub.told.slice(2)).to.deep.equal(['status ada/ ready', 'healthy ada/']);
      expect(hub.supervisor.find('ada')?.problem).to.equal(undefined);
    });

    it('whose end is told all the same, and which can be stopped', async () => {
      const hub = new TestHub({ healthInterval: 1000 });
      await Promise.all([hub.start('ada'), hub.start('bob')]);
      hub.cluster.answers = false;
      await clock.tickAsync(2000);
      expect(hub.servers).to.deep.equal(['ada/ unhealthy', 'bob/ unhealthy']);
      expect(await hub.start('ada')).to.include({ host: 'node1' });
      await hub.supervisor.stop('bob');
      hub.cluster.end(crashed);
      await clock.tickAsync(30_000);
      expect(hub.told).to.include('exited ada/');
      expect(hub.servers).to.deep.equal([]);
    });

    it('and asks many, but not all at once', async () => {
      const hub = new TestHub({ startLimit: 1000, healthInterval: 10_000 });
      await Promise.all(Array.from({ length: 120 }, (_, index) => hub.start(`user${index}`)));
      let asking = 0;
      let most = 0;
      const { answer } = hub.cluster.calls;
      hub.cluster.before = async (call) => {
        if (call !== 'answer') return;
        asking += 1;
        most = Math.max(most, asking);
        await null;
        asking -= 1;
      };
      await clock.tickAsync(10_000);
      expect(most).to.equal(50);
      expect(hub.cluster.calls.answer).to.equal(answer + 120);
    });

    it('only where the site wants to know', async () => {
      const hub = new TestHub({ healthInterval: 0 });
      await hub.start('ada');
      const { answer } = hub.cluster.calls;
      hub.cluster.answers = false;
      await clock.tickAsync(600_000);
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(hub.cluster.calls.answer).to.equal(answer);
    });
  });

  describe('ends a server', () => {
    it('that nobody has used for a while', async () => {
      const hub = new TestHub({ idleTimeout: 100_000 });
      await Promise.all([hub.start('ada'), hub.start('bob')]);
      for (let minute = 0; minute < 3; minute += 1) {
        await clock.tickAsync(60_000);
        hub.supervisor.touch('bob');
      }
      expect(hub.servers).to.deep.equal(['bob/ ready']);
      const told = hub.told.filter((event) => event.includes('ada/'));
      expect(told.slice(-4)).to.deep.equal([
        'culled ada/',
        'status ada/ stopping',
        'exited ada/',
        'removed ada/',
      ]);
      expect(hub.supervisor.metrics()).to.deep.include({ culled: { idle: 1, age: 0 } });
      await clock.tickAsync(200_000);
      expect(hub.servers).to.deep.equal([]);
    });

    it('counted from when it was ready, and from the last use that it was told of', async () => {
      const hub = new TestHub({ idleTimeout: 100_000 });
      hub.cluster.queues = true;
      const start = hub.start('ada');
      await clock.tickAsync(500_000);
      hub.cluster.run();
      await start;
      const { lastActivity } = hub.supervisor.find('ada') ?? {};
      expect(lastActivity).to.deep.equal(new Date());
      hub.supervisor.touch('ada', '', new Date(0));
      expect(hub.supervisor.find('ada')?.lastActivity).to.equal(lastActivity);
      hub.supervisor.touch('nobody');
      const noDate = thrown(OptionsError, () =>
        hub.supervisor.touch('ada', '', new Date('yesterday')),
      );
      expect(noDate.path).to.equal('at');
      await clock.tickAsync(60_000);
      const at = new Date(Date.now() - 30_000);
      hub.supervisor.touch('ada', '', at);
      expect(hub.supervisor.find('ada')?.lastActivity).to.equal(at);
      await clock.tickAsync(60_000);
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      await clock.tickAsync(60_000);
      expect(hub.servers).to.deep.equal([]);
    });

    it('that is too old, also one that was there before the hub', async () => {
      const hub = new TestHub({ maxAge: 1_000_000 });
      await hub.start('ada');
      await clock.tickAsync(500_000);
      hub.supervisor.touch('ada');
      await hub.supervisor.close();
      const next = hub.next({ maxAge: 1_000_000, idleTimeout: 600_000 });
      await next.supervisor.restore();
      await clock.tickAsync(480_000);
      expect(next.servers).to.deep.equal(['ada/ ready']);
      await clock.tickAsync(60_000);
      expect(next.servers).to.deep.equal([]);
      expect(next.supervisor.metrics().culled).to.deep.equal({ idle: 0, age: 1 });
    });

    it('never where the site says nothing', async () => {
      const hub = new TestHub();
      await hub.start('ada');
      await clock.tickAsync(100_000_000);
      expect(hub.servers).to.deep.equal(['ada/ ready']);
    });

    it('once, however long that takes', async () => {
      const hub = new TestHub({ maxAge: 1000 });
      await hub.start('ada');
      hub.cluster.isUp = false;
      await clock.tickAsync(200_000);
      expect(hub.told.filter((event) => event === 'culled ada/')).to.have.length(1);
      expect(new Set(hub.warnings.map(({ code }) => code))).to.deep.equal(new Set(['stop-failed']));
      hub.cluster.isUp = true;
      await clock.tickAsync(30_000);
      expect(hub.servers).to.deep.equal([]);
    });
  });

  it('tries each stop again that has failed', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    hub.cluster.isUp = false;
    await rejected(StopError, hub.supervisor.stop('ada'));
    expect(hub.supervisor.find('ada')?.problem).to.equal('The job could not be cancelled.');
    await clock.tickAsync(30_000);
    await clock.tickAsync(30_000);
    expect(hub.cluster.calls.cancel).to.equal(3);
    expect(hub.supervisor.metrics().stops).to.deep.equal({ done: 0, failed: 3 });
    hub.cluster.isUp = true;
    await clock.tickAsync(30_000);
    expect(hub.servers).to.deep.equal([]);
    expect(hub.told.filter((event) => event === 'exited ada/')).to.have.length(1);
    expect(hub.supervisor.metrics().stops).to.deep.equal({ done: 1, failed: 3 });
  });

  it('does nothing any more once it is closed', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    await hub.supervisor.close();
    expect(clock.countTimers()).to.equal(0);
    const calls = { ...hub.cluster.calls };
    await clock.tickAsync(1_000_000);
    expect(hub.cluster.calls).to.deep.equal(calls);
  });
});
