import { assert } from 'chai';
import { StartError } from '../../lib/errors.ts';
import { print, refused, report, said, script, unitOf, useServices } from './helpers/services.ts';
import { ended, rejection, until } from './helpers/slurm.ts';
import { inside, shell, startUserManager, units } from './helpers/systemd.ts';

const scope = 'user' as const;

describe("SystemdSpawner: scope 'user'", () => {
  const create = useServices();
  const asAlice = { user: 'alice', env: { XDG_RUNTIME_DIR: '/run/user/1' } };
  before(async () => Object.assign(asAlice.env, await startUserManager('alice')));
  afterEach(async () => {
    const list = ['systemctl', '--user', 'list-units', '--all', '--no-legend', 'jupyter-*'];
    assert.equal(await inside(list, asAlice), '');
    assert.equal(await shell('find "$1"/hubspawner 2>/dev/null || true', [runtime()]), '');
  });
  const runtime = () => asAlice.env.XDG_RUNTIME_DIR;

  it('the systemd of the account runs the server, and nothing is done as root', async () => {
    const spawner = create({ scope, environment: { ODD: '$A %n "\n' } });
    await spawner.start();
    const { account, directory, environment } = await report(spawner);
    assert.deepEqual(
      [account, directory, environment['ODD']],
      ['alice', '/home/alice', '$A %n "\n'],
    );
    assert.deepEqual(await units('jupyter-*'), []);
    const show = ['systemctl', '--user', 'show', '--value', '--property=ControlGroup'];
    const group = await inside([...show, unitOf(spawner)], asAlice);
    assert.match(group, /^\/user\.slice\/.*\/jupyter-alice-singleuser\.service\n$/);
    const owners = await shell('find "$1"/hubspawner -printf "%u %m %f\\n" | sort', [runtime()]);
    assert.include(owners, 'alice 400 environment\n');
    assert.notInclude(owners, 'root');

    await print(spawner, 'a line of mine');
    const line = 'a line of mine\n';
    // Only root can have the journal write down what it has got.
    await until('it is there', async () => (await spawner.logs())?.includes(line) === true);
    assert.isAbove(Number((await spawner.usage())?.cpu), 0);
    assert.isNull(await spawner.poll());
    await spawner.stop();
    assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
  });

  it('the end is told with its exit code, also by another hub and after daemon-reload', async () => {
    const spawner = create({ scope });
    await spawner.start();
    const next = create({ scope });
    next.loadState(JSON.parse(JSON.stringify(spawner.getState())));
    assert.isNull(await next.poll());
    await inside(['systemctl', '--user', 'daemon-reload'], asAlice);
    await script(spawner, 'kill -KILL $PPID').catch(() => {});
    assert.containsSubset(await ended(next), { cause: 'failed', signal: 'SIGKILL' });
  });

  it('a server that fails says why', async () => {
    const cmd = ['sh', '-c', 'echo no kernel; exit 9'];
    const error = await rejection(create({ scope, cmd }).start(), StartError);
    assert.containsSubset(error.exit, { code: 9 });
    assert.include(error.log, 'no kernel\n');
  });

  it('isolation has its effect there as well', async () => {
    await shell('install -d -m 777 /srv/open');
    const options = {
      isolateTmp: true,
      readonlyPaths: ['/'],
      readwritePaths: ['/home/alice', '/tmp'],
    };
    const spawner = create({ scope, ...options });
    await spawner.start();
    await said(spawner, 'touch /tmp/of-alice ~/file');
    assert.include(await refused(spawner, 'touch /srv/open/file'), 'Read-only');
    assert.equal(await shell('find /tmp -maxdepth 1 -name of-alice'), '');
    await script(spawner, 'kill -KILL $PPID').catch(() => {});
    assert.containsSubset(await ended(spawner), { cause: 'failed', signal: 'SIGKILL' });
  });

  it('hardened runs the server, and has its effect', async () => {
    const spawner = create({ scope, hardened: true });
    await spawner.start();
    const status = await said(spawner, 'touch /tmp/of-alice; cat /proc/self/status');
    assert.match(status, /^CapBnd:\t0+$/m);
    assert.equal(await shell('find /tmp -maxdepth 1 -name of-alice'), '');
    assert.equal(await said(spawner, 'id -un; pwd'), 'alice\n/home/alice');
  });

  it('without a systemd of the account the error says what to do', async () => {
    const bob = { user: { name: 'bob' } };
    const error = await rejection(create({ scope }, bob).start(), StartError);
    assert.match(error.message, /systemd of the account 'bob' does not run/);
    assert.match(error.message, /loginctl enable-linger bob$/);

    await inside(['loginctl', 'enable-linger', 'bob']);
    const uid = (await inside(['id', '-u', 'bob'])).trim();
    await inside(['systemctl', 'start', `user@${uid}.service`]);
    const spawner = create({ scope }, bob);
    await spawner.start();
    assert.equal((await report(spawner)).account, 'bob');
  });
});
