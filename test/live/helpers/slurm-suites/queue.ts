import { assert } from 'chai';
import type { SlurmSpawner } from '../../../../lib/batch/slurm.ts';
import { AbortError, StartError, StartTimeoutError } from '../../../../lib/errors.ts';
import type { ProgressEvent } from '../../../../lib/progress.ts';
import { EventLog } from '../../../../lib/testing/harness.ts';
import type { LiveHub } from '../hub.ts';
import { isAlive, report } from '../hub.ts';
import { command, rejection, until } from '../slurm.ts';

/** What a hub says of a job that waits, for the `describe` of a Slurm without other jobs. */
export function queueSuite(hub: () => LiveHub): void {
  /** Waits for a progress event with this text. */
  async function told({ progress }: EventLog, text: string): Promise<ProgressEvent> {
    const find = () => progress.find(({ message }) => message.includes(text));
    await until(`progress with ${text}`, () => find() !== undefined);
    return find() ?? assert.fail();
  }

  function idOf(spawner: SlurmSpawner): string {
    return String(spawner.getState()['jobId']);
  }

  it('that is held says so, and starts when it is released', async () => {
    const spawner = hub().create({ request: { options: '--hold' } });
    const events = new EventLog(spawner);
    const starting = spawner.start();
    const { message } = await told(events, 'JobHeldUser');
    assert.include(message, `Job ${idOf(spawner)} is held and does not start until`);
    assert.isNull(await spawner.poll());
    assert.isUndefined(spawner.address);

    await command(['scontrol', 'release', idOf(spawner)]);
    assert.equal((await report(await starting)).account, 'alice');
    const steps = events.progress.map(({ progress }) => progress);
    assert.deepEqual(
      steps,
      steps.toSorted((a, b) => a - b),
    );
    assert.containsSubset(events.progress.at(-1), { progress: 100, outcome: 'ready' });
  });

  it('that is held fails the start, where it is not to wait', async () => {
    const spawner = hub().create({ held: 'fail', request: { options: '--hold' } });
    const { message } = await rejection(spawner.start(), StartError);
    assert.include(message, 'is held and does not start until someone releases it (JobHeldUser');
    assert.deepEqual(
      (await hub().jobsOf(spawner)).map(({ state }) => state),
      ['CANCELLED'],
    );
  });

  it('that its partition never starts fails the start as well', async () => {
    const request = { partition: 'short', runtime: '10' };
    const { message } = await rejection(
      hub().create({ held: 'fail', request }).start(),
      StartError,
    );
    assert.match(message, /is held .*\(Partition(Config|TimeLimit): /);
  });

  it('that is to begin later says when', async () => {
    const spawner = hub().create({ request: { options: '--begin=now+3600' } });
    const events = new EventLog(spawner);
    const starting = spawner.start();
    const { estimatedStart } = await told(events, 'waits in the queue (BeginTime');
    const wait = Number(estimatedStart) - Date.now();
    assert.approximately(wait, 3600_000, 10_000, `${estimatedStart?.toISOString()}`);

    await command(['scontrol', 'update', `JobId=${idOf(spawner)}`, 'StartTime=now']);
    await starting;
  });

  it('of a full cluster says what it waits for, and how long', async () => {
    const fill = [
      '--exclusive',
      '--nodes=4',
      '--time=10',
      '--output=/dev/null',
      '--wrap=sleep 600',
    ];
    const filler = (await command(['sbatch', '--parsable', ...fill], { user: 'bob' })).trim();
    try {
      await until('a full cluster', async () =>
        (await command(['squeue', '-h', '-o', '%A %T'])).includes(`${filler} RUNNING`),
      );
      const spawner = hub().create();
      const events = new EventLog(spawner);
      const starting = spawner.start();
      await told(events, 'waits in the queue (Resources');
      // The scheduler plans ahead every 5 s.
      const expected = () => events.progress.at(-1)?.estimatedStart;
      await until('an expected start', () => expected() !== undefined);
      const wait = Number(expected()) - Date.now();
      assert.isTrue(wait > 9 * 60_000 && wait <= 10 * 60_000, `${expected()?.toISOString()}`);
      await command(['scancel', filler]);
      await starting;
    } finally {
      await command(['scancel', filler]);
    }
  });

  it('can be given up by queueTimeout', async () => {
    // More than the partition allows: it is accepted, and never starts.
    const request = { partition: 'short', runtime: '10' };
    const spawner = hub().create({ request, queueTimeout: 2000 });
    const events = new EventLog(spawner);
    const error = await rejection(spawner.start(), StartTimeoutError);
    assert.equal(error.step, 'queue');
    assert.deepEqual((await hub().jobsOf(spawner)).filter(isAlive), []);
    assert.match(
      events.progress.map(({ message }) => message).join(),
      /Partition(Config|TimeLimit)/,
    );
  });

  it('is cancelled by stop()', async () => {
    const spawner = hub().create({ request: { options: '--hold' } });
    const events = new EventLog(spawner);
    const starting = rejection(spawner.start(), AbortError);
    await told(events, 'JobHeldUser');
    await spawner.stop();
    await starting;
    assert.deepEqual(
      (await hub().jobsOf(spawner)).map(({ state }) => state),
      ['CANCELLED'],
    );
    assert.equal((await spawner.poll())?.cause, 'cancelled');
  });
}
