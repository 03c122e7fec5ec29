import { assert } from 'chai';
import { OptionsError, StartError } from '../../lib/errors.ts';
import { sleep } from '../../lib/sleep.ts';
import { print, report, said, unitOf, useServices } from './helpers/services.ts';
import { ended, rejection } from './helpers/slurm.ts';
import { inside, property, shell } from './helpers/systemd.ts';

describe('SystemdSpawner: options on a real systemd', () => {
  const create = useServices();

  it('the server has its account, its home directory and its shell', async () => {
    const spawner = create();
    await spawner.start();
    const { account, directory, environment } = await report(spawner);
    assert.deepEqual([account, directory], ['alice', '/home/alice']);
    assert.include(environment, {
      ...{ HOME: '/home/alice', USER: 'alice', LOGNAME: 'alice', SHELL: '/bin/bash' },
      JUPYTERHUB_USER: 'alice',
    });
    assert.notProperty(environment, 'HUBSPAWNER_ENVIRONMENT');
    assert.equal(await said(spawner, 'id -Gn'), (await inside(['id', '-Gn', 'alice'])).trim());
  });

  it('usernameTemplate, userWorkingDir, defaultShell, extraPaths and unitNameTemplate', async () => {
    await shell(`install -d -o bob /srv/work/ob "/opt/my tools/bob"
      printf '#!/bin/sh\\necho my tool\\n' >"/opt/my tools/bob/tool"
      chmod 755 "/opt/my tools/bob/tool"`);
    const spawner = create(
      {
        usernameTemplate: 'b{{username}}',
        userWorkingDir: '/srv/work/{{username}}',
        defaultShell: '/bin/dash',
        extraPaths: ['/opt/my tools/b{{username}}'],
        unitNameTemplate: 'hub2-{{username}}@{{userid}}',
      },
      { user: { name: 'ob', id: '7' } },
    );
    await spawner.start();
    const { account, directory, environment } = await report(spawner);
    assert.deepEqual([account, directory], ['bob', '/srv/work/ob']);
    assert.equal(environment['SHELL'], '/bin/dash');
    assert.equal(await said(spawner, 'tool'), 'my tool');
    assert.equal(unitOf(spawner), 'hub2-ob@7.service');
    assert.equal(await property('hub2-ob@7.service', 'ActiveState'), 'active');
    await spawner.stop();
    assert.equal(await property('hub2-ob@7.service', 'LoadState'), 'not-found');
  });

  it('cmd: a program of extraPaths is found', async () => {
    await shell(`install -d /opt/server; printf '#!/bin/sh\\nexec python3 "$@"\\n' >/opt/server/serve
      chmod 755 /opt/server/serve`);
    const cmd = ['serve', '-m', 'http.server', '--bind', '127.0.0.1', '{port}'];
    await create({ cmd, extraPaths: ['/opt/server'] }).start();
  });

  it('unitExtraProperties: several of one name, in their order, and over all others', async () => {
    const paths = ['/srv/{{username}}-a:/mnt', '/srv/{{username}}-b:/opt'];
    await shell('mkdir /srv/alice-a /srv/alice-b; touch /srv/alice-a/a /srv/alice-b/b');
    const spawner = create({
      tasksMax: 100,
      unitExtraProperties: {
        Environment: ['FIRST=1 SECOND=1', 'SECOND=2', '"THIRD=100% $HOME {{account}}"'],
        BindReadOnlyPaths: paths,
        LimitNOFILE: '4321',
        TasksMax: '77',
      },
    });
    await spawner.start();
    const { environment } = await report(spawner);
    assert.include(environment, { FIRST: '1', SECOND: '2', THIRD: '100% $HOME alice' });
    assert.equal(await said(spawner, 'ls /mnt /opt; ulimit -n'), '/mnt:\na\n\n/opt:\nb\n4321');
    assert.equal(await property(unitOf(spawner), 'TasksMax'), '77');
  });

  it('maxRuntime: the server is ended, and its end says so', async () => {
    const spawner = create({ maxRuntime: 2500 });
    await spawner.start();
    assert.isNull(await spawner.poll());
    const exit = await ended(spawner);
    assert.containsSubset(exit, { cause: 'timeout', signal: 'SIGTERM' });
    assert.include(exit.message, 'maxRuntime');
  });

  it('stopTimeout: all processes of a server that does not end are killed', async () => {
    const serve = 'python3 -m http.server --bind 127.0.0.1 {port} & sleep 600 & wait -n; wait';
    const cmd = ['bash', '-c', `trap "" TERM; ${serve}`];
    const spawner = create({ cmd, stopTimeout: 1000 });
    await spawner.start();
    const began = performance.now();
    await spawner.stop();
    assert.isAbove(performance.now() - began, 900);
    assert.isBelow(performance.now() - began, 5000);
    assert.containsSubset(await spawner.poll(), { cause: 'cancelled', signal: 'SIGKILL' });
    const { stdout } = { stdout: await shell('ps -u alice -o args= || true') };
    assert.notMatch(stdout, /sleep 600|http\.server/);
  });

  describe('logs()', () => {
    it('gives the last lines, those since a time, and nothing of an earlier run', async () => {
      const spawner = create();
      await spawner.start();
      await print(spawner, 'early 1\nearly 2\nearly 3');
      assert.include(await spawner.logs(), 'the server begins\nearly 1\nearly 2\nearly 3\n');
      assert.equal(await spawner.logs({ lines: 2 }), 'early 2\nearly 3\n');
      await sleep(1500);
      const since = new Date();
      await print(spawner, 'late ü');
      assert.equal(await spawner.logs({ since }), 'late ü\n');
      assert.equal(await spawner.logs({ since: new Date(Date.now() + 60_000) }), '');
      await spawner.stop();
      assert.isNull(await spawner.logs());
      await sleep(1100);
      await spawner.start();
      assert.notInclude(await spawner.logs(), 'early');
    });

    it('is quick to have what was printed before the end', async () => {
      for (let i = 0; i < 5; i += 1) {
        const cmd = ['sh', '-c', `echo "reason ${i}"; exit 7`];
        const error = await rejection(create({ cmd }).start(), StartError);
        assert.containsSubset(error.exit, { code: 7 });
        assert.include(error.message, `reason ${i}`, error.message);
      }
    });
  });

  it('a systemd that is too old is told by the option that needs a newer one', async () => {
    const old = create({ hardened: true });
    const { runner } = old.context;
    const pretends = {
      run: (async (argv, options) => {
        const result = await runner?.run(argv, options);
        if (result === undefined) throw new Error('There is no runner.');
        return argv.includes('--version') ? { ...result, stdout: 'systemd 241 (241)\n' } : result;
      }) satisfies NonNullable<typeof runner>['run'],
    };
    const error = await rejection(
      create({ hardened: true }, { runner: pretends }).start(),
      OptionsError,
    );
    assert.equal(error.path, 'hardened');
    assert.include(error.message, 'this machine has 241');
  });
});
