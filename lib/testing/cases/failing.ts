import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { StartError } from '../../errors.ts';
import type { Cases, Harness, Trial } from '../harness.ts';
import { assertExit } from '../harness.ts';
import { readProgress } from './progress.ts';

/** What becomes of a start whose server ends at once with exit code 3. */
export const failingCases: Cases = {
  'fails a start whose server ends, with its exit code and its log': async (harness) => {
    const trial = await harness.createFailing();
    const { spawner, events } = trial;
    const error = await failedStart(harness, trial);
    assert.ok(error.exit, 'the error has no exit status');
    assertExit(error.exit);
    assert.equal(error.exit.code, 3);
    assert.ok(error.log !== undefined && error.log.trim() !== '', 'the error has no log');
    assert.equal((await spawner.poll())?.code, 3);
    await harness.nothingLeft(trial);
    assert.equal(events.exited.length, 1);
    assert.deepEqual(events.ready, []);
    const { apiToken = '' } = spawner;
    assert.ok(!inspect(error, { depth: null }).includes(apiToken), 'the error shows the token');
  },

  'can be started again after a failed start': async (harness) => {
    const trial = await harness.createFailing();
    await failedStart(harness, trial);
    const { exit } = await failedStart(harness, trial);
    assert.equal(exit?.code, 3);
    assert.equal(trial.events.exited.length, 2);
  },

  'tells all who follow a start that it has failed': async (harness) => {
    const trial = await harness.createFailing();
    const starting = failedStart(harness, trial);
    const during = readProgress(trial.spawner);
    await starting;
    const after = await harness.settled(readProgress(trial.spawner));
    assert.deepEqual(await harness.settled(during), after);
    assert.deepEqual(after, trial.events.progress);
    assert.equal(after.at(-1)?.outcome, 'failed');
    for (const { outcome } of after.slice(0, -1)) {
      assert.equal(outcome, 'starting');
    }
  },
};

async function failedStart(harness: Harness, { spawner }: Trial): Promise<StartError> {
  let failure: unknown;
  try {
    await harness.start(spawner);
  } catch (error) {
    failure = error;
  }
  assert.ok(failure instanceof StartError, `instead of a StartError came ${inspect(failure)}`);
  return failure;
}
