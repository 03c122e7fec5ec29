import { randomBytes } from 'node:crypto';
import { assert } from 'chai';
import { StartError } from '../../lib/errors.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { ArgvWatch } from './helpers/argv-watch.ts';
import { idOf, report, useGridHub } from './helpers/grid-engine.ts';
import { command, rejection, until } from './helpers/slurm.ts';

/** Where Grid Engine keeps what it is given, and where people look. */
const places = ['/var/spool/gridengine', '/var/lib/gridengine', '/var/log', '/run/gridengine'];

describe("GridEngineSpawner: the server's token on a real Grid Engine", () => {
  const hub = useGridHub();
  let token: string;
  beforeEach(() => {
    token = randomBytes(24).toString('hex');
  });

  /** The files that root, who can read all, finds the token in. */
  async function filesWithToken(...where: readonly string[]): Promise<string> {
    const script = 'grep --recursive --files-with-matches --no-messages --fixed-strings -f - "$@"';
    return await command(['sh', '-c', `${script} || true`, 'sh', ...where], { input: token });
  }

  it('stands in no argument of any process, from the start to the stop', async () => {
    const spawner = hub().create({}, { apiToken: token });
    const watch = await ArgvWatch.begin(token);
    await spawner.start();
    await spawner.poll();
    await spawner.stop();
    const { rounds, found } = await watch.end();
    assert.deepEqual(found, []);
    assert.isAbove(rounds, 50);
  });

  it('is shown to nobody, and kept nowhere, while the server runs', async () => {
    const spawner = hub().create({}, { apiToken: token });
    const { environment } = await report(await spawner.start());
    assert.equal(environment['JUPYTERHUB_API_TOKEN'], token, 'the server has no token');
    const id = idOf(spawner);
    const shown = [
      await command(['qstat', '-j', id], { user: 'bob' }),
      await command(['qstat', '-xml', '-j', id]),
      await command(['qstat', '-ext', '-urg', '-r', '-xml', '-u', '*'], { user: 'bob' }),
      await command(['ps', '-A', '-ww', '-o', 'args'], { user: 'bob' }),
    ];
    for (const output of shown) {
      assert.notInclude(output, token);
      assert.isAbove(output.length, 100);
    }
    assert.include(shown[0], `context:                    tag=hubspawner:`);
    assert.equal(await filesWithToken(...places, hub().scratch, '/home/alice'), '');
    await spawner.stop();
    let record = '';
    await until('the record of the job', async () => {
      record = await command(['sh', '-c', 'qacct -j "$1" 2>&1 || true', 'sh', id]);
      return record.includes('exit_status');
    });
    assert.notInclude(record, token);
  });

  it('waits for its job in a file of its own account, and goes with a start that fails', async () => {
    const spawner = hub().create({ held: 'wait', request: { options: '-h' } }, { apiToken: token });
    const events = new EventLog(spawner);
    const starting = spawner.start().catch((reason: unknown) => reason);
    while (events.submitted.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const [file = '', ...more] = (await filesWithToken(...places, hub().scratch)).split('\n');
    assert.deepEqual(more, ['']);
    assert.match(file, /\/alice\/\.jupyter-alice-\w+\.env$/);
    assert.equal(await command(['stat', '-c', '%U %a', file]), 'alice 600\n');
    await spawner.stop();
    await starting;
    assert.equal(await filesWithToken(...places, hub().scratch), '');

    const failing = hub().create({ logFile: '/nonexistent/log' }, { apiToken: token });
    await rejection(failing.start(), StartError);
    assert.equal(await filesWithToken(...places, hub().scratch), '');
  });
});
