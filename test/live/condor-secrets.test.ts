import { randomBytes } from 'node:crypto';
import { assert } from 'chai';
import { EventLog } from '../../lib/testing/harness.ts';
import { ArgvWatch } from './helpers/argv-watch.ts';
import { command, report, useCondor } from './helpers/condor.ts';

describe("CondorSpawner: the server's token on a real HTCondor", () => {
  const hub = useCondor();

  /** Files in the pool's directories, among them spool and execute directory, that have it. */
  async function filesWith(token: string, where: readonly string[]): Promise<string[]> {
    const search = 'grep --recursive --files-with-matches --no-messages --fixed-strings -f - "$@"';
    const argv = ['sh', '-c', `${search} || true`, 'sh', ...where];
    return (await command(argv, { input: token })).split('\n').filter((line) => line !== '');
  }

  it('stands in no argument of any process, from the start to the stop', async () => {
    const apiToken = randomBytes(24).toString('hex');
    const watch = await ArgvWatch.begin(apiToken);
    const spawner = hub().create({}, { apiToken });
    const { environment } = await report(await spawner.start());
    assert.equal(environment['JUPYTERHUB_API_TOKEN'], apiToken);
    await spawner.poll();
    await spawner.stop();
    const { rounds, found } = await watch.end();
    assert.deepEqual(found, []);
    assert.isAbove(rounds, 20);
  });

  it('is shown to nobody, neither by HTCondor nor in a file, while the server runs and after', async () => {
    const apiToken = randomBytes(24).toString('hex');
    const places = ['/var', '/etc', '/run', '/home/alice', '/home/bob', hub().scratch];
    const spawner = hub().create({}, { apiToken });
    const events = new EventLog(spawner);
    await spawner.start();
    const id = String(spawner.getState()['jobId']);
    const asked = [
      await command(['condor_q', '-allusers', '-long', id], { user: 'bob' }),
      await command(['condor_q', '-allusers', '-long', id]),
      await command(['condor_status', '-long']),
    ];
    // The ad of the job is in the log of the queue, and beside the job.
    assert.isNotEmpty(await filesWith(String(spawner.getState()['jobName']), ['/var']));
    assert.deepEqual(await filesWith(apiToken, places), []);
    const state = spawner.getState();
    await spawner.stop();
    asked.push(await command(['condor_history', '-long', id], { user: 'bob' }));
    for (const output of asked) {
      assert.notInclude(output, apiToken);
      assert.isAbove(output.length, 100);
    }
    assert.deepEqual(await filesWith(apiToken, places), []);
    assert.notInclude(JSON.stringify([state, events.details]), apiToken);
  });
});
