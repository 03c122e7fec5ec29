import { randomBytes } from 'node:crypto';
import { assert } from 'chai';
import { ArgvWatch } from '../argv-watch.ts';
import type { LiveHub } from '../hub.ts';
import { command } from '../slurm.ts';

/** Where Slurm keeps what it is given, and where people look. */
const places = [
  '/var/lib/slurm-test',
  '/var/log/slurm-test',
  '/run/slurm-test',
  '/var/spool',
  '/home',
];

/** Where the server's token must not be seen, of a Slurm with or without accounting. */
export function tokenSuite(
  hub: () => LiveHub,
  { accounting }: { readonly accounting: boolean },
): void {
  let token: string;
  beforeEach(() => {
    token = randomBytes(24).toString('hex');
  });

  /** The files that an account can read and that have the token. */
  async function filesWithToken(user: string, where: readonly string[]): Promise<string[]> {
    const script = 'grep --recursive --files-with-matches --no-messages --fixed-strings -f - "$@"';
    const argv = ['sh', '-c', `${script} || true`, 'sh', ...where];
    return (await command(argv, { user, input: token })).split('\n').filter((line) => line !== '');
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

  it('is shown to nobody else while the server runs', async () => {
    const spawner = hub().create({}, { apiToken: token });
    await spawner.start();
    const id = String(spawner.getState()['jobId']);
    const env = await command(['sh', '-c', `cat /proc/[0-9]*/environ | tr '\\0' '\\n'`], {});
    assert.include(env, `JUPYTERHUB_API_TOKEN=${token}\n`, 'the server has no token');

    const shown = [
      await command(['scontrol', 'write', 'batch_script', id, '-'], { user: 'alice' }),
      await command(['scontrol', '-dd', 'show', 'job', id], { user: 'bob' }),
      await command(['scontrol', '-dd', 'show', 'job', id]),
      await command(['squeue', '--all', '--format=%all'], { user: 'bob' }),
      await command(['squeue', '--all', '--format=%all']),
      await command(['squeue', '--json']),
      ...(accounting ? [await command(['sacct', '-a', '-P', '-o', 'ALL', '-j', id])] : []),
      await command(['ps', '-A', '-ww', '-o', 'args'], { user: 'bob' }),
    ];
    for (const output of shown) {
      assert.notInclude(output, token);
      assert.isAbove(output.length, 100);
    }
    assert.deepEqual(await filesWithToken('bob', places), []);
    // Slurm has to keep it until the job has ended: the search does find it.
    assert.isNotEmpty(await filesWithToken('root', ['/var/lib/slurm-test']));
    assert.deepEqual(await filesWithToken('root', [hub().scratch]), [], 'it is in a log');
  });
}
