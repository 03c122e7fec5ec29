import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { assert } from 'chai';
import { ArgvWatch } from './helpers/argv-watch.ts';
import { ChildError, ChildHub } from './helpers/child-hub.ts';
import { useHub } from './helpers/hub.ts';
import { command, rejection } from './helpers/slurm.ts';

/** Where Slurm keeps what it is given, and where people look. */
const places = [
  '/var/lib/slurm-test',
  '/var/log/slurm-test',
  '/run/slurm-test',
  '/var/spool',
  '/home',
];

describe("SlurmSpawner: the server's token on a real Slurm", () => {
  let token: string;
  let child: ChildHub;
  afterEach(() => child.end());
  const hub = useHub({ accounting: true });

  function open(cmd: readonly string[] | undefined): void {
    token = randomBytes(24).toString('hex');
    const context = { user: { name: 'alice' }, apiToken: token };
    const options = { ...hub().options, ...(cmd && { cmd }) };
    child = new ChildHub({ runner: 'sudo', context, options }, { DEBUG: 'hubspawner:*' });
  }

  /** The files that an account can read and that have the token. */
  async function filesWithToken(user: string, where: readonly string[]): Promise<string[]> {
    const script = 'grep --recursive --files-with-matches --no-messages --fixed-strings -f - "$@"';
    const argv = ['sh', '-c', `${script} || true`, 'sh', ...where];
    return (await command(argv, { user, input: token })).split('\n').filter((line) => line !== '');
  }

  it('is seen by the watch of this test, if it is an argument', async () => {
    open(undefined);
    const watch = await ArgvWatch.begin(token);
    const careless = spawn('sh', ['-c', 'sleep 0.1', token]);
    await new Promise((resolve) => careless.once('exit', resolve));
    const { found } = await watch.end();
    assert.deepEqual(found, [`sh -c sleep 0.1 ${token} `]);
  });

  it('stands in no argument of any process, from the start to the stop', async () => {
    open(undefined);
    const watch = await ArgvWatch.begin(token);
    await child.ask('start');
    await child.ask('poll');
    await child.ask('stop');
    const { rounds, found } = await watch.end();
    assert.deepEqual(found, []);
    assert.isAbove(rounds, 50);
  });

  it('is shown to nobody else while the server runs', async () => {
    open(undefined);
    await child.ask('start');
    const { jobId } = Object(await child.ask('state'));
    const id = String(jobId);
    const env = await command(['sh', '-c', `cat /proc/[0-9]*/environ | tr '\\0' '\\n'`], {});
    assert.include(env, `JUPYTERHUB_API_TOKEN=${token}\n`, 'the server has no token');

    const shown = [
      await command(['scontrol', 'write', 'batch_script', id, '-'], { user: 'alice' }),
      await command(['scontrol', '-dd', 'show', 'job', id], { user: 'bob' }),
      await command(['scontrol', '-dd', 'show', 'job', id]),
      await command(['squeue', '--all', '--format=%all'], { user: 'bob' }),
      await command(['squeue', '--all', '--format=%all']),
      await command(['squeue', '--json']),
      await command(['sacct', '-a', '-P', '-o', 'ALL', '-j', id]),
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
    await child.ask('stop');
  });

  it('is in no debug log, no event and no state of the hub', async () => {
    open(undefined);
    await child.ask('start');
    const state = await child.ask('state');
    await child.ask('stop');
    assert.match(child.stderr, /hubspawner:\w+ sbatch accepted job \d+/);
    assert.notInclude(child.stderr, token);
    assert.notInclude(JSON.stringify([state, child.events]), token);
    assert.isAbove(child.events.length, 5);
  });

  it('is cut out of a log that shows it', async () => {
    open(['sh', '-c', 'echo "my token is $JUPYTERHUB_API_TOKEN"; exit 1']);
    const { error } = await rejection(child.ask('start'), ChildError);
    assert.equal(error['log'], 'my token is [token]\n');
    assert.notInclude(JSON.stringify([error, child.events]), token);
    assert.notInclude(child.stderr, token);
  });
});
