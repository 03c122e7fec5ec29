import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { AbortError } from '../../errors.ts';
import type { Spawner } from '../../spawner.ts';
import type { SpawnerState } from '../../state.ts';
import type { Cases } from '../harness.ts';
import { answers, contextOf } from '../harness.ts';

/** What a hub saves, and what it does with it after a restart. */
export const stateCases: Cases = {
  'has a state of JSON, and announces it before the server is ready': async (harness) => {
    const { spawner, events, pristine } = await harness.create();
    await harness.start(spawner);
    const state = spawner.getState();
    assert.equal(state.version, 1);
    assert.deepEqual(state, asSaved(state));
    assert.notDeepEqual(state, pristine, 'the state of a server is that of none');
    const announced = events.order.lastIndexOf('state');
    assert.ok(announced >= 0, "there was no event 'state'");
    assert.ok(announced < events.order.indexOf('ready'), "a 'state' came after 'ready'");
    assert.deepEqual(events.state.at(-1), state);
  },

  'hands its server over to a new spawner': async (harness) => {
    const first = await harness.create();
    const address = await harness.start(first.spawner);
    const second = await harness.create(contextOf(first.spawner));
    second.spawner.loadState(asSaved(first.spawner.getState()));
    await harness.lives(second, address);
    assert.deepEqual(second.spawner.getState(), first.spawner.getState());
    await harness.stop(second.spawner);
    assert.equal(await answers(address), false, 'the server still answers');
    await harness.nothingLeft(second);
    assert.equal(second.events.exited.length, 1);
    await harness.ended(first.spawner);
    await harness.nothingLeft(first);
  },

  'goes on with a start that was let go of': async (harness) => {
    const first = await harness.create();
    const starting = harness.settled(first.spawner.start());
    await harness.submitted(first, starting);
    await first.spawner.detach();
    // It may have come to its end in the meantime.
    await assert.doesNotReject(starting.catch(refuseUnlessAborted));
    const second = await harness.create(contextOf(first.spawner));
    second.spawner.loadState(asSaved(first.spawner.getState()));
    const address = await harness.settled(second.spawner.resume());
    await harness.lives(second, address);
    await harness.stop(second.spawner);
    await harness.nothingLeft(second);
  },

  'starts nothing where its state can not be saved': async (harness) => {
    const trial = await harness.create();
    trial.spawner.on('state', () => Promise.reject(new Error('The disk is full.')));
    await assert.rejects(harness.start(trial.spawner), {
      code: 'ERR_SPAWNER_START',
      message: /The disk is full/,
    });
    assert.equal(trial.events.submitted.length, 0, 'a server was started');
    await harness.nothingLeft(trial);
  },

  'can be stopped while its state waits to be saved': async (harness) => {
    const trial = await harness.create();
    const saving = new Promise<void>((resolve) => {
      trial.spawner.on('state', () => {
        resolve();
        return new Promise<void>(() => {});
      });
    });
    const failed = assert.rejects(harness.start(trial.spawner), { code: 'ERR_SPAWNER_ABORTED' });
    await harness.settled(saving);
    await harness.stop(trial.spawner);
    await failed;
    assert.equal(trial.events.submitted.length, 0, 'a server was started');
    await harness.nothingLeft(trial);
  },

  'refuses what is no state of its own, and stays usable': async (harness) => {
    const garbage = [
      null,
      undefined,
      42,
      'x',
      [],
      {},
      { version: 99 },
      { version: 1 },
      { version: 1, spawner: 'other' },
    ];
    const trial = await harness.create();
    for (const state of garbage) {
      assertRefused(trial.spawner, state);
      await harness.nothingLeft(trial);
    }
    await harness.lives(trial, await harness.start(trial.spawner));
  },

  'refuses a state that was damaged, and stays usable': async (harness) => {
    const first = await harness.create();
    const address = await harness.start(first.spawner);
    const state = first.spawner.getState();
    const second = await harness.create(contextOf(first.spawner));
    for (const damaged of damages(state, second.pristine)) {
      assertRefused(second.spawner, damaged);
      await harness.nothingLeft(second);
    }
    second.spawner.loadState(asSaved(state));
    await harness.lives(second, address);
  },
};

/** The same, for a server that never answers. */
export const slowStateCases: Cases = {
  'hands over a start: its server can be stopped by a new spawner': async (harness) => {
    const first = await harness.createSlow();
    const starting = first.spawner.start();
    await harness.submitted(first, starting);
    const failed = assert.rejects(harness.settled(starting), { code: 'ERR_SPAWNER_START' });
    const second = await harness.createSlow(contextOf(first.spawner));
    second.spawner.loadState(asSaved(first.events.state.at(-1)));
    assert.equal(await second.spawner.poll(), null);
    await harness.stop(second.spawner);
    await harness.nothingLeft(second);
    await failed;
    await harness.nothingLeft(first);
  },
};

/** What is read again of what was saved. */
function asSaved(state: SpawnerState | undefined): unknown {
  assert.ok(state, "there was no event 'state'");
  return JSON.parse(JSON.stringify(state));
}

function refuseUnlessAborted(error: unknown): void {
  assert.ok(error instanceof AbortError, `the start that was let go of threw ${inspect(error)}`);
}

function assertRefused(spawner: Spawner, state: unknown): void {
  assert.throws(
    () => spawner.loadState(state),
    { name: 'StateError', code: 'ERR_SPAWNER_STATE' },
    `no StateError came for ${inspect(state)}`,
  );
}

/** States without what makes them one: cut off after the address, or with a value of a wrong kind. */
function damages(state: SpawnerState, pristine: SpawnerState): readonly unknown[] {
  const { version, spawner, host, port } = state;
  const cut = { version, spawner, host, port };
  const isMore = Object.keys(state).length > Object.keys(cut).length;
  const wrong = Object.entries(state)
    .filter(([name]) => !(name in pristine))
    .flatMap(([name, value]) => wrongKinds(value).map((other) => ({ ...state, [name]: other })));
  return [{ version, spawner, host }, ...(isMore ? [cut] : []), ...wrong];
}

function wrongKinds(value: unknown): readonly unknown[] {
  switch (typeof value) {
    case 'string':
      return [{}, 42];
    case 'number':
      return [{}, 'x'];
    case 'object':
      return value === null ? [] : [42, 'x'];
    default:
      return [];
  }
}
