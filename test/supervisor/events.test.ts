import { inspect } from 'node:util';
import { expect } from 'chai';
import type sinon from 'sinon';
import { AbortError, CommandError, OptionsError, StartError } from '../../lib/errors.ts';
import type { SupervisedServer } from '../../lib/supervisor/supervised-server.ts';
import { Supervisor } from '../../lib/supervisor/supervisor.ts';
import { rejected, thrown } from '../helpers/errors.ts';
import { spawnersOf } from '../helpers/test-cluster.ts';
import { fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { cancelled, crashed } from '../helpers/test-spawner.ts';
import { TestStore } from '../helpers/test-store.ts';

describe('A supervisor tells', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);

  it('of a whole life in its order', async () => {
    const hub = new TestHub({ startLimit: 1 });
    const progress: string[] = [];
    hub.supervisor.on('progress', ({ user }, { progress: percent, outcome }) =>
      progress.push(`${user.name} ${percent} ${outcome}`),
    );
    await hub.start('ada');
    await hub.supervisor.stop('ada');
    expect(hub.told).to.deep.equal([
      'status ada/ waiting',
      'status ada/ starting',
      'submitted ada/',
      'running ada/',
      'status ada/ ready',
      'ready ada/',
      'status ada/ stopping',
      'exited ada/',
      'removed ada/',
    ]);
    expect(progress).to.deep.equal([
      ...['ada 0 starting', 'ada 10 starting', 'ada 50 starting', 'ada 80 starting'],
      'ada 100 ready',
    ]);
    expect(hub.warnings).to.deep.equal([]);
  });

  it('with what belongs to each event', async () => {
    const { supervisor, cluster } = new TestHub();
    const told: unknown[] = [];
    supervisor.on('submitted', (_, submitted) => told.push(submitted));
    supervisor.on('running', (_, where) => told.push(where));
    supervisor.on('ready', (server, address) => told.push(address, server.address === address));
    supervisor.on('exited', (_, exit) => told.push(exit));
    supervisor.on('failed', (_, error) => told.push(error));
    await supervisor.start({ user: 'ada' });
    await supervisor.stop('ada');
    cluster.queues = true;
    const failed = rejected(StartError, supervisor.start({ user: 'ada' }));
    await settle();
    cluster.end(crashed);
    const error = await failed;
    expect(told).to.deep.equal([
      { id: 'job-1' },
      { host: 'node1' },
      { host: 'node1', port: 4000, url: 'http://node1:4000/user/ada/' },
      true,
      cancelled,
      { id: 'job-2' },
      error,
    ]);
  });

  it('of a start that fails, or is stopped, as that, and of no end', async () => {
    const hub = new TestHub();
    hub.cluster.queues = true;
    const failed = rejected(StartError, hub.start('ada'));
    await settle();
    hub.cluster.end(crashed);
    await failed;
    expect(hub.told.slice(-2)).to.deep.equal(['failed ada/', 'removed ada/']);
    const aborted = rejected(AbortError, hub.start('bob'));
    await settle();
    await hub.supervisor.stop('bob');
    await aborted;
    expect(hub.told.slice(-3)).to.deep.equal([
      'status bob/ stopping',
      'failed bob/',
      'removed bob/',
    ]);
    expect(hub.told.filter((event) => event.startsWith('exited'))).to.deep.equal([]);
  });

  it('of an end that its spawner has not told of', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    hub.supervisor.find('ada')?.spawner?.removeAllListeners('exited');
    hub.cluster.end(crashed);
    await clock.tickAsync(33_000);
    expect(hub.told.slice(-2)).to.deep.equal(['exited ada/', 'removed ada/']);
    expect(hub.supervisor.metrics().exits.failed).to.equal(1);
    expect(hub.servers).to.deep.equal([]);
  });

  it('everybody, whatever a listener does', async () => {
    const hub = new TestHub();
    const failure = new Error('listener');
    for (const event of ['status', 'progress', 'ready', 'exited', 'removed', 'failed'] as const) {
      hub.supervisor.on(event, () => {
        throw failure;
      });
      hub.supervisor.on(event, () => Promise.reject(failure) as unknown as undefined);
    }
    const ready: string[] = [];
    hub.supervisor.on('ready', ({ user }) => ready.push(user.name));
    hub.supervisor.on('warning', () => {
      throw failure;
    });
    await hub.start('ada');
    await hub.supervisor.stop('ada');
    await settle();
    expect(ready).to.deep.equal(['ada']);
    expect(hub.servers).to.deep.equal([]);
    expect(new Set(hub.warnings.map(({ code }) => code))).to.deep.equal(
      new Set(['listener-failed']),
    );
    expect(hub.warnings[0]).to.include({
      message: "A listener of the event 'status' threw an error.",
      cause: failure,
    });
  });

  it('listeners that may ask for anything at once', async () => {
    const hub = new TestHub();
    const { supervisor } = hub;
    const refused: Promise<AbortError>[] = [];
    supervisor.on('status', ({ status, user }) => {
      if (status === 'starting' && user.name === 'ada') {
        refused.push(rejected(AbortError, supervisor.start({ user: 'ada' })));
        void supervisor.stop('ada');
      }
    });
    supervisor.once('removed', () => void supervisor.start({ user: 'bob' }));
    await rejected(AbortError, hub.start('ada'));
    await settle();
    expect(refused).to.have.length(1);
    await Promise.all(refused);
    expect(hub.servers).to.deep.equal(['bob/ ready']);
    expect(hub.cluster.alive).to.have.length(1);
  });

  it('of what a spawner warns of', async () => {
    const hub = new TestHub();
    const failure = new Error('No such directory.');
    hub.supervisor.register('hooked', spawnersOf(hub.cluster), {
      hooks: { postStop: () => Promise.reject(failure) },
    });
    const servers: (SupervisedServer | undefined)[] = [];
    hub.supervisor.on('warning', (_, server) => servers.push(server));
    await hub.start('ada', { spawner: 'hooked' });
    const server = hub.supervisor.find('ada');
    await hub.supervisor.stop('ada');
    expect(hub.warnings).to.deep.equal([
      {
        code: 'hook-failed',
        message: 'The hook postStop failed: No such directory.',
        cause: failure,
      },
    ]);
    expect(servers).to.deep.equal([server]);
  });
});

describe('A supervisor stops a server', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);

  it('at once where there is none', async () => {
    const hub = new TestHub();
    await hub.supervisor.stop('ada');
    expect(hub.told).to.deep.equal([]);
  });

  it('once for all who ask, and is done when nothing keeps it any more', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    const gate = new Gate();
    hub.store.before = (call) => (call === 'delete' ? gate.opened : undefined);
    let stopped = 0;
    const stops = [1, 2, 3].map(async () => {
      await hub.supervisor.stop('ada');
      stopped += 1;
    });
    await settle();
    expect(stopped).to.equal(0);
    expect(hub.servers).to.deep.equal(['ada/ stopping']);
    gate.open();
    await Promise.all(stops);
    expect(hub.cluster.calls.cancel).to.equal(1);
    expect(hub.supervisor.metrics().stops).to.deep.equal({ done: 1, failed: 0 });
  });

  it('that has ended by itself when that is forgotten', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    const gate = new Gate();
    let isForgotten = false;
    hub.store.before = (call) => {
      isForgotten ||= call === 'delete';
      return isForgotten ? gate.opened : undefined;
    };
    hub.cluster.end(crashed);
    while (!isForgotten) await clock.tickAsync(1000);
    let isStopped = false;
    const stop = hub.supervisor.stop('ada').then(() => {
      isStopped = true;
    });
    await settle();
    expect(isStopped).to.equal(false);
    gate.open();
    await stop;
    expect(hub.servers).to.deep.equal([]);
    expect(hub.told.filter((event) => event.startsWith('removed'))).to.have.length(1);
  });

  it('without delay where that is asked for, also later', async () => {
    const hub = new TestHub();
    const stops = async (user: string, ...hows: { now?: boolean }[]) => {
      await hub.start(user);
      const { spawner } = hub.supervisor.find(user) ?? {};
      await Promise.all(hows.map((how) => hub.supervisor.stop(user, '', how)));
      return (spawner as { stops?: unknown } | undefined)?.stops;
    };
    expect(await stops('ada', { now: true })).to.deep.equal([{ now: true }]);
    expect(await stops('bob', {}, { now: true })).to.have.deep.members([{ now: true }, {}]);
  });

  it('never before the store has that it is to be stopped', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    const spawner = hub.supervisor.find('ada')?.spawner as { stops?: unknown[] } | undefined;
    const gate = new Gate();
    hub.store.before = (call) => (call === 'set' ? gate.opened : undefined);
    const stops = [{}, { now: true }].map((how) => hub.supervisor.stop('ada', '', how));
    await settle();
    expect(spawner?.stops).to.deep.equal([]);
    gate.open();
    await Promise.all(stops);
    expect(spawner?.stops).to.have.deep.members([{}, { now: true }]);
  });

  it('and started anew by who hears that its start has failed', async () => {
    const hub = new TestHub({ retries: 0 });
    hub.cluster.before = (call) => {
      if (call === 'submit') throw new CommandError('Not now.', { command: call });
    };
    let again: Promise<unknown> | undefined;
    hub.supervisor.on('failed', () => {
      hub.cluster.before = () => {};
      again ??= hub.start('ada');
    });
    await rejected(CommandError, hub.start('ada'));
    await again;
    expect(hub.servers).to.deep.equal(['ada/ ready']);
  });

  it('whose spawner says that it has done so, and has not, with an error', async () => {
    const hub = new TestHub();
    class StubbornSpawner extends spawnersOf(hub.cluster) {
      override stop = () => Promise.resolve();
    }
    hub.supervisor.register('stubborn', StubbornSpawner);
    await hub.start('ada', { spawner: 'stubborn' });
    await rejected(Error, hub.supervisor.stop('ada'));
    expect(hub.servers).to.deep.equal(['ada/ stopping']);
  });
});

describe('A supervisor shows', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());

  it('its servers: all, those of a person, or one', async () => {
    const hub = new TestHub();
    const { supervisor } = hub;
    await Promise.all([
      hub.start('ada'),
      hub.start('ada', { serverName: 'lab' }),
      hub.start('bob', { options: { environment: { A: '1' } } }),
    ]);
    expect(supervisor.list()).to.have.length(3);
    expect(supervisor.list({ user: 'ada' }).map(({ serverName }) => serverName)).to.have.members([
      '',
      'lab',
    ]);
    expect(supervisor.list({ user: 'carol' })).to.deep.equal([]);
    expect(supervisor.find('ada', 'lab')).to.equal(
      supervisor.list().find(({ serverName }) => serverName === 'lab'),
    );
    expect(supervisor.find('bob')).to.deep.include({
      user: { name: 'bob' },
      serverName: '',
      spawnerName: 'cluster',
      options: { environment: { A: '1' } },
      status: 'ready',
      problem: undefined,
      requestedAt: new Date(0),
      lastActivity: new Date(0),
    });
    for (const none of [supervisor.find('carol'), supervisor.find('bob', 'lab')]) {
      expect(none).to.equal(undefined);
    }
  });

  it('a server as plain values, for JSON and logs, without its token', async () => {
    const hub = new TestHub({ apiToken: () => 'the-token-of-ada' });
    await hub.start('ada');
    const [server] = hub.supervisor.list();
    const values = {
      user: { name: 'ada' },
      serverName: '',
      spawnerName: 'cluster',
      options: {},
      status: 'ready',
      address: server?.address,
      requestedAt: '1970-01-01T00:00:00.000Z',
      lastActivity: '1970-01-01T00:00:00.000Z',
    };
    expect(JSON.parse(JSON.stringify(server))).to.deep.equal(values);
    const shown = inspect(server);
    expect(shown).to.include("status: 'ready'").and.to.include("name: 'ada'");
    expect(shown).to.not.include('the-token');
  });

  it('tells names apart that look alike', async () => {
    const hub = new TestHub();
    const names = ['a', 'A', 'a b', 'a","b', '__proto__', 'ü', 'u\u0308', '../a'];
    for (const name of names) {
      await hub.start(name);
      await hub.start('x', { serverName: name });
    }
    expect(hub.cluster.launched).to.equal(2 * names.length);
    await hub.supervisor.close();
    const next = hub.next();
    await next.supervisor.restore();
    expect(next.supervisor.list()).to.have.length(2 * names.length);
    for (const name of names) expect(next.supervisor.find(name)?.user.name).to.equal(name);
  });

  it('its spawners, as they are now', async () => {
    const hub = new TestHub();
    const { spawners } = hub.supervisor;
    expect([...spawners]).to.deep.equal([]);
    await hub.start('ada');
    expect([...spawners]).to.deep.equal([hub.supervisor.find('ada')?.spawner]);
    hub.cluster.queues = true;
    hub.start('bob').catch(() => {});
    await clock.tickAsync(0);
    expect([...spawners]).to.have.length(2);
    await hub.supervisor.stop('ada');
    expect([...spawners].map(({ context }) => context.user.name)).to.deep.equal(['bob']);
  });

  it('its policies, completed and frozen', () => {
    const { policies } = new Supervisor({ store: new TestStore(), retries: 5 });
    expect(policies).to.include({ retries: 5, startLimit: 100, strays: 'cancel' });
    expect(Object.isFrozen(policies)).to.equal(true);
    const wrong = { store: new TestStore(), startLimit: 0 };
    expect(thrown(OptionsError, () => new Supervisor(wrong)).path).to.equal('startLimit');
  });

  it('no times of a start that an earlier hub has begun, and none of pauses as of a turn', async () => {
    const first = new TestHub();
    first.cluster.queues = true;
    void first.start('ada');
    await clock.tickAsync(0);
    first.kill();
    const next = first.next({ retryDelay: 60_000 });
    await next.supervisor.restore();
    next.cluster.run();
    await clock.tickAsync(0);
    const { starts, startSeconds } = next.supervisor.metrics();
    expect([next.servers, starts.ready]).to.deep.equal([['ada/ ready'], 1]);
    expect(startSeconds.total.count).to.equal(0);
    next.cluster.queues = false;
    next.cluster.before = (call) => {
      if (call === 'submit' && next.cluster.calls.submit === 1)
        throw new CommandError('Not now.', { command: call, retryable: true });
    };
    const begunAnew = next.start('bob');
    await clock.tickAsync(61_000);
    await begunAnew;
    const { slot, total } = next.supervisor.metrics().startSeconds;
    expect([slot.sum, total.sum > 20]).to.deep.equal([0, true]);
  });

  it('what it has counted', async () => {
    const hub = new TestHub({ retries: 0, maxAge: 1_000_000, pollInterval: 10_000 });
    hub.cluster.before = (call) =>
      call === 'submit' ? clockSleep(2000) : call === 'answer' ? clockSleep(400) : undefined;
    const clockSleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    hub.cluster.queues = true;
    const first = hub.start('ada');
    await clock.tickAsync(32_000);
    hub.cluster.run();
    await clock.tickAsync(1000);
    await first;
    const { startSeconds } = hub.supervisor.metrics();
    const sums = Object.entries(startSeconds).map(([phase, { count, sum }]) => [phase, count, sum]);
    expect(sums).to.deep.equal([
      ['slot', 1, 0],
      ['submit', 1, 2],
      ['queue', 1, 30],
      ['launch', 1, 0.4],
      ['total', 1, 32.4],
    ]);
    hub.cluster.before = () => {};
    const failed = rejected(StartError, hub.start('bob'));
    await clock.tickAsync(0);
    hub.cluster.end({ ...crashed, cause: 'out-of-memory' }, 'job-2');
    await failed;
    const aborted = rejected(AbortError, hub.start('carol'));
    await clock.tickAsync(0);
    expect(hub.supervisor.metrics().servers).to.deep.equal({
      waiting: 0,
      starting: 1,
      ready: 1,
      unhealthy: 0,
      stopping: 0,
    });
    await hub.supervisor.stop('carol');
    await aborted;
    hub.cluster.end(crashed, 'job-1');
    await clock.tickAsync(11_000);
    hub.cluster.queues = false;
    await hub.start('dora');
    await clock.tickAsync(1_100_000);
    const metrics = hub.supervisor.metrics();
    expect(metrics.starts).to.deep.equal({ ready: 2, failed: 1, aborted: 1, retried: 0 });
    expect(metrics.failures).to.deep.equal({ 'out-of-memory': 1 });
    expect(metrics.exits).to.include({ failed: 1, cancelled: 1, completed: 0 });
    expect(metrics.stops).to.deep.equal({ done: 2, failed: 0 });
    expect(metrics.culled).to.deep.equal({ idle: 0, age: 1 });
    expect(Object.values(metrics.servers)).to.deep.equal([0, 0, 0, 0, 0]);
  });
});
