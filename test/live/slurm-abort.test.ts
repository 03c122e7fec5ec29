import { assert } from 'chai';
import type { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { AbortError } from '../../lib/errors.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { sleep } from '../../lib/sleep.ts';
import { isAlive, useHub } from './helpers/hub.ts';
import { rejection } from './helpers/slurm.ts';

describe('SlurmSpawner: a start that is aborted leaves no job on a real Slurm', () => {
  const hub = useHub();

  /** Starts, aborts when `moment` has come, and looks at what is left right after the rejection. */
  async function abort(
    options: Partial<SlurmOptions>,
    moment: (spawner: SlurmSpawner) => Promise<unknown>,
    serverName = '',
  ): Promise<SlurmSpawner> {
    const spawner = hub().create(options, { serverName });
    const controller = new AbortController();
    const rejected = rejection(spawner.start(controller.signal), AbortError);
    const aborted = moment(spawner).then(() => controller.abort('enough'));
    const error = await rejected;
    const left = (await hub().jobsOf(spawner)).filter(isAlive);
    assert.deepEqual(left, [], `aborted ${serverName}`);
    await aborted;
    assert.equal(error.cause, 'enough');
    assert.deepEqual(spawner.getState(), { version: 1, spawner: 'slurm' });
    assert.isNotNull(await spawner.poll());
    return spawner;
  }

  function event(name: 'submitted' | 'running'): (spawner: SlurmSpawner) => Promise<unknown> {
    return (spawner) => new Promise((resolve) => spawner.once(name, resolve));
  }

  async function statesOf(spawner: SlurmSpawner): Promise<string[]> {
    return (await hub().jobsOf(spawner)).map(({ state }) => state);
  }

  it('while it waits in the queue', async () => {
    const spawner = await abort({ request: { options: '--hold' } }, async (waiting) => {
      for await (const { message } of waiting.progress()) {
        if (message.includes('JobHeldUser')) return;
      }
    });
    assert.deepEqual(await statesOf(spawner), ['CANCELLED']);
  });

  it('by the listener that hears of its submission', async () => {
    const spawner = hub().create();
    const controller = new AbortController();
    spawner.once('submitted', () => controller.abort());
    await rejection(spawner.start(controller.signal), AbortError);
    assert.deepEqual(await statesOf(spawner), ['CANCELLED']);
  });

  it('while its server has not said where it listens', async () => {
    const spawner = await abort({ cmd: ['sleep', '600'] }, event('running'));
    assert.deepEqual(await statesOf(spawner), ['CANCELLED']);
  });

  it('while its server does not answer yet', async () => {
    const spawner = await abort({ cmd: ['sleep', '600'] }, async (starting) => {
      for await (const { message } of starting.progress()) {
        if (message.includes('waiting for its first answer')) return;
      }
    });
    assert.deepEqual(await statesOf(spawner), ['CANCELLED']);
  });

  it('although its server ignores SIGTERM', async () => {
    const deaf = ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'];
    await abort({ cmd: deaf, killTimeout: 500 }, event('running'));
  });

  it('5 ms after its beginning, and at any moment of the submission', async () => {
    const delays = [5, 5, ...Array.from({ length: 20 }, () => Math.round(Math.random() * 500))];
    let submitted = 0;
    while (delays.length > 0) {
      // Few at once, so that the commands take about as long as they do on a quiet machine.
      await Promise.all(
        delays.splice(0, 4).map(async (delay, index) => {
          const name = `${index}, after ${delay} ms`;
          const spawner = await abort({ cmd: ['sleep', '600'] }, () => sleep(delay), name);
          submitted += (await hub().jobsOf(spawner)).length;
        }),
      );
    }
    assert.isAbove(submitted, 0, 'all were aborted before the submission');
  });
});
