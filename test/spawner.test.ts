import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import { expect } from 'chai';
import sinon from 'sinon';
import { AbortError, OptionsError, StartError, StartTimeoutError } from '../lib/errors.ts';
import type { ServerAddress, SpawnerEvents } from '../lib/events.ts';
import type { ProgressEvent } from '../lib/progress.ts';
import type { Spawner } from '../lib/spawner.ts';
import { rejected, thrown } from './helpers/errors.ts';
import { MinimalSpawner } from './helpers/minimal-spawner.ts';
import { cancelled, crashed, eventsOf, TestSpawner } from './helpers/test-spawner.ts';

const token = 'b7a0c4d1e2';

function namesOf(events: ReturnType<typeof eventsOf>): readonly string[] {
  return events.map(([name]) => name).filter((name) => name !== 'progress');
}

async function progressOf(spawner: Spawner): Promise<readonly ProgressEvent[]> {
  const events: ProgressEvent[] = [];
  for await (const event of spawner.progress()) events.push(event);
  return events;
}

describe('A spawner', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = sinon.useFakeTimers();
  });
  afterEach(() => clock.restore());

  it('knows whose server it is', () => {
    const spawner = new TestSpawner({}, { serverName: 'lab', apiToken: token });
    expect(spawner).to.include({ account: 'ada', serverName: 'lab', apiToken: token });
    expect(new TestSpawner()).to.include({ serverName: '', apiToken: undefined });
    const mapped = new TestSpawner({}, { user: { name: 'Ada@Example', account: 'ada1' } });
    expect(mapped.account).to.equal('ada1');
  });

  it('refuses a context that says nothing useful, by the name of the field', () => {
    const wrong: readonly (readonly [unknown, string])[] = [
      [undefined, 'context.user.name'],
      [{}, 'context.user.name'],
      [{ user: { name: '' } }, 'context.user.name'],
      [{ user: { name: 5 } }, 'context.user.name'],
      [{ user: { name: 'a\0b' } }, 'context.user.name'],
      [{ user: { name: 'half \ud83d' } }, 'context.user.name'],
      [{ user: { name: 'ada', account: '' } }, 'context.user.account'],
      [{ user: { name: 'ada' }, serverName: null }, 'context.serverName'],
      [{ user: { name: 'ada' }, hub: null }, 'context.hub.apiUrl'],
      [{ user: { name: 'ada' }, hub: { apiUrl: '/hub/api' } }, 'context.hub.apiUrl'],
      [{ user: { name: 'ada' }, hub: { apiUrl: 'hub:8081' } }, 'context.hub.apiUrl'],
      [
        { user: { name: 'ada' }, hub: { apiUrl: 'http://hub', publicUrl: 'hub.example' } },
        'context.hub.publicUrl',
      ],
      [{ user: { name: 'ada' }, apiToken: 'two words' }, 'context.apiToken'],
      [{ user: { name: 'ada' }, apiToken: '' }, 'context.apiToken'],
    ];
    for (const [context, path] of wrong) {
      const error = thrown(OptionsError, () => Reflect.construct(MinimalSpawner, [context]));
      expect(error.path).to.equal(path);
      expect(error.message).not.to.include('two words');
    }
  });

  describe('that has not been started', () => {
    it('says that there is no server, has nothing to stop and no progress', async () => {
      const spawner = new TestSpawner();
      const events = eventsOf(spawner);
      expect(await spawner.poll()).to.deep.equal({
        code: null,
        signal: null,
        cause: 'unknown',
        message: 'The server has not been started.',
      });
      await spawner.stop();
      expect(await progressOf(spawner)).to.deep.equal([]);
      expect(events).to.deep.equal([]);
      expect(spawner.address).to.equal(undefined);
    });

    it('takes no port from anybody', () => {
      expect(new TestSpawner().acceptPort(4000)).to.equal(false);
    });
  });

  describe('that is started', () => {
    it('tells each step in order, the state before anything that the world can see', async () => {
      const spawner = new TestSpawner();
      const events = eventsOf(spawner);
      const address = await spawner.start();
      expect(address).to.deep.equal({ host: 'node1', port: 4000, url: 'http://node1:4000/' });
      expect(spawner.address).to.deep.equal(address);
      const id = 'server-1';
      const saved = { version: 1, spawner: 'test', id };
      const starting = { outcome: 'starting' };
      expect(events).to.deep.equal([
        ['progress', { progress: 10, message: 'Launching', ...starting }],
        ['state', saved],
        ['submitted', { id }],
        ['running', { host: 'node1' }],
        ['state', { ...saved, host: 'node1', port: 4000 }],
        [
          'progress',
          {
            progress: 80,
            message: 'The server listens at http://node1:4000/; waiting for its first answer',
            ...starting,
          },
        ],
        [
          'progress',
          {
            progress: 100,
            message: 'The server is ready at http://node1:4000/',
            outcome: 'ready',
          },
        ],
        ['ready', address],
      ]);
      expect(await spawner.poll()).to.equal(null);
      expect(clock.countTimers()).to.equal(0);
    });

    it('waits for the first answer of the server, asking four times a second', async () => {
      const spawner = new TestSpawner();
      spawner.machine.answers = false;
      const starting = spawner.start();
      await clock.tickAsync(10_000);
      expect(events()).not.to.include('ready');
      spawner.machine.answers = true;
      await clock.tickAsync(250);
      expect(await starting).to.include({ host: 'node1' });
      function events() {
        return namesOf(eventsOf(spawner));
      }
    });

    it('refuses a second start, during the first and after it', async () => {
      const spawner = new TestSpawner();
      const first = spawner.start();
      const during = await rejected(StartError, spawner.start());
      expect(during.message).to.equal('The server is being started already.');
      const address = await first;
      const after = await rejected(StartError, spawner.start());
      expect(after.message).to.match(/^There is a server already, .*Stop it first\.$/);
      expect(after.retryable).to.equal(true);
      expect(spawner.machine.launched).to.equal(1);
      expect(spawner.address).to.deep.equal(address);
    });

    it('is started again where its server has ended, although nobody has noticed', async () => {
      const spawner = new TestSpawner();
      await spawner.start();
      const events = eventsOf(spawner);
      spawner.machine.end(crashed);
      await spawner.start();
      expect(spawner.machine).to.include({ launched: 2, alive: 1 });
      expect(namesOf(events).slice(0, 3)).to.deep.equal(['exited', 'state', 'state']);
    });

    it('fails with the exit of a server that ends before it answers', async () => {
      const spawner = new TestSpawner();
      spawner.machine.answers = false;
      const events = eventsOf(spawner);
      const failed = rejected(StartError, spawner.start());
      await clock.tickAsync(1000);
      spawner.machine.end(crashed);
      await clock.tickAsync(0);
      const error = await failed;
      expect(error.exit).to.deep.equal(crashed);
      expect(events.at(-1)).to.deep.equal([
        'progress',
        { progress: 100, message: error.message, outcome: 'failed' },
      ]);
      expect(namesOf(events).slice(-2)).to.deep.equal(['exited', 'state']);
      expect(await spawner.poll()).to.deep.equal(crashed);
      expect(spawner.address).to.equal(undefined);
      expect(clock.countTimers()).to.equal(0);
    });

    it('fails, and leaves nothing, where the server does not say where it listens', async () => {
      const spawner = new TestSpawner({ startTimeout: 5000 });
      spawner.machine.listens = false;
      const failed = rejected(StartTimeoutError, spawner.start());
      await clock.tickAsync(5000);
      expect(await failed).to.include({ step: 'launch', timeout: 5000 });
      expect(spawner.machine.alive).to.equal(0);
    });

    it('fails, and leaves nothing, where the server does not answer', async () => {
      const spawner = new TestSpawner({ httpTimeout: 7000 });
      spawner.machine.answers = false;
      const failed = rejected(StartTimeoutError, spawner.start());
      await clock.tickAsync(6999);
      expect(spawner.machine.alive).to.equal(1);
      await clock.tickAsync(1);
      expect(await failed).to.include({ step: 'readiness', timeout: 7000 });
      expect(spawner.machine.alive).to.equal(0);
      expect(clock.countTimers()).to.equal(0);
    });

    it('can be started after a start that failed', async () => {
      const spawner = new TestSpawner({ startTimeout: 5000 });
      spawner.machine.listens = false;
      const failed = rejected(StartTimeoutError, spawner.start());
      await clock.tickAsync(5000);
      await failed;
      spawner.machine.listens = true;
      await spawner.start();
      expect(await spawner.poll()).to.equal(null);
    });

    it('tells the progress of the last start to readers that come during and after it', async () => {
      const spawner = new TestSpawner();
      const progress: ProgressEvent[] = [];
      spawner.on('progress', (event) => progress.push(event));
      const starting = spawner.start();
      const reader = progressOf(spawner);
      await starting;
      expect(progress).to.have.length(3);
      expect(await reader).to.deep.equal(progress);
      expect(await progressOf(spawner)).to.deep.equal(progress);
      await spawner.stop();
      await spawner.start();
      expect(await progressOf(spawner)).to.deep.equal(progress.slice(3));
    });

    it('never goes back in its progress, and passes on when a job may start', async () => {
      const estimatedStart = new Date(5000);
      class Waiting extends MinimalSpawner {
        override start(): Promise<ServerAddress> {
          return this.runStart(undefined, async (start) => {
            start.report(50, 'Running');
            start.report(20, 'Back in the queue', estimatedStart);
            return this.setAddress('node1', 4000);
          });
        }
      }
      const spawner = new Waiting({ user: { name: 'ada' } });
      await spawner.start();
      expect((await progressOf(spawner)).slice(0, 2)).to.deep.equal([
        { progress: 50, message: 'Running', outcome: 'starting' },
        { progress: 50, message: 'Back in the queue', outcome: 'starting', estimatedStart },
      ]);
    });
  });

  describe('whose start is aborted by its signal', () => {
    const reason = new Error('The person has left.');
    const moments: Readonly<Record<string, (spawner: TestSpawner) => void>> = {
      'while it launches': ({ machine }) => {
        machine.listens = false;
      },
      'while it waits for an answer': ({ machine }) => {
        machine.answers = false;
      },
    };
    for (const [moment, prepare] of Object.entries(moments)) {
      it(`${moment} leaves neither a server nor a listener nor a timer`, async () => {
        const spawner = new TestSpawner();
        prepare(spawner);
        const events = eventsOf(spawner);
        const controller = new AbortController();
        const failed = rejected(AbortError, spawner.start(controller.signal));
        await clock.tickAsync(1000);
        expect(spawner.machine.alive).to.equal(1);
        controller.abort(reason);
        expect((await failed).cause).to.equal(reason);
        expect(spawner.machine.alive).to.equal(0);
        expect(namesOf(events).slice(-2)).to.deep.equal(['exited', 'state']);
        expect(events.at(-1)?.[1]).to.include({ outcome: 'failed' });
        expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
        expect(clock.countTimers()).to.equal(0);
      });
    }

    it('before it begins starts nothing', async () => {
      const spawner = new TestSpawner();
      const error = await rejected(AbortError, spawner.start(AbortSignal.abort(reason)));
      expect(error.cause).to.equal(reason);
      expect(spawner.machine.launched).to.equal(0);
    });

    it('while it asks about an earlier server starts nothing', async () => {
      const spawner = new TestSpawner();
      await spawner.start();
      spawner.machine.end(crashed);
      const controller = new AbortController();
      spawner.once('exited', () => controller.abort(reason));
      await rejected(AbortError, spawner.start(controller.signal));
      expect(spawner.machine.launched).to.equal(1);
    });

    it('after it was ready goes on, and the signal serves for many starts', async () => {
      const controller = new AbortController();
      const spawners = [new TestSpawner(), new TestSpawner(), new TestSpawner()];
      await Promise.all(spawners.map((spawner) => spawner.start(controller.signal)));
      expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
      controller.abort(reason);
      await clock.tickAsync(0);
      for (const { machine } of spawners) expect(machine.alive).to.equal(1);
    });
  });

  describe('that is stopped', () => {
    it('ends its server once for all who ask, and says so once', async () => {
      const spawner = new TestSpawner();
      await spawner.start();
      const events = eventsOf(spawner);
      await Promise.all([spawner.stop(), spawner.stop(), spawner.stop()]);
      await spawner.stop();
      expect(events).to.deep.equal([
        ['exited', cancelled],
        ['state', { version: 1, spawner: 'test' }],
      ]);
      expect(await spawner.poll()).to.deep.equal(cancelled);
    });

    it('during a start breaks this off, at whatever step it is', async () => {
      for (const moment of ['at once', 'launch', 'readiness']) {
        const spawner = new TestSpawner();
        spawner.machine.listens = moment !== 'launch';
        spawner.machine.answers = moment !== 'readiness';
        const events = eventsOf(spawner);
        const failed = rejected(AbortError, spawner.start());
        if (moment !== 'at once') await clock.tickAsync(1000);
        await spawner.stop();
        const { message } = await failed;
        expect(message).to.equal('The server was stopped while it was being started.');
        expect(spawner.machine.alive).to.equal(0);
        expect(namesOf(events).filter((name) => name === 'exited')).to.have.length(1);
        expect(namesOf(events)).not.to.include('ready');
      }
    });

    it('by a listener during a start breaks this off as well', async () => {
      for (const event of ['progress', 'state', 'submitted', 'running'] as const) {
        const spawner = new TestSpawner();
        let stopping = Promise.resolve();
        spawner.once(event, () => {
          stopping = spawner.stop();
        });
        await rejected(AbortError, spawner.start());
        await stopping;
        expect(spawner.machine.alive).to.equal(0);
      }
    });

    it('by a listener when it is ready is stopped after it has been started', async () => {
      const spawner = new TestSpawner();
      let stopping = Promise.resolve();
      spawner.once('ready', () => {
        stopping = spawner.stop();
      });
      expect(await spawner.start()).to.include({ host: 'node1' });
      await stopping;
      expect(spawner.machine.alive).to.equal(0);
    });

    it('refuses a start until it is done, and says that it can be tried again', async () => {
      const spawner = new TestSpawner();
      await spawner.start();
      const tries: Promise<StartError>[] = [];
      spawner.once('exited', () => tries.push(rejected(StartError, spawner.start())));
      const stopping = spawner.stop();
      tries.push(rejected(StartError, spawner.start()));
      await stopping;
      for (const error of await Promise.all(tries)) {
        expect(error).to.include({
          message: 'The server is being stopped; start it when that is done.',
          retryable: true,
        });
      }
      await spawner.start();
      expect(spawner.machine).to.include({ launched: 2, alive: 1 });
    });
  });

  describe('whose server ends by itself', () => {
    it('emits exited once, whoever asks, and however often', async () => {
      const spawner = new TestSpawner();
      await spawner.start();
      const events = eventsOf(spawner);
      spawner.machine.end(crashed);
      expect(await Promise.all([spawner.poll(), spawner.poll()])).to.deep.equal([crashed, crashed]);
      expect(await spawner.poll()).to.deep.equal(crashed);
      await spawner.stop();
      expect(namesOf(events)).to.deep.equal(['exited', 'state']);
      expect(spawner.address).to.equal(undefined);
    });
  });

  it('is not started if its server ends while the last hook runs', async () => {
    const progressReady = async (spawner: Spawner, event: ProgressEvent) => {
      starting.machine.end(crashed);
      await spawner.poll();
      return event;
    };
    const starting = new TestSpawner({ hooks: { progressReady } });
    const events = eventsOf(starting);
    const error = await rejected(StartError, starting.start());

    expect(error.exit).to.deep.equal(crashed);
    expect(namesOf(events)).to.include('exited').and.not.to.include('ready');
  });

  describe('with listeners that throw', () => {
    const failure = new Error('This listener always throws.');
    const fail = () => {
      throw failure;
    };

    it('starts and stops, and tells of each by a warning', async () => {
      const spawner = new TestSpawner();
      const names: readonly (keyof SpawnerEvents)[] = ['state', 'submitted', 'ready', 'exited'];
      for (const name of names) spawner.on(name, fail);
      const events = eventsOf(spawner);
      await spawner.start();
      await spawner.stop();
      const warnings = events.filter(([name]) => name === 'warning').map(([, warning]) => warning);
      const emitted = namesOf(events).filter((name) => names.some((other) => other === name));
      expect(warnings).to.have.length(emitted.length);
      expect(warnings[0]).to.deep.equal({
        code: 'listener-failed',
        message: "A listener of the event 'state' threw an error.",
        cause: failure,
      });
    });

    it('tells of one that is async as well, and leaves no rejection unhandled', async () => {
      const spawner = new TestSpawner();
      spawner.on('state', async () => fail());
      const warned = new Promise((resolve) => spawner.once('warning', resolve));
      await spawner.start();

      expect(await warned).to.deep.include({ code: 'listener-failed', cause: failure });
    });

    it('keeps nothing from those that come after', async () => {
      const spawner = new TestSpawner();
      spawner.on('state', fail);
      const save = sinon.spy();
      spawner.on('state', save);
      await spawner.start();
      expect(save.callCount).to.equal(2);
    });

    it('does not fall into a loop over one that fails at warnings', async () => {
      const spawner = new TestSpawner();
      spawner.on('state', fail);
      spawner.on('warning', fail);
      const warn = sinon.spy();
      spawner.on('warning', warn);
      await spawner.start();
      expect(warn.callCount).to.equal(2);
    });

    it('calls one that was added by once() once', async () => {
      const spawner = new TestSpawner();
      const once = sinon.spy(fail);
      const always = sinon.spy();
      spawner.once('state', once);
      spawner.on('state', always);
      await spawner.start();
      expect(once.callCount).to.equal(1);
      expect(always.callCount).to.equal(2);
      expect(spawner.listenerCount('state')).to.equal(1);
    });
  });

  it('shows neither its token nor its options when it is printed', async () => {
    const spawner = new TestSpawner(
      { environment: { PASSWORD: 'hunter2' } },
      { apiToken: token, serverName: 'lab' },
    );
    await spawner.start();
    expect(inspect(spawner)).to.equal('TestSpawner { "ada/lab" }');
    const everything = [
      inspect({ of: [spawner] }, { depth: null, showHidden: true }),
      inspect(spawner.context, { depth: null }),
      JSON.stringify(spawner.context),
      JSON.stringify([spawner]),
      `${spawner}`,
    ];
    for (const text of everything) expect(text).not.to.match(new RegExp(`${token}|hunter2`));
    expect(spawner.context.apiToken).to.equal(token);
  });

  describe('that has only what it must have', () => {
    it('starts, lives, ends and can be started again', async () => {
      const spawner = new MinimalSpawner({ user: { name: 'ada' } });
      const events = eventsOf(spawner);
      expect(await spawner.poll()).to.include({ cause: 'unknown' });
      const address = await spawner.start();
      expect(address.url).to.equal('http://node1:4000/');
      expect(await spawner.poll()).to.equal(null);
      spawner.runs = false;
      expect(await spawner.poll()).to.include({ cause: 'completed' });
      await spawner.start();
      await spawner.stop();
      await spawner.stop();
      expect(await spawner.poll()).to.include({ cause: 'completed' });
      const once = ['state', 'ready', 'exited', 'state'];
      expect(namesOf(events)).to.deep.equal([...once, ...once]);
    });

    it('may learn its address more than once: a state is emitted only where it is another', async () => {
      class Learning extends MinimalSpawner {
        override start(): Promise<ServerAddress> {
          return this.runStart(undefined, async () => {
            this.setAddress('node1', 4000);
            this.setAddress('node1', 4000);
            return this.setAddress('node2', 4000);
          });
        }
      }
      const spawner = new Learning({ user: { name: 'ada' } }, { pollInterval: 0 });
      const events = eventsOf(spawner);
      expect(await spawner.start()).to.include({ host: 'node2' });
      expect(namesOf(events)).to.deep.equal(['state', 'state', 'ready']);
    });

    it('has a state, by which another one takes over its server', async () => {
      const first = new MinimalSpawner({ user: { name: 'ada' } });
      await first.start();
      const second = new MinimalSpawner({ user: { name: 'ada' } });
      second.runs = true;
      second.loadState(JSON.parse(JSON.stringify(first)));
      expect(second.address).to.deep.equal(first.address);
      expect(await second.poll()).to.equal(null);
      await second.stop();
      expect(second.getState()).to.deep.equal({ version: 1, spawner: 'spawner' });
    });

    it('is polled, hooked, aborted and stopped during a start like any other', async () => {
      const [preSpawn, postStop] = [sinon.fake.resolves(undefined), sinon.fake.resolves(undefined)];
      const spawner = new MinimalSpawner(
        { user: { name: 'ada' } },
        { pollInterval: 1000, hooks: { preSpawn, postStop } },
      );
      await rejected(AbortError, spawner.start(AbortSignal.abort()));
      const stopped = rejected(AbortError, spawner.start());
      await spawner.stop();
      await stopped;
      expect([spawner.launches, preSpawn.callCount]).to.deep.equal([0, 1]);
      await spawner.start();
      spawner.runs = false;
      await clock.tickAsync(1200);
      expect(postStop.callCount).to.equal(1);
      expect(clock.countTimers()).to.equal(0);
    });

    it('leaves a start to its author that does without the help of the class', async () => {
      class OwnWay extends MinimalSpawner {
        override async start(): Promise<ServerAddress> {
          this.runs = true;
          return this.setAddress('node2', 4001);
        }
      }
      const spawner = new OwnWay({ user: { name: 'ada' } });
      expect(await spawner.start()).to.include({ host: 'node2' });
      expect(await spawner.poll()).to.equal(null);
      expect(await progressOf(spawner)).to.deep.equal([]);
      await spawner.stop();
      expect(spawner.runs).to.equal(false);
    });
  });
});
