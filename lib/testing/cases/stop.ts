import assert from 'node:assert/strict';
import type { Cases } from '../harness.ts';
import { answers, assertExit } from '../harness.ts';

/** What `stop()` does, and how an end is noticed. */
export const stopCases: Cases = {
  'stops its server once for all who ask': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    const address = await harness.start(spawner);
    await Promise.all([
      harness.stop(spawner),
      spawner.poll(),
      harness.stop(spawner),
      spawner.poll(),
    ]);
    assert.equal(await answers(address), false, 'the server still answers');
    await harness.nothingLeft(trial);
    await harness.stop(spawner);
    assert.equal(events.exited.length, 1);
    events.exited.forEach(assertExit);
    assert.deepEqual(events.state.at(-1), spawner.getState(), 'the last state was not announced');
  },

  'stops its server at once when it is told so': async (harness) => {
    const trial = await harness.create();
    const address = await harness.start(trial.spawner);
    await harness.stop(trial.spawner, { now: true });
    assert.equal(await answers(address), false, 'the server still answers');
    await harness.nothingLeft(trial);
    assert.equal(trial.events.exited.length, 1);
  },

  'ends a start that is stopped before anything was submitted': async (harness) => {
    const trial = await harness.create();
    const starting = trial.spawner.start();
    const aborted = harness.aborted(trial, starting);
    await harness.stop(trial.spawner);
    await aborted;
  },

  'ends a start that is stopped after the submission': async (harness) => {
    const trial = await harness.create();
    const starting = trial.spawner.start();
    await harness.submitted(trial, starting);
    const aborted = harness.aborted(trial, starting);
    await harness.stop(trial.spawner);
    await aborted;
    assert.equal(trial.events.exited.length, 1);
  },

  'notices a server that was ended by something else': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    await harness.start(spawner);
    await harness.subject.killBehindItsBack(spawner);
    assertExit(await harness.ended(spawner));
    await harness.nothingLeft(trial);
    await harness.stop(spawner);
    assert.equal(events.exited.length, 1);
    assert.deepEqual(events.state.at(-1), spawner.getState(), 'the last state was not announced');
  },
};

/** The same, for a server that never answers. */
export const slowStopCases: Cases = {
  'ends a start that is stopped while it waits': async (harness) => {
    const trial = await harness.createSlow();
    const starting = trial.spawner.start();
    await harness.submitted(trial, starting);
    assert.equal(await trial.spawner.poll(), null);
    const aborted = harness.aborted(trial, starting);
    await harness.stop(trial.spawner);
    await aborted;
    assert.deepEqual(trial.events.ready, []);
  },
};
