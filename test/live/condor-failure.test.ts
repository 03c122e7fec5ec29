import { assert } from 'chai';
import { CommandError, StartError } from '../../lib/errors.ts';
import type { CondorOptions } from '../../lib/generated/options.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { useCondor } from './helpers/condor.ts';
import { rejection, until } from './helpers/slurm.ts';

describe('CondorSpawner: a start that fails on a real HTCondor', () => {
  const hub = useCondor();

  async function failure(options: Partial<CondorOptions>): Promise<StartError> {
    const spawner = hub().create(options);
    const events = new EventLog(spawner);
    const error = await rejection(spawner.start(), StartError);
    // One that is held for good is removed by its own periodic_remove.
    await until('the removal', async () => (await hub().jobsOf(spawner)).length === 0, 10);
    assert.deepEqual(hub().environmentFiles, []);
    assert.deepEqual(spawner.getState(), { version: 1, spawner: 'condor' });
    assert.lengthOf(events.exited, 1);
    return error;
  }

  it('since the server ends at once: with its exit code and what it said', async () => {
    const cmd = ['sh', '-c', 'echo "no kernel today" >&2; exit 7'];
    const { exit, log, message } = await failure({ cmd });
    assert.containsSubset(exit, { cause: 'failed', code: 7, signal: null });
    assert.equal(log, 'no kernel today\n');
    assert.include(message, 'exit code 7');
  });

  it('since the server ends by itself, as if all were well', async () => {
    const { exit } = await failure({ cmd: ['true'] });
    assert.containsSubset(exit, { cause: 'completed', code: 0 });
  });

  it('since there is no such program', async () => {
    const { exit, log } = await failure({ cmd: ['nosuch-server', '--port={port}'] });
    assert.containsSubset(exit, { cause: 'failed', code: 127 });
    assert.include(log, 'nosuch-server: not found');
    assert.isBelow(log?.length ?? 0, 200, 'the script is in its log');
  });

  it('since a signal ends the server', async () => {
    const { exit } = await failure({ cmd: ['sh', '-c', 'ulimit -c 0; kill -SEGV $$'] });
    assert.containsSubset(exit, { cause: 'failed', code: 139, signal: 'SIGSEGV' });
  });

  it('since a signal ends the whole job', async () => {
    const { exit } = await failure({ request: { prologue: 'kill -KILL $$' } });
    assert.containsSubset(exit, { cause: 'failed', code: null, signal: 'SIGKILL' });
  });

  it('since the job is held: its log can not be opened', async () => {
    const { message, log } = await failure({ logFile: '/nonexistent/{{jobName}}.log' });
    assert.match(message, /is held .*Failed to open '\/nonexistent\//);
    assert.isUndefined(log);
  });

  it('since the job uses more memory than it may', async () => {
    const program =
      'import time; a = bytearray(200_000_000); a[::4096] = b"1" * len(a[::4096]); time.sleep(600)';
    const { exit } = await failure({
      cmd: ['python3', '-c', program],
      request: { memory: '64M' },
    });
    assert.containsSubset(exit, { cause: 'out-of-memory', code: null });
    assert.include(exit?.message, 'memory usage exceeded request_memory');
  });

  const refused: readonly (readonly [string, CondorOptions['request'], RegExp])[] = [
    ['the home directory', { homedir: '/nonexistent' }, /No such directory: \/nonexistent/],
    ['the accounting group', { account: 'phys"ics lab' }, /Invalid accounting_group/],
    ['an expression', { requirements: 'a ==' }, /Parse error in expression/],
  ];
  for (const [what, request, words] of refused) {
    it(`since HTCondor refuses ${what}: in its words, and without a job`, async () => {
      const environmentFile = `${hub().scratch}/alice/{{jobName}}.env`;
      const spawner = hub().create({ request, environmentFile });
      const events = new EventLog(spawner);
      const error = await rejection(spawner.start(), CommandError);
      assert.containsSubset(error, { command: 'condor_submit', exitCode: 1, timedOut: false });
      assert.match(error.message, words);
      assert.deepEqual(await hub().jobsOf(spawner), []);
      assert.deepEqual(spawner.getState(), { version: 1, spawner: 'condor' });
      assert.deepEqual(hub().environmentFiles, []);
      assert.deepEqual([events.submitted, events.exited], [[], []]);
    });
  }
});
