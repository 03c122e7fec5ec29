import { assert } from 'chai';
import type { SlurmSpawner } from '../../../../lib/batch/slurm.ts';
import type { ExitStatus } from '../../../../lib/events.ts';
import { sleep } from '../../../../lib/sleep.ts';
import { EventLog } from '../../../../lib/testing/harness.ts';
import { RecordingRunner } from '../../../../lib/testing/recording.ts';
import { slurmctld } from '../../../engines/slurm.ts';
import type { LiveHub } from '../hub.ts';
import { isAlive, report } from '../hub.ts';
import { command, until } from '../slurm.ts';

/**
 * What a hub does while slurmctld is away, and afterwards.
 *
 * @param begin what happens to it
 */
export function outageSuite(
  hub: () => LiveHub,
  begin: Exclude<keyof typeof slurmctld, 'start' | 'resume'>,
  seconds = 20,
): void {
  it('nobody is declared dead, and all goes on afterwards', async () => {
    const recorder = new RecordingRunner(hub().runner);
    const running = hub().create({}, { serverName: 'running' });
    const stopped = hub().create({}, { serverName: 'stopped' });
    const queued = hub().create({ request: { options: '--hold' } }, { serverName: 'queued' });
    const late = hub().create({}, { serverName: 'late', runner: recorder });
    const logs = new Map([running, stopped, queued, late].map((s) => [s, new EventLog(s)]));
    const eventsOf = (spawner: SlurmSpawner) => logs.get(spawner) ?? assert.fail();

    const queueing = queued.start();
    const address = await running.start();
    await stopped.start();
    await until('the waiting job', () =>
      eventsOf(queued).progress.some(({ message }) => message.includes('JobHeldUser')),
    );
    // slurmctld saves its jobs every 5 s.
    await sleep(6000);

    await slurmctld[begin]();
    const begun = Date.now();
    const starting = late.start();
    const stopping = stopped.stop();
    const polls: (ExitStatus | null)[] = [];
    while (Date.now() < begun + seconds * 1000) {
      polls.push(await running.poll());
      await report(address);
    }
    assert.deepEqual(eventsOf(stopped).exited, []);
    await slurmctld[begin === 'hang' ? 'resume' : 'start']();

    // Of the server that ran all the time.
    await until('an answer', async () => {
      polls.push(await running.poll());
      return eventsOf(running).warning.some(({ code }) => code === 'status-known');
    });
    polls.push(await running.poll());
    assert.isAbove(polls.length, 2);
    assert.deepEqual(
      polls.filter((exit) => exit !== null),
      [],
    );
    const codes = eventsOf(running).warning.map(({ code }) => code);
    assert.deepEqual(codes, ['status-unknown', 'status-known']);

    // Of the one that was stopped meanwhile.
    await stopping;
    assert.equal((await stopped.poll())?.cause, 'cancelled');
    assert.deepEqual(
      (await hub().jobsOf(stopped)).map(({ state }) => state),
      ['CANCELLED'],
    );

    // Of the one that waited in the queue.
    await command(['scontrol', 'release', String(queued.getState()['jobId'])]);
    await queueing;
    assert.lengthOf(await hub().jobsOf(queued), 1);

    // Of the one whose start began meanwhile.
    await starting;
    assert.isNull(await late.poll());
    const made = await hub().jobsOf(late);
    assert.lengthOf(made, 1, JSON.stringify(made));
    assert.isTrue(made.every(isAlive));
    assert.lengthOf(eventsOf(late).submitted, 1);
    const submissions = recorder.recording.commands.filter(({ argv }) => argv[0] === 'sbatch');
    const codesOfSbatch = submissions.map(({ outcome }) =>
      'exitCode' in outcome ? outcome.exitCode : null,
    );
    if (begin === 'hang') {
      // It reported a failure, and its job was there all the same: found by its tag.
      assert.deepEqual(codesOfSbatch, [1]);
    } else {
      assert.deepEqual([codesOfSbatch[0], codesOfSbatch.at(-1)], [1, 0]);
    }
  });
}
