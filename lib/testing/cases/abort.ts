import assert from 'node:assert/strict';
import type { Cases } from '../harness.ts';

/** What becomes of a start whose signal is aborted. */
export const abortCases: Cases = {
  'starts nothing when its signal is aborted already': async (harness) => {
    const trial = await harness.create();
    await harness.aborted(trial, trial.spawner.start(AbortSignal.abort()));
    assert.deepEqual(trial.events.submitted, []);
  },

  'leaves nothing when a start is aborted at once': async (harness) => {
    const trial = await harness.create();
    const controller = new AbortController();
    const starting = trial.spawner.start(controller.signal);
    controller.abort();
    await harness.aborted(trial, starting);
  },

  'leaves nothing when a start is aborted after the submission, and can start again': async (
    harness,
  ) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    const controller = new AbortController();
    spawner.once('submitted', () => controller.abort());
    await harness.aborted(trial, spawner.start(controller.signal));
    assert.deepEqual(events.ready, []);
    assert.equal(events.exited.length, 1);
    await harness.lives(trial, await harness.start(spawner));
  },

  'takes no notice of a signal that is aborted after the start': async (harness) => {
    const trial = await harness.create();
    const controller = new AbortController();
    const address = await harness.start(trial.spawner, controller.signal);
    controller.abort();
    await harness.lives(trial, address);
  },
};

/** The same, for a server that never answers. */
export const slowAbortCases: Cases = {
  'leaves nothing when a start is aborted while it waits': async (harness) => {
    const trial = await harness.createSlow();
    const controller = new AbortController();
    const starting = trial.spawner.start(controller.signal);
    await harness.submitted(trial, starting);
    assert.equal(await trial.spawner.poll(), null);
    controller.abort();
    await harness.aborted(trial, starting);
    assert.equal(trial.events.exited.length, 1);
    assert.deepEqual(trial.events.ready, []);
  },
};
