import { join } from 'node:path';
import { assert } from 'chai';
import { CommandError, StartError } from '../../lib/errors.ts';
import type { ExitStatus } from '../../lib/events.ts';
import type { GridEngineOptions } from '../../lib/generated/options.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { jobOf, useGridHub } from './helpers/grid-engine.ts';
import { command, ended, rejection } from './helpers/slurm.ts';

describe('GridEngineSpawner: a start that fails on a real Grid Engine', () => {
  const hub = useGridHub();

  async function failure(options: Partial<GridEngineOptions>): Promise<StartError> {
    const spawner = hub().create(options);
    const events = new EventLog(spawner);
    const error = await rejection(spawner.start(), StartError);
    assert.isUndefined(await jobOf(spawner));
    assert.deepEqual(spawner.getState(), { version: 1, spawner: 'grid-engine' });
    if (error.exit !== undefined) {
      assert.deepEqual(events.exited, [error.exit]);
    }
    return error;
  }

  it('since the server ends at once: with its exit code and what it said', async () => {
    const cmd = ['sh', '-c', 'echo "no kernel today" >&2; exit 3'];
    const { exit, log, message } = await failure({ cmd });
    assert.containsSubset(exit, { cause: 'failed', code: 3, signal: null });
    assert.equal(log, 'no kernel today\n');
    assert.include(message, 'exit code 3');
  });

  it('since the server ends by itself, as if all were well', async () => {
    const { exit } = await failure({ cmd: ['true'] });
    assert.containsSubset(exit, { cause: 'completed', code: 0 });
  });

  it('since a signal ends the server', async () => {
    const { exit } = await failure({ cmd: ['sh', '-c', 'kill -SEGV $$'] });
    assert.containsSubset(exit, { cause: 'failed', code: 139, signal: 'SIGSEGV' });
  });

  for (const code of [99, 100]) {
    it(`since the server ends with ${code}, which Grid Engine would take for a wish`, async () => {
      const { exit } = await failure({ cmd: ['sh', '-c', `exit ${code}`] });
      assert.containsSubset(exit, { cause: 'failed', code: 1 });
    });
  }

  it('since the prologue fails', async () => {
    const request = { prologue: 'module() { echo "no module $1"; return 5; }\nmodule nosuch' };
    const { exit, log } = await failure({ request });
    assert.containsSubset(exit, { cause: 'failed', code: 5 });
    assert.equal(log, 'no module nosuch\n');
  });

  it('since the log of the job can not be opened: with the reason', async () => {
    const { message } = await failure({ logFile: '/nonexistent/{{jobName}}.log' });
    assert.match(message, /error: can't open output file "\/nonexistent\/.*No such file/);
  });

  it('since the job has no working directory: with the reason', async () => {
    const homedir = join(hub().scratch, 'nowhere');
    const { message } = await failure({ request: { homedir } });
    assert.include(message, `error: can't chdir to ${homedir}: No such file or directory`);
  });

  it("since Grid Engine refuses it: with qsub's words and without a job", async () => {
    const refusals: readonly (readonly [GridEngineOptions['request'], string])[] = [
      [{ queue: 'nosuch.q' }, 'unknown queue "nosuch.q"'],
      [{ pe: 'nosuch', nprocs: 2 }, 'parallel environment "nosuch" does not exist'],
      [{ options: '-nosuch' }, 'invalid option argument "-nosuch"'],
    ];
    for (const [request, words] of refusals) {
      const spawner = hub().create({ request });
      const events = new EventLog(spawner);
      const error = await rejection(spawner.start(), CommandError);
      assert.containsSubset(error, { command: 'qsub', timedOut: false });
      assert.include(error.message, words);
      assert.deepEqual(spawner.getState(), { version: 1, spawner: 'grid-engine' });
      assert.deepEqual([events.submitted, events.exited], [[], []]);
    }
  });

  it('can be tried again', async () => {
    const flag = join(hub().scratch, 'alice', 'was-here');
    const prologue = `test -e '${flag}' || { touch '${flag}'; exit 1; }`;
    const spawner = hub().create({ request: { prologue } });
    await rejection(spawner.start(), StartError);
    await spawner.start();
    assert.isNull(await spawner.poll());
  });
});

describe('GridEngineSpawner: the end of a server on a real Grid Engine', () => {
  const hub = useGridHub();

  async function endOf(
    request: GridEngineOptions['request'],
    options: Partial<GridEngineOptions> = {},
    hurry?: (id: string) => Promise<unknown>,
  ): Promise<ExitStatus> {
    const spawner = hub().create({ request, ...options });
    await spawner.start();
    await hurry?.(String(spawner.getState()['jobId']));
    return await ended(spawner);
  }

  it('is told from the end of its walltime', async () => {
    const prologue = 'echo "the walltime is short"';
    const exit = await endOf({ prologue, options: '-l h_rt=6' });
    assert.containsSubset(exit, { cause: 'timeout', signal: 'SIGKILL' });
  });

  it('is told from that of its memory', async () => {
    const hog = 'x = bytearray(400 << 20); import time; time.sleep(600)';
    const prologue = `(sleep 3; python3 -c '${hog}') & (sleep 3; python3 -c '${hog}') &`;
    const exit = await endOf({ prologue, memory: '700M' });
    assert.containsSubset(exit, { cause: 'out-of-memory', signal: 'SIGKILL' });
  });

  it('is told from qdel, by whomever', async () => {
    const exit = await endOf({}, {}, (id) => command(['qdel', id]));
    assert.containsSubset(exit, { cause: 'cancelled', signal: 'SIGKILL' });
  });
});

describe('GridEngineSpawner: a Grid Engine whose records come as late as they do by default', () => {
  const hub = useGridHub({ flush: 15 });

  it('is waited for until it says how a server ended', async () => {
    const spawner = hub().create();
    await spawner.start();
    await command(['qdel', String(spawner.getState()['jobId'])]);
    const begun = Date.now();
    assert.containsSubset(await ended(spawner), { cause: 'cancelled', signal: 'SIGKILL' });
    assert.isAbove(Date.now() - begun, 3000);
  });

  it('is not waited for by stop()', async () => {
    const spawner = hub().create();
    await spawner.start();
    const begun = Date.now();
    await spawner.stop();
    assert.isBelow(Date.now() - begun, 8000);
    assert.equal((await spawner.poll())?.cause, 'cancelled');
  });
});
