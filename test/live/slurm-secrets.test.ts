import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { assert } from 'chai';
import { ArgvWatch } from './helpers/argv-watch.ts';
import { ChildError, ChildHub } from './helpers/child-hub.ts';
import { useHub } from './helpers/hub.ts';
import { rejection } from './helpers/slurm.ts';
import { tokenSuite } from './helpers/slurm-suites/token.ts';

describe("SlurmSpawner: the server's token on a real Slurm", () => {
  const hub = useHub({ accounting: true });

  it('is seen by the watch of this test, if it is an argument', async () => {
    const token = randomBytes(24).toString('hex');
    const watch = await ArgvWatch.begin(token);
    const careless = spawn('sh', ['-c', 'sleep 0.1', token]);
    await new Promise((resolve) => careless.once('exit', resolve));
    const { found } = await watch.end();
    assert.deepEqual(found, [`sh -c sleep 0.1 ${token} `]);
  });

  tokenSuite(hub, { accounting: true });

  describe('of a hub in a process of its own', () => {
    let token: string;
    let child: ChildHub;
    afterEach(() => child.end());

    function open(cmd?: readonly string[]): void {
      token = randomBytes(24).toString('hex');
      const context = { user: { name: 'alice' }, apiToken: token };
      const options = { ...hub().options, ...(cmd && { cmd }) };
      child = new ChildHub({ runner: 'sudo', context, options }, { DEBUG: 'hubspawner:*' });
    }

    it('is in no debug log, no event and no state of the hub', async () => {
      open();
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
});
