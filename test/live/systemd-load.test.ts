import { assert } from 'chai';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import type { CommandRunner } from '../../lib/runners/runner.ts';
import { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import { remains, serviceContext, serviceOptions, unitOf } from './helpers/services.ts';
import { units, useSystemd } from './helpers/systemd.ts';
import { SystemdRunner } from './helpers/systemd-runner.ts';

const count = 500;
/** How many are started and stopped at once. */
const atOnce = 8;

/** Its servers listen nowhere, so that they cost next to nothing. */
class QuietSpawner extends SystemdSpawner {
  protected override answers(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** Keeps what it is asked. */
class CountingRunner implements CommandRunner {
  readonly calls: (readonly string[])[] = [];
  readonly #runner = new SystemdRunner();

  run(...args: Parameters<CommandRunner['run']>): ReturnType<CommandRunner['run']> {
    this.calls.push(args[0]);
    return this.#runner.run(...args);
  }
}

/** Does something with each of a list, some at once. */
async function each<T>(list: readonly T[], act: (one: T) => Promise<unknown>): Promise<void> {
  const rest = list.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const one of rest) await act(one);
    }),
  );
}

describe(`SystemdSpawner: ${count} servers`, () => {
  useSystemd();

  it('are started, polled by one command, and stopped; nothing is left', async () => {
    const runner = new CountingRunner();
    const options: Partial<SystemdOptions> = {
      ...serviceOptions,
      cmd: ['sleep', '600'],
      queryInterval: 1000,
      commandTimeout: 60_000,
    };
    const spawners = Array.from(
      { length: count },
      (_, index) =>
        new QuietSpawner({ ...serviceContext(), runner, serverName: `s${index}` }, options),
    );
    const times = [performance.now()];
    try {
      await each(spawners, (spawner) => spawner.start());
      times.push(performance.now());
      assert.lengthOf(
        (await units('jupyter-*')).filter(({ active }) => active === 'active'),
        count,
      );
      assert.lengthOf(new Set(spawners.map(unitOf)), count);

      runner.calls.length = 0;
      const ends = await Promise.all(spawners.map((spawner) => spawner.poll()));
      assert.deepEqual(
        ends.filter((exit) => exit !== null),
        [],
      );
      assert.lengthOf(runner.calls, 1);
      assert.equal(runner.calls[0]?.[1], 'list-units');
      times.push(performance.now());
    } finally {
      await each(spawners, (spawner) => spawner.stop());
      times.push(performance.now());
    }
    assert.deepEqual(await remains(), []);
    const [start, poll, stop] = times.slice(1).map((time, i) => Math.round(time - (times[i] ?? 0)));
    console.log(`      start ${start} ms, poll ${poll} ms, stop ${stop} ms`);
    assert.isBelow(Number(poll), 3000);
  }).timeout(240_000);
});
