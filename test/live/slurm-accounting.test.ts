import { assert } from 'chai';
import type { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { StartError } from '../../lib/errors.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { RecordingRunner } from '../../lib/testing/recording.ts';
import { jobs } from '../engines/slurm.ts';
import { report, sudo, useHub } from './helpers/hub.ts';
import { command, rejection, until } from './helpers/slurm.ts';

describe('SlurmSpawner: a real Slurm with accounting, whose squeue soon forgets', () => {
  const hub = useHub({ accounting: true, minJobAge: 2 });
  let recorder: RecordingRunner;

  beforeEach(() => {
    recorder = new RecordingRunner(sudo);
  });

  /** A server whose end nobody has noticed when squeue no longer lists its job. */
  async function forgotten(
    options: Partial<SlurmOptions>,
    endOf: (id: string) => Promise<unknown> = async () => {},
  ): Promise<SlurmSpawner> {
    const spawner = hub().create(options, { runner: recorder });
    await spawner.start();
    const id = String(spawner.getState()['jobId']);
    await endOf(id);
    const isListed = async () => (await jobs()).some((job) => job.id === id);
    await until('squeue to forget the job', async () => !(await isListed()), 60);
    return spawner;
  }

  function questionsToAccounting(): number {
    return recorder.recording.commands.filter(({ argv }) => argv[0] === 'sacct').length;
  }

  it('starts, polls and stops a server', async () => {
    const spawner = hub().create();
    assert.equal((await report(await spawner.start())).account, 'alice');
    assert.isNull(await spawner.poll());
    await spawner.stop();
    assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
  });

  it('tells how a start has failed', async () => {
    const spawner = hub().create({ cmd: ['sh', '-c', 'exit 3'] });
    const { exit } = await rejection(spawner.start(), StartError);
    assert.containsSubset(exit, { cause: 'failed', code: 3 });
  });

  it('tells by which signal a start has failed', async () => {
    const spawner = hub().create({ cmd: ['sh', '-c', 'kill -SEGV $$'] });
    const { exit } = await rejection(spawner.start(), StartError);
    assert.containsSubset(exit, { cause: 'failed', code: 139, signal: 'SIGSEGV' });
  });

  it('finds a job by its tag', async () => {
    const spawner = hub().create();
    const [, tagOnly] = await Promise.all([
      spawner.start(),
      new Promise((resolve) => spawner.once('state', resolve)),
    ]);
    const heir = hub().create();
    heir.loadState(tagOnly);
    assert.isNull(await heir.poll());
    assert.equal(heir.getState()['jobId'], spawner.getState()['jobId']);
  });

  // Each waits for slurmctld, which forgets every 10 s: all at once.
  it('knows from sacct how jobs have ended that squeue no longer lists', async () => {
    const server = `${hub().options.cmd?.[2]}`;
    const dies = (how: string) => ({
      cmd: ['sh', '-c', `python3 -c "$1" "$2" & sleep 4; kill $!; ${how}`, 'sh', server, '{port}'],
    });
    const [failed, killed, cancelled, completed] = await Promise.all([
      forgotten(dies('exit 7')),
      forgotten(dies('kill -KILL $PPID')),
      forgotten({}, (id) => command(['scancel', id])),
      forgotten(dies('exit 0')),
    ]);
    const before = questionsToAccounting();
    assert.containsSubset(await failed.poll(), { cause: 'failed', code: 7 });
    assert.containsSubset(await killed.poll(), { cause: 'failed', signal: 'SIGKILL' });
    assert.containsSubset(await cancelled.poll(), { cause: 'cancelled' });
    assert.containsSubset(await completed.poll(), { cause: 'completed', code: 0 });
    assert.equal(questionsToAccounting() - before, 4);
  });
});
