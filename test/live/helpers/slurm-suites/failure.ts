import { join } from 'node:path';
import { assert } from 'chai';
import { SlurmSpawner } from '../../../../lib/batch/slurm.ts';
import { CommandError, StartError } from '../../../../lib/errors.ts';
import type { SlurmOptions } from '../../../../lib/generated/options.ts';
import { EventLog } from '../../../../lib/testing/harness.ts';
import type { LiveHub } from '../hub.ts';
import { isAlive } from '../hub.ts';
import { rejection } from '../slurm.ts';

/** How a start fails, and what the hub says of it. */
export function failureSuite(hub: () => LiveHub): void {
  async function failure(options: Partial<SlurmOptions>): Promise<StartError> {
    const spawner = hub().create(options);
    const events = new EventLog(spawner);
    const error = await rejection(spawner.start(), StartError);
    assert.deepEqual((await hub().jobsOf(spawner)).filter(isAlive), []);
    assert.deepEqual(spawner.getState(), { version: 1, spawner: 'slurm' });
    assert.deepEqual(events.exited, [error.exit]);
    assert.deepEqual(await spawner.poll(), error.exit);
    return error;
  }

  it('since the server ends at once: with its exit code and what it said', async () => {
    const cmd = ['sh', '-c', 'echo "no kernel today" >&2; exit 3'];
    const { exit, log, message } = await failure({ cmd });
    assert.containsSubset(exit, { cause: 'failed', code: 3, signal: null });
    assert.equal(log, 'no kernel today\n');
    assert.include(message, 'exit code 3');
    assert.include(message, 'no kernel today');
  });

  it('since the server ends by itself, as if all were well', async () => {
    const { exit } = await failure({ cmd: ['true'] });
    assert.containsSubset(exit, { cause: 'completed', code: 0 });
  });

  it('since there is no such program', async () => {
    const { exit, log } = await failure({ cmd: ['nosuch-server', '--port={port}'] });
    assert.containsSubset(exit, { cause: 'failed', code: 127 });
    assert.include(log, 'nosuch-server: not found');
  });

  it('since a signal ends the server', async () => {
    const { exit, message } = await failure({ cmd: ['sh', '-c', 'kill -SEGV $$'] });
    assert.containsSubset(exit, { cause: 'failed', code: 139, signal: 'SIGSEGV' });
    assert.include(message, 'SIGSEGV');
  });

  it('since a signal ends the whole job', async () => {
    const { exit } = await failure({ request: { prologue: 'kill -KILL $$' } });
    assert.containsSubset(exit, { cause: 'failed', code: null, signal: 'SIGKILL' });
  });

  it('since the prologue fails', async () => {
    const request = { prologue: 'module() { echo "no module $1"; return 5; }\nmodule nosuch' };
    const { exit, log } = await failure({ request });
    assert.containsSubset(exit, { cause: 'failed', code: 5 });
    assert.equal(log, 'no module nosuch\n');
  });

  it('since the log of the job can not be opened', async () => {
    const { exit, log, message } = await failure({ logFile: '/nonexistent/{{jobName}}.log' });
    assert.equal(exit?.cause, 'failed');
    assert.include(message, "job's log file or working directory could not be opened");
    assert.isUndefined(log);
  });

  it('since the hub does not know the server: with what the hub said to it', async () => {
    const unknown = new SlurmSpawner(hub().context(), hub().options);
    const error = await rejection(unknown.start(), StartError);
    assert.containsSubset(error.exit, { cause: 'failed', code: 1 });
    assert.include(error.log, 'This token belongs to no server of this hub');
  });

  it("since Slurm refuses it: with sbatch's words and without a job", async () => {
    const spawner = hub().create({ request: { partition: 'nosuch' } });
    const events = new EventLog(spawner);
    const error = await rejection(spawner.start(), CommandError);
    assert.containsSubset(error, { command: 'sbatch', exitCode: 1, timedOut: false });
    assert.include(error.message, 'Invalid partition name specified');
    assert.deepEqual(await hub().jobsOf(spawner), []);
    assert.deepEqual(spawner.getState(), { version: 1, spawner: 'slurm' });
    assert.deepEqual([events.submitted, events.exited], [[], []]);
    assert.containsSubset(events.progress.at(-1), { progress: 100, outcome: 'failed' });
  });

  it('can be tried again', async () => {
    const flag = join(hub().scratch, 'alice', 'was-here');
    const prologue = `test -e '${flag}' || { touch '${flag}'; exit 1; }`;
    const spawner = hub().create({ request: { prologue } });
    await rejection(spawner.start(), StartError);
    await spawner.start();
    assert.isNull(await spawner.poll());
  });
}
