import { expect } from 'chai';
import type sinon from 'sinon';
import { AbortError, StartError } from '../../lib/errors.ts';
import type { ExitStatus } from '../../lib/events.ts';
import type { ProgressEvent } from '../../lib/progress.ts';
import { rejected } from '../helpers/errors.ts';
import { spawnersOf } from '../helpers/test-cluster.ts';
import { fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

describe('A supervisor that is restored', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);

  /** A hub that has ended, with servers of some. */
  async function ended(...users: readonly string[]): Promise<TestHub> {
    const hub = new TestHub();
    await Promise.all(users.map((user) => hub.start(user)));
    await hub.supervisor.close();
    return hub;
  }

  /** A hub that was killed at a call of the cluster, or of its store. */
  async function killedAt(call: 'submit' | 'submitted' | 'set'): Promise<TestHub> {
    const hub = new TestHub();
    if (call === 'set') {
      hub.store.before = (storeCall, value) =>
        storeCall === 'set' && JSON.stringify(value).includes('"tag"')
          ? new Promise(() => {})
          : undefined;
    } else {
      hub.cluster.before = (clusterCall) =>
        clusterCall === call ? new Promise(() => {}) : undefined;
    }
    hub.start('ada').catch(() => {});
    await settle();
    hub.kill();
    clock.reset();
    return hub;
  }

  it('finds nothing in an empty store', async () => {
    const hub = new TestHub();
    expect(await hub.supervisor.restore()).to.deep.equal({ servers: 0, ended: 0, strays: [] });
    expect(hub.told).to.deep.equal([]);
  });

  it('adopts what lives, by one question each', async () => {
    const hub = (await ended('ada', 'bob')).next();
    expect(await hub.supervisor.restore()).to.deep.equal({ servers: 2, ended: 0, strays: [] });
    expect(hub.cluster.calls).to.include({ query: 2, cancel: 0, submit: 0 });
    expect(hub.servers).to.deep.equal(['ada/ ready', 'bob/ ready']);
    expect(hub.told).to.deep.equal(['status ada/ ready', 'status bob/ ready']);
    expect(hub.supervisor.find('ada')?.address).to.include({ host: 'node1', port: 4000 });
    expect(await hub.start('ada')).to.include({ port: 4000 });
    await hub.supervisor.stop('ada');
    expect(hub.cluster.alive).to.have.length(1);
  });

  it('gives a server its token and its options again', async () => {
    const first = new TestHub();
    await first.supervisor.start({
      user: { name: 'ada', account: 'al' },
      options: { environment: { A: '1' } },
    });
    await first.supervisor.close();
    const hub = first.next({ apiToken: ({ user }) => `token-of-${user.name}` });
    await hub.supervisor.restore();
    const { spawner } = hub.supervisor.find('ada') ?? {};
    expect(spawner).to.include({ apiToken: 'token-of-ada', account: 'al' });
    expect(spawner?.options.environment).to.deep.equal({ A: '1' });
  });

  it('tells of what has ended, and forgets it', async () => {
    const first = await ended('ada', 'bob');
    first.cluster.end(crashed, 'job-1');
    const hub = first.next();
    const exits: ExitStatus[] = [];
    hub.supervisor.on('exited', (_, exit) => exits.push(exit));
    expect(await hub.supervisor.restore()).to.deep.equal({ servers: 1, ended: 1, strays: [] });
    expect(exits).to.deep.equal([crashed]);
    expect(hub.told).to.include.members(['exited ada/', 'removed ada/']);
    expect(Object.keys(await hub.store.content())).to.have.length(1);
    expect(hub.supervisor.metrics().exits.failed).to.equal(1);
  });

  it('counts what has ended also where the store is slow to forget it', async () => {
    const first = await ended('ada');
    first.cluster.end(crashed);
    const hub = first.next();
    hub.store.before = async (call) => {
      if (call === 'delete') for (let turn = 0; turn < 100; turn += 1) await null;
    };
    expect(await hub.supervisor.restore()).to.include({ servers: 0, ended: 1 });
  });

  it('forgets one whose end the hub knew, but not what came of its hook', async () => {
    const first = new TestHub();
    first.supervisor.register('hooked', spawnersOf(first.cluster), {
      hooks: { postStop: () => new Promise(() => {}) },
    });
    await first.start('ada', { spawner: 'hooked' });
    first.cluster.end(crashed);
    await clock.tickAsync(33_000);
    first.kill();
    clock.reset();
    const hub = first.next();
    hub.supervisor.register('hooked', spawnersOf(hub.cluster));
    expect(await hub.supervisor.restore()).to.include({ servers: 0, ended: 1 });
    expect(await hub.store.content()).to.deep.equal({});
    await hub.start('ada');
  });

  it('says nothing against what nobody can answer about', async () => {
    const hub = (await ended('ada')).next();
    hub.cluster.isUp = false;
    expect(await hub.supervisor.restore()).to.include({ servers: 1, ended: 0 });
    await clock.tickAsync(200_000);
    expect(hub.servers).to.deep.equal(['ada/ unhealthy']);
    hub.cluster.isUp = true;
    await clock.tickAsync(100_000);
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.told).to.not.include('exited ada/');
  });

  it('survives a spawner that can not be polled', async () => {
    const first = new TestHub();
    first.supervisor.register('broken', spawnersOf(first.cluster));
    await first.start('ada', { spawner: 'broken' });
    await first.supervisor.close();
    const hub = first.next();
    class BrokenSpawner extends spawnersOf(hub.cluster) {
      override poll = () => Promise.reject(new Error('no'));
    }
    hub.supervisor.register('broken', BrokenSpawner);
    expect(await hub.supervisor.restore()).to.include({ servers: 1 });
    expect(hub.warnings.map(({ code, message }) => [code, message])).to.deep.equal([
      ['command-failed', 'The server could not be polled: no'],
    ]);
  });

  it('has no start to be followed of what was ready', async () => {
    const hub = (await ended('ada')).next();
    await hub.supervisor.restore();
    const events: ProgressEvent[] = [];
    for await (const event of hub.supervisor.progress('ada')) events.push(event);
    expect(events).to.deep.equal([]);
  });

  it('does so once for all who ask, and before it starts or stops', async () => {
    const hub = (await ended('ada', 'bob')).next();
    const gate = new Gate();
    hub.store.before = (call) => (call === 'list' ? gate.opened : undefined);
    const all = [hub.supervisor.restore(), hub.supervisor.restore()];
    const start = hub.start('ada');
    const stop = hub.supervisor.stop('bob');
    await settle();
    expect(hub.servers).to.deep.equal([]);
    gate.open();
    const [first, second] = await Promise.all(all);
    expect(second).to.equal(first);
    expect(await hub.supervisor.restore()).to.equal(first);
    expect(await start).to.include({ port: 4000 });
    await stop;
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.cluster.launched).to.equal(2);
  });

  it('waits before a start until it has looked for what was lost', async () => {
    const hub = (await killedAt('submitted')).next();
    for (const key of Object.keys(await hub.store.content())) await hub.store.delete(key);
    const gate = new Gate();
    hub.cluster.before = (call) => (call === 'survey' ? gate.opened : undefined);
    const start = hub.start('ada');
    await settle();
    expect(hub.cluster.launched).to.equal(1);
    gate.open();
    await start;
    expect(hub.cluster.alive.map(({ id }) => id)).to.deep.equal(['job-2']);
  });

  describe('with a start that was cut off', () => {
    it('goes on with it while its job waits', async () => {
      const first = new TestHub();
      first.cluster.queues = true;
      const aborted = rejected(AbortError, first.start('ada'));
      await settle();
      await first.supervisor.close();
      await aborted;
      const hub = first.next();
      expect(await hub.supervisor.restore()).to.include({ servers: 1 });
      expect(hub.servers).to.deep.equal(['ada/ starting']);
      const start = hub.start('ada');
      await settle();
      hub.cluster.run();
      expect(await start).to.include({ host: 'node1' });
      expect(hub.cluster.launched).to.equal(1);
      const told = ['starting', 'ready'].map((status) => `status ada/ ${status}`);
      expect(hub.told).to.deep.equal([told[0], 'running ada/', told[1], 'ready ada/']);
      const events: ProgressEvent[] = [];
      for await (const event of hub.supervisor.progress('ada')) events.push(event);
      expect(events.at(-1)).to.include({ outcome: 'ready' });
      expect(JSON.stringify(await hub.store.content())).to.include('"phase":"ready"');
    });

    it('goes on with it between submission and answer', async () => {
      const hub = (await killedAt('submitted')).next();
      await hub.supervisor.restore();
      await settle();
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(hub.cluster.launched).to.equal(1);
      expect(JSON.stringify(await hub.store.content())).to.include('"id":"job-1"');
    });

    it('tells of its failure where it has ended meanwhile', async () => {
      const first = await killedAt('submitted');
      first.cluster.end(crashed);
      const hub = first.next();
      await hub.supervisor.restore();
      await settle();
      expect(hub.servers).to.deep.equal([]);
      expect(hub.told).to.include('failed ada/').and.not.include('exited ada/');
      expect(await hub.store.content()).to.deep.equal({});
    });

    it('can be stopped', async () => {
      const first = await killedAt('submitted');
      const hub = first.next();
      hub.cluster.answers = false;
      await hub.supervisor.restore();
      const aborted = rejected(AbortError, hub.start('ada'));
      await settle();
      await hub.supervisor.stop('ada');
      await aborted;
      expect(hub.cluster.alive).to.deep.equal([]);
      expect(hub.servers).to.deep.equal([]);
    });

    it('begins it anew where nothing of it was made', async () => {
      const hub = (await killedAt('set')).next();
      await hub.supervisor.restore();
      const joined = hub.start('ada');
      await settle();
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(await joined).to.include({ host: 'node1' });
      expect(hub.cluster.launched).to.equal(1);
    });

    it('begins it anew where it had to wait for its turn when the hub was closed', async () => {
      const first = new TestHub({ startLimit: 1 });
      first.cluster.before = (call) => (call === 'submit' ? new Promise(() => {}) : undefined);
      first.start('ada').catch(() => {});
      await settle();
      const aborted = rejected(AbortError, first.start('bob'));
      await settle();
      void first.supervisor.close();
      await aborted;
      await settle();
      const hub = first.next();
      await hub.supervisor.restore();
      await settle();
      expect(hub.servers).to.include('bob/ ready');
      expect(first.told).to.not.include('failed bob/').and.not.include('removed bob/');
    });

    it('gives it up where nothing of it was made, and nothing is to be tried again', async () => {
      const hub = (await killedAt('set')).next({ retries: 0 });
      const failures: unknown[] = [];
      hub.supervisor.on('failed', (_, error) => failures.push(error));
      await hub.supervisor.restore();
      await settle();
      expect(hub.servers).to.deep.equal([]);
      expect(hub.cluster.launched).to.equal(0);
      expect(failures.map(String)).to.deep.equal([
        'StartError: The hub ended before the start of the server had begun.',
      ]);
      expect(await hub.store.content()).to.deep.equal({});
      await hub.start('ada');
    });

    it('keeps it while nobody can say whether something was made', async () => {
      const hub = (await killedAt('set')).next({ retries: 0 });
      hub.cluster.isUp = false;
      expect(await hub.supervisor.restore()).to.include({ servers: 1 });
      const joined = rejected(StartError, hub.start('ada'));
      await clock.tickAsync(200_000);
      expect(hub.servers).to.deep.equal(['ada/ starting']);
      hub.cluster.isUp = true;
      await clock.tickAsync(33_000);
      expect((await joined).retryable).to.equal(true);
      expect(hub.servers).to.deep.equal([]);
    });

    it('can be stopped while nobody can say that', async () => {
      const hub = (await killedAt('set')).next();
      hub.cluster.isUp = false;
      await hub.supervisor.restore();
      const joined = rejected(AbortError, hub.start('ada'));
      await settle();
      await hub.supervisor.stop('ada');
      await joined;
      expect(hub.servers).to.deep.equal([]);
      expect(await hub.store.content()).to.deep.equal({});
    });

    it('takes a job that is found for its own', async () => {
      const hub = (await killedAt('submitted')).next();
      // As if its state had not been kept.
      for (const [key, value] of Object.entries(await hub.store.content())) {
        await hub.store.set(key, { ...Object(value), state: undefined });
      }
      const { strays } = await hub.supervisor.restore();
      await settle();
      expect(strays).to.have.length(1);
      const stray = { user: 'ada', serverName: '', id: 'job-1', spawnerName: 'cluster' };
      expect(strays[0]).to.include({ ...stray, fate: 'adopted' });
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(hub.cluster.alive).to.have.length(1);
    });
  });

  describe('with a stop that was cut off', () => {
    it('goes on with it', async () => {
      const first = new TestHub();
      await first.start('ada');
      first.cluster.before = () => new Promise(() => {});
      first.supervisor.stop('ada').catch(() => {});
      await settle();
      first.kill();
      clock.reset();
      const hub = first.next();
      expect(await hub.supervisor.restore()).to.include({ servers: 1 });
      await settle();
      expect(hub.servers).to.deep.equal([]);
      expect(hub.cluster.alive).to.deep.equal([]);
      expect(hub.told).to.deep.equal(['status ada/ stopping', 'exited ada/', 'removed ada/']);
      expect(await hub.store.content()).to.deep.equal({});
    });

    it('goes on with it when the cluster is back', async () => {
      const first = new TestHub();
      await first.start('ada');
      first.cluster.isUp = false;
      await rejected(Error, first.supervisor.stop('ada'));
      await first.supervisor.close();
      const hub = first.next();
      hub.cluster.isUp = false;
      await hub.supervisor.restore();
      await clock.tickAsync(33_000);
      expect(hub.servers).to.deep.equal(['ada/ stopping']);
      hub.cluster.isUp = true;
      await clock.tickAsync(33_000);
      expect(hub.servers).to.deep.equal([]);
      expect(hub.cluster.alive).to.deep.equal([]);
    });
  });
});
