import { assert } from 'chai';
import type { GridEngineSpawner } from '../../lib/batch/grid-engine.ts';
import type { ExitStatus } from '../../lib/events.ts';
import { SudoRunner } from '../../lib/runners/sudo.ts';
import { sleep } from '../../lib/sleep.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { RecordingRunner } from '../../lib/testing/recording.ts';
import { jobs, qmaster } from '../engines/grid-engine.ts';
import { idOf, jobOf, report, useGridHub } from './helpers/grid-engine.ts';
import { command, until } from './helpers/slurm.ts';

/** In seconds. */
const away = 15;

describe('GridEngineSpawner: while the qmaster of a real Grid Engine', () => {
  const hub = useGridHub();

  for (const [what, begin, end] of [
    ['is down', 'stop', 'start'],
    ['was killed', 'crash', 'start'],
    ['hangs', 'hang', 'resume'],
  ] as const) {
    it(`${what}, nobody is declared dead, and all goes on afterwards`, async () => {
      const recorder = new RecordingRunner(new SudoRunner());
      const options = { commandTimeout: 4000 };
      const running = hub().create(options, { serverName: 'running' });
      const stopped = hub().create(options, { serverName: 'stopped' });
      const queued = hub().create(
        { ...options, held: 'wait', request: { options: '-h' } },
        { serverName: 'queued' },
      );
      const late = hub().create(options, { serverName: 'late', runner: recorder });
      const logs = new Map([running, stopped, queued, late].map((s) => [s, new EventLog(s)]));
      const eventsOf = (spawner: GridEngineSpawner) => logs.get(spawner) ?? assert.fail();

      const queueing = queued.start();
      const address = await running.start();
      await stopped.start();
      const state = running.getState();
      await until('the waiting job', () =>
        eventsOf(queued).progress.some(({ message }) => message.includes('is held')),
      );

      await qmaster[begin]();
      const starting = late.start();
      const stopping = stopped.stop();
      const polls: (ExitStatus | null)[] = [];
      for (const until = Date.now() + away * 1000; Date.now() < until; ) {
        polls.push(await running.poll());
        assert.equal((await report(address)).account, 'alice');
        await sleep(100);
      }
      assert.deepEqual(eventsOf(stopped).exited, []);
      await qmaster[end]();

      await until('an answer', async () => {
        polls.push(await running.poll());
        return eventsOf(running).warning.some(({ code }) => code === 'status-known');
      });
      polls.push(await running.poll());
      assert.deepEqual(
        polls.filter((exit) => exit !== null),
        [],
      );
      const codes = eventsOf(running).warning.map(({ code }) => code);
      assert.deepEqual(codes, ['status-unknown', 'status-known']);
      assert.deepEqual(running.getState(), state);

      await stopping;
      assert.isUndefined(await jobOf(stopped));
      assert.lengthOf(eventsOf(stopped).exited, 1);

      await command(['qrls', idOf(queued)]);
      await queueing;

      await starting;
      assert.isNull(await late.poll());
      const { jobName } = late.getState();
      assert.lengthOf(
        (await jobs()).filter(({ name }) => name === jobName),
        1,
      );
      assert.lengthOf(eventsOf(late).submitted, 1);
      const submissions = recorder.recording.commands.filter(({ argv }) => argv[0] === 'qsub');
      assert.isAbove(submissions.length, 1);
      assert.containsSubset(submissions.at(-1)?.outcome, { exitCode: 0 });
    });
  }
});
