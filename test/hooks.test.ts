import { expect } from 'chai';
import sinon from 'sinon';
import { AbortError, StartError, StartTimeoutError } from '../lib/errors.ts';
import type { ProgressEvent } from '../lib/progress.ts';
import type { Spawner } from '../lib/spawner.ts';
import { rejected } from './helpers/errors.ts';
import { crashed, eventsOf, TestSpawner } from './helpers/test-spawner.ts';

const forever = () => new Promise<never>(() => {});

/** The last progress event of the last start. */
async function lastProgress(spawner: Spawner): Promise<ProgressEvent | undefined> {
  let last: ProgressEvent | undefined;
  for await (const event of spawner.progress()) last = event;
  return last;
}

describe('Hooks', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = sinon.useFakeTimers();
  });
  afterEach(() => clock.restore());

  it('may stop the spawner that has called them', async () => {
    const postStop = sinon.spy((spawner: Spawner) => spawner.stop());
    const spawner = new TestSpawner({ hooks: { postStop } });
    await spawner.start();
    await spawner.stop();

    expect(postStop.callCount).to.equal(1);
    expect(spawner.machine.alive).to.equal(0);
  });

  it('get the spawner, are awaited, and are called once for each start and stop', async () => {
    const order: string[] = [];
    const hook = (name: string) => async (spawner: Spawner) => {
      await Promise.resolve();
      order.push(`${name} of ${spawner.context.user.name}`);
    };
    const spawner = new TestSpawner({
      hooks: { preSpawn: hook('preSpawn'), postStop: hook('postStop') },
    });
    spawner.on('submitted', () => order.push('submitted'));
    spawner.on('exited', () => order.push('exited'));
    await spawner.start();
    await spawner.stop();
    await spawner.stop();
    const once = ['preSpawn of ada', 'submitted', 'exited', 'postStop of ada'];
    expect(order).to.deep.equal(once);
    await spawner.start();
    spawner.machine.end(crashed);
    await spawner.poll();
    await spawner.poll();
    expect(order).to.deep.equal([...once, ...once]);
  });

  describe('before a start', () => {
    it('prevent it by an error, which is the error of the start', async () => {
      const failure = new Error('No quota left.');
      const postStop = sinon.spy();
      const preSpawn = () => {
        throw failure;
      };
      const spawner = new TestSpawner({ hooks: { preSpawn, postStop } });
      const events = eventsOf(spawner);
      expect(await rejected(Error, spawner.start())).to.equal(failure);
      expect(spawner.machine.launched).to.equal(0);
      expect(postStop.called).to.equal(false);
      expect(events).to.deep.equal([
        ['progress', { progress: 100, message: 'No quota left.', outcome: 'failed' }],
      ]);
    });

    it('have the time of startTimeout', async () => {
      const spawner = new TestSpawner({ startTimeout: 5000, hooks: { preSpawn: forever } });
      const failed = rejected(StartTimeoutError, spawner.start());
      await clock.tickAsync(5000);
      expect(await failed).to.include({ step: 'preSpawn', timeout: 5000 });
      expect(spawner.machine.launched).to.equal(0);
    });

    it('find the start under way: they can not start the server once more, but stop it', async () => {
      const refused: Promise<StartError>[] = [];
      const spawner: TestSpawner = new TestSpawner({
        hooks: {
          preSpawn: async () => {
            refused.push(rejected(StartError, spawner.start()));
            await spawner.stop();
          },
        },
      });
      await rejected(AbortError, spawner.start());
      expect((await refused[0])?.message).to.equal('The server is being started already.');
      expect(spawner.machine.launched).to.equal(0);
    });

    it('are not waited for when the start is aborted', async () => {
      const spawner = new TestSpawner({ hooks: { preSpawn: forever } });
      const controller = new AbortController();
      const failed = rejected(AbortError, spawner.start(controller.signal));
      controller.abort();
      await failed;
      expect(spawner.machine.launched).to.equal(0);
    });
  });

  describe('after a stop', () => {
    it('give a warning when they fail; the server is stopped all the same', async () => {
      const failure = new Error('No such directory.');
      const spawner = new TestSpawner({ hooks: { postStop: () => Promise.reject(failure) } });
      await spawner.start();
      const events = eventsOf(spawner);
      await spawner.stop();
      expect(events.at(-1)).to.deep.equal([
        'warning',
        {
          code: 'hook-failed',
          message: 'The hook postStop failed: No such directory.',
          cause: failure,
        },
      ]);
      expect(spawner.machine.alive).to.equal(0);
    });

    it('can start the server again when it has ended by itself', async () => {
      const spawner: TestSpawner = new TestSpawner({
        hooks: {
          postStop: async () => {
            await spawner.start();
          },
        },
      });
      await spawner.start();
      spawner.machine.end(crashed);
      await spawner.poll();
      expect(spawner.machine.alive).to.equal(1);
      expect(await spawner.poll()).to.equal(null);
    });
  });

  describe('of the last progress event', () => {
    it('make it', async () => {
      const progressReady = async (spawner: Spawner, event: ProgressEvent) => ({
        ...event,
        message: `${event.message} for ${spawner.context.user.name}`,
      });
      const spawner = new TestSpawner({ hooks: { progressReady } });
      await spawner.start();
      expect(await lastProgress(spawner)).to.deep.equal({
        progress: 100,
        message: 'The server is ready at http://node1:4000/ for ada',
        outcome: 'ready',
      });
    });

    const failures: Readonly<Record<string, readonly [() => never, string]>> = {
      'they throw': [
        () => {
          throw new Error('No such user.');
        },
        'The hook progressReady failed: No such user.',
      ],
      'they throw what is no error': [
        () => {
          throw 'no';
        },
        'The hook progressReady failed: no',
      ],
    };
    for (const [what, [progressReady, message]] of Object.entries(failures)) {
      it(`lose no server that is ready when ${what}: that is a warning`, async () => {
        const spawner = new TestSpawner({ hooks: { progressReady } });
        const events = eventsOf(spawner);
        const address = await spawner.start();
        expect(spawner.machine.alive).to.equal(1);
        const warnings = events.filter(([name]) => name === 'warning');
        expect(warnings).to.have.length(1);
        expect(warnings[0]?.[1]).to.include({ code: 'hook-failed', message });
        expect(await lastProgress(spawner)).to.include({
          outcome: 'ready',
          message: 'The server is ready at http://node1:4000/',
        });
        expect(events.at(-1)).to.deep.equal(['ready', address]);
      });
    }

    it('have the time of startTimeout, after which the start succeeds without them', async () => {
      const spawner = new TestSpawner({ startTimeout: 5000, hooks: { progressReady: forever } });
      const events = eventsOf(spawner);
      const starting = spawner.start();
      await clock.tickAsync(5000);
      expect(await starting).to.include({ host: 'node1' });
      expect(events.find(([name]) => name === 'warning')?.[1]).to.include({
        message:
          'The hook progressReady failed: The hook progressReady took longer than startTimeout (5 s).',
      });
    });

    it('do not hold up a stop', async () => {
      const spawner = new TestSpawner({ hooks: { progressReady: forever } });
      const starting = spawner.start();
      await clock.tickAsync(0);
      await spawner.stop();
      expect(await starting).to.include({ host: 'node1' });
      expect(spawner.machine.alive).to.equal(0);
      expect(await spawner.poll()).to.include({ cause: 'cancelled' });
    });

    it('may return nothing', async () => {
      const progressReady = sinon.fake.resolves(undefined);
      const spawner = new TestSpawner({ hooks: { progressReady } });
      await spawner.start();
      expect(await lastProgress(spawner)).to.include({ outcome: 'ready', progress: 100 });
    });
  });
});
