import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { ProgressEvent } from '../../progress.ts';
import type { Spawner } from '../../spawner.ts';
import type { Cases } from '../harness.ts';

/** What a hub shows to people, and what it must not show. */
export const progressCases: Cases = {
  'tells the progress of a start to all who follow it, now or later': async (harness) => {
    const trial = await harness.create();
    const { spawner, events } = trial;
    const starting = harness.start(spawner);
    const readers = [readProgress(spawner), readProgress(spawner)];
    await harness.submitted(trial, starting);
    readers.push(readProgress(spawner));
    await starting;
    readers.push(readProgress(spawner));

    const seen = await harness.settled(Promise.all(readers));
    for (const list of seen) {
      assert.deepEqual(list, events.progress);
    }
    assertRising(events.progress);
    const last = events.progress.at(-1);
    assert.deepEqual([last?.outcome, last?.progress], ['ready', 100]);
    for (const { outcome } of events.progress.slice(0, -1)) {
      assert.equal(outcome, 'starting');
    }
  },

  "shows the server's token nowhere": async (harness) => {
    const { spawner, events } = await harness.create();
    const { apiToken } = spawner;
    assert.ok(apiToken, 'the subject has dropped the token of the context');
    const isHidden = (where: string, text: string) =>
      assert.ok(!text.includes(apiToken), `the token is shown in ${where}`);
    await harness.start(spawner);
    isHidden('getState()', JSON.stringify(spawner.getState()));
    isHidden('util.inspect(spawner)', inspect(spawner, { depth: null }));
    await harness.stop(spawner);
    for (const detail of events.details) {
      isHidden('an event', inspect(detail, { depth: null }));
    }
  },
};

/** The events of a start, until it has come to its end. */
export async function readProgress(spawner: Spawner): Promise<readonly ProgressEvent[]> {
  const events: ProgressEvent[] = [];
  for await (const event of spawner.progress()) {
    events.push(event);
  }
  return events;
}

function assertRising(events: readonly ProgressEvent[]): void {
  let before = 0;
  for (const { progress, message } of events) {
    assert.ok(progress >= before && progress <= 100, `progress ${progress} follows ${before}`);
    assert.notEqual(message, '');
    before = progress;
  }
}
