import assert from 'node:assert/strict';
import type { SpawnerEvents } from '../../events.ts';
import type { Cases } from '../harness.ts';
import { answers, assertExit, contextOf } from '../harness.ts';

/** What `start()` does, and what the options are. */
export const startCases: Cases = {
  'says before the first start that there is no server': async (harness) => {
    const { spawner, events } = await harness.create();
    assertExit(await spawner.poll());
    assert.equal(spawner.address, undefined);
    await harness.stop(spawner);
    assert.deepEqual(events.exited, []);
  },

  'starts a server that answers, and tells each step': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    const address = await harness.start(spawner);
    await harness.lives(trial, address);
    assert.equal(new URL(address.url).port, String(address.port));
    const steps = events.order.filter((name) => /^(submitted|running|ready|exited)$/.test(name));
    assert.deepEqual(steps, ['submitted', 'running', 'ready']);
    assert.notEqual(events.submitted[0]?.id, '');
    assert.notEqual(events.running[0]?.host, '');
    assert.deepEqual(events.ready, [address]);
  },

  'refuses a second start while the server runs, and leaves it alone': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    const address = await harness.start(spawner);
    const state = spawner.getState();
    await assert.rejects(harness.start(spawner), { code: 'ERR_SPAWNER_START' });
    await harness.lives(trial, address);
    assert.deepEqual(spawner.getState(), state);
    assert.equal(events.submitted.length, 1);
    assert.deepEqual(events.exited, []);
  },

  'refuses a second start during a start, and completes the first': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    const first = harness.start(spawner);
    await assert.rejects(harness.start(spawner), { code: 'ERR_SPAWNER_START' });
    await harness.submitted(trial, first);
    await assert.rejects(harness.start(spawner), { code: 'ERR_SPAWNER_START' });
    await harness.lives(trial, await first);
    assert.equal(events.submitted.length, 1);
  },

  'starts again after its server was stopped': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    await harness.start(spawner);
    await harness.stop(spawner);
    await harness.lives(trial, await harness.start(spawner));
    await harness.stop(spawner);
    assert.equal(events.submitted.length, 2);
    assert.equal(events.exited.length, 2);
  },

  'keeps two servers of one person apart': async (harness) => {
    const first = await harness.create({ serverName: '' });
    const { user } = first.spawner.context;
    const second = await harness.create({ user, serverName: 'second' });
    const [one, two] = await Promise.all([
      harness.start(first.spawner),
      harness.start(second.spawner),
    ]);
    assert.notDeepEqual([one.host, one.port], [two.host, two.port]);
    await harness.lives(first, one);
    await harness.stop(first.spawner);
    assert.equal(await answers(one), false);
    await harness.lives(second, two);
    assert.deepEqual(second.events.exited, []);
  },

  'starts and stops although listeners throw, and warns of them': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    const names: readonly (keyof SpawnerEvents)[] = [
      'state',
      'progress',
      'submitted',
      'running',
      'ready',
      'exited',
    ];
    for (const name of [...names, 'warning'] as const) {
      spawner.on(name, () => {
        throw new Error(`This listener of '${name}' always throws.`);
      });
    }
    await harness.lives(trial, await harness.start(spawner));
    await harness.stop(spawner);
    await harness.nothingLeft(trial);
    const emitted = events.order.filter((name) => names.includes(name));
    const warnings = events.warning.filter(({ code }) => code === 'listener-failed');
    assert.equal(warnings.length, emitted.length);
  },

  'freezes its options, and leaves those of the caller as they are': async (harness) => {
    const { spawner } = await harness.create();
    assert.ok(everyPart(spawner.options, Object.isFrozen), 'options are not frozen');

    // Two options with defaults are left out, so that there is something to be filled in.
    const { debug: _debug, hooks: _hooks, ...given } = spawner.options;
    const [options, before] = [copyOf(given), copyOf(given)];
    Reflect.construct(spawner.constructor, [contextOf(spawner), options]);
    assert.deepEqual(options, before);
    assert.ok(
      everyPart(options, (part) => !Object.isFrozen(part)),
      "the caller's options are frozen",
    );
  },
};

/** Whether something is true of an object and of all objects in it; functions are left out. */
function everyPart(value: unknown, test: (part: object) => boolean): boolean {
  if (typeof value !== 'object' || value === null) {
    return true;
  }
  return test(value) && Object.values(value).every((inner) => everyPart(inner, test));
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(copyOf);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, copyOf(inner)]));
}
