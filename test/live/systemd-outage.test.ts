import { assert } from 'chai';
import { CommandError, StartError, StopError } from '../../lib/errors.ts';
import { sleep } from '../../lib/sleep.ts';
import { pid1, systemBus } from '../engines/systemd.ts';
import { killUnit, report, unitOf, useServices, warningsOf } from './helpers/services.ts';
import { ended, rejection } from './helpers/slurm.ts';
import { inside, replaceProgram, shell } from './helpers/systemd.ts';

/** In ms: more than a command may take here, and less than systemctl itself waits. */
const bound = 8000;
const impatient = { commandTimeout: 1000, stopTimeout: 1000, startTimeout: 3000 };

describe('SystemdSpawner: outages', () => {
  const create = useServices();

  /** Checks that a stop fails in time, and that nobody is declared dead. */
  async function failsToStop(stop: Promise<void>): Promise<StopError> {
    const began = performance.now();
    const error = await rejection(stop, StopError);
    assert.isBelow(performance.now() - began, bound);
    assert.isTrue(error.retryable);
    return error;
  }

  it('PID 1 hangs: nobody is dead, stop() throws in time and works later', async () => {
    const spawner = create(impatient);
    await spawner.start();
    const warnings = warningsOf(spawner);
    await pid1.hang();
    try {
      await killUnitBySignal(unitOf(spawner));
      // Until then the last list counts.
      await sleep(200);
      assert.isNull(await spawner.poll());
      assert.isNull(await spawner.usage());
      assert.deepEqual(
        warnings.map(({ code }) => code),
        ['status-unknown'],
      );
      await failsToStop(spawner.stop());
      assert.isNull(await spawner.poll());
    } finally {
      await pid1.resume();
    }
    assert.containsSubset(await ended(spawner), { signal: 'SIGKILL' });
    assert.equal(warnings.at(-1)?.code, 'status-known');
  });

  it('PID 1 hangs: a stop that was asked for meanwhile is done when it is asked for again', async () => {
    const spawner = create(impatient);
    await spawner.start();
    await pid1.hang();
    try {
      await failsToStop(spawner.stop());
    } finally {
      await pid1.resume();
    }
    assert.isNull(await spawner.poll());
    assert.equal((await report(spawner)).account, 'alice');
    await spawner.stop();
    assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
  });

  it('PID 1 hangs: a start fails in time, and leaves nothing', async () => {
    // It learns the release before.
    await create().start();
    const spawner = create(impatient, { serverName: 'late' });
    await pid1.hang();
    try {
      const began = performance.now();
      const error = await rejection(spawner.start(), Error);
      assert.isBelow(performance.now() - began, 2 * bound);
      assert.isTrue(error instanceof StartError || error instanceof CommandError, error.stack);
    } finally {
      await pid1.resume();
    }
    // Neither is the unit of one that was given up.
    await spawner.start();
    assert.equal((await report(spawner)).account, 'alice');
  });

  it('the system bus is away: root asks without it', async () => {
    const [spawner, other] = [create(), create({}, { serverName: 'other' })];
    await Promise.all([spawner.start(), other.start()]);
    await systemBus.stop();
    try {
      assert.isNull(await spawner.poll());
      assert.isAbove(Number((await spawner.usage())?.memory), 1_000_000);
      await spawner.stop();
      assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
      await killUnit(unitOf(other));
      assert.containsSubset(await ended(other), { signal: 'SIGKILL' });
    } finally {
      await systemBus.start();
    }
  });

  for (const [what, script] of [
    ['fails', 'echo "Failed to list units: Connection timed out" >&2; exit 1'],
    ['says nothing', 'exit 0'],
    ['prints something else', 'echo "Segmentation fault"; exit 0'],
    ['is cut off', '/run/systemctl "$@" | head -c 40'],
    ['is cut off at the end of a line', '/run/systemctl "$@" | head -n 1'],
    ['is killed', 'kill -KILL $$'],
    ['hangs', 'sleep 60'],
  ] as const) {
    it(`systemctl ${what}: nobody is dead, stop() throws and works later`, async () => {
      const spawner = create(impatient);
      await spawner.start();
      const warnings = warningsOf(spawner);
      await inside(['cp', '/usr/bin/systemctl', '/run/systemctl']);
      const restore = await replaceProgram('/usr/bin/systemctl', `#!/bin/sh\n${script}\n`);
      try {
        await spawner.poll();
        assert.isNull(await spawner.poll());
        await failsToStop(spawner.stop());
        assert.isNull(await spawner.poll());
      } finally {
        await restore();
        await inside(['rm', '/run/systemctl']);
      }
      // It may have been stopped by a stop whose success nobody could tell.
      await spawner.stop();
      assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
      assert.include(['status-unknown', undefined], warnings[0]?.code);
    });
  }

  it('the journal is away: an end is told all the same', async () => {
    const spawner = create();
    await spawner.start();
    await inside([
      'systemctl',
      'stop',
      'systemd-journald.socket',
      'systemd-journald-dev-log.socket',
      'systemd-journald',
    ]);
    try {
      await killUnit(unitOf(spawner));
      assert.containsSubset(await ended(spawner), { cause: 'failed', signal: 'SIGKILL' });
      await spawner.start();
      assert.isNull(await spawner.poll());
      await spawner.stop();
    } finally {
      await inside([
        'systemctl',
        'start',
        'systemd-journald.socket',
        'systemd-journald-dev-log.socket',
        'systemd-journald',
      ]);
    }
  });
});

/** Kills all processes of a unit without asking PID 1. */
async function killUnitBySignal(unit: string): Promise<void> {
  await shell('xargs kill -KILL <"/sys/fs/cgroup/$2/system.slice/$1/cgroup.procs"', [
    unit,
    await hierarchy(),
  ]);
}

/** Where the processes of units are listed: below systemd's own hierarchy, or that of v2. */
async function hierarchy(): Promise<string> {
  return shell('if [ -e /sys/fs/cgroup/systemd ]; then printf systemd; else printf .; fi');
}
