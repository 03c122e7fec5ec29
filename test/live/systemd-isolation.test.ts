import { createServer } from 'node:http';
import { assert } from 'chai';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import { answersHttp } from '../../lib/readiness.ts';
import {
  refused,
  remains,
  report,
  said,
  serverCommand,
  unitOf,
  useServices,
} from './helpers/services.ts';
import { until } from './helpers/slurm.ts';
import { inside, property, shell, units } from './helpers/systemd.ts';

const bob = { user: { name: 'bob' } };
/** Directories in which everybody may write. */
const open = ['/usr/open', '/boot/open', '/etc/open', '/srv/open', '/home/alice/open'];

describe('SystemdSpawner: isolation', () => {
  const create = useServices();
  before(() =>
    shell(
      `
      for directory; do install -d -m 777 "$directory"; done
      chmod 755 /home/alice
      mknod -m 666 /dev/sdz b 8 400
      passwd --quiet --delete bob
      echo "alice ALL = (ALL) NOPASSWD: ALL" >/etc/sudoers.d/alice`,
      open,
    ),
  );

  /** Those of the open directories in which the server can write. */
  async function writable(options: Partial<SystemdOptions>): Promise<string[]> {
    const spawner = create({ userWorkingDir: '/', ...options });
    await spawner.start();
    const tried = open.map(
      (directory) => `touch ${directory}/file 2>/dev/null && echo ${directory}`,
    );
    return (await said(spawner, `${tried.join('\n')}\ntrue`)).split('\n').filter(Boolean);
  }

  it('isolateTmp: nobody sees the /tmp of another', async () => {
    const [mine, other, plain] = [
      create({ isolateTmp: true }),
      create({ isolateTmp: true }, bob),
      create({}, { serverName: 'plain' }),
    ];
    await Promise.all([mine.start(), other.start(), plain.start()]);
    await said(mine, 'umask 0; echo mine >/tmp/name; echo mine >/var/tmp/name');
    await said(plain, 'echo plain >/tmp/name');
    assert.equal(await said(mine, 'cat /tmp/name'), 'mine');
    assert.include(await refused(other, 'cat /tmp/name'), 'No such file');
    assert.include(await refused(other, 'cat /var/tmp/name'), 'No such file');
    assert.equal(await inside(['cat', '/tmp/name']), 'plain\n');
    await mine.stop();
    assert.equal(await shell('find /tmp -path "*jupyter*" -name name'), '');
  });

  it('isolateDevices: there is no disk in /dev', async () => {
    const disks = 'find /dev -type b';
    const [isolated, plain] = [create({ isolateDevices: true }), create({}, bob)];
    await Promise.all([isolated.start(), plain.start()]);
    assert.equal(await said(plain, disks), '/dev/sdz');
    assert.equal(await said(isolated, disks), '');
    assert.equal(await said(isolated, 'head -c 3 /dev/zero | wc -c; echo >/dev/null'), '3');
  });

  it('disableUserSudo: sudo and su do not work, unless it is off', async () => {
    const by = create();
    await by.start();
    assert.include(await refused(by, 'sudo -n id -un'), 'no new privileges');
    await refused(by, 'su bob -c "id -un"');
    assert.match(await said(by, 'cat /proc/self/status'), /^NoNewPrivs:\t1$/m);
    const off = create({ disableUserSudo: false }, { serverName: 'off' });
    await off.start();
    assert.equal(await said(off, 'sudo -n id -un'), 'root');
    assert.equal(await said(off, 'su bob -c "id -un"'), 'bob');
  });

  it('readonlyPaths and readwritePaths: nothing can be written outside of them', async () => {
    const readonlyPaths = ['/'];
    assert.deepEqual(await writable({}), open);
    assert.deepEqual(await writable({ readonlyPaths }), []);
    const readwritePaths = ['/home/{{account}}', '/srv/open'];
    assert.deepEqual(await writable({ readonlyPaths, readwritePaths }), open.slice(3));
  });

  it('readwritePaths: blanks, quotes, %, $ and colons are a part of their names', async () => {
    const path = '/srv/a b:c "d" %n $X \\';
    await inside(['install', '-d', '-m', '777', path]);
    const spawner = create({ readonlyPaths: ['/srv'], readwritePaths: [path] });
    await spawner.start();
    await said(spawner, `touch '${path}/file'`);
    assert.include(await refused(spawner, 'touch /srv/open/file'), 'Read-only');
  });

  it('protectSystem: each value', async () => {
    assert.deepEqual(await writable({ protectSystem: false }), open);
    assert.deepEqual(await writable({ protectSystem: true }), open.slice(2));
    assert.deepEqual(await writable({ protectSystem: 'full' }), open.slice(3));
    assert.deepEqual(await writable({ protectSystem: 'strict' }), open.slice(4));
  });

  it('protectHome: each value', async () => {
    const home = async (options: Partial<SystemdOptions>, script: string) => {
      const spawner = create({ userWorkingDir: '/', ...options });
      await spawner.start();
      return said(spawner, `{ ${script}; } 2>&1 || true`);
    };
    const list = 'ls -d /home/* /root/.*; ls /home/alice';
    await shell('touch /home/alice/notebook; chmod 644 /home/alice/notebook');
    assert.include(await home({ protectHome: false }, list), 'notebook');
    assert.notMatch(await home({ protectHome: true }, list), /notebook|\/home\/bob/);
    assert.include(await home({ protectHome: 'read-only' }, list), 'notebook');
    const write = 'touch /home/alice/open/file';
    assert.include(await home({ protectHome: 'read-only' }, write), 'Read-only');
    assert.equal(await home({ protectHome: 'tmpfs' }, 'ls /home'), '');
    const bound = { unitExtraProperties: { BindPaths: '/home/alice' } };
    assert.equal(await home({ protectHome: 'tmpfs', ...bound }, 'ls /home'), 'alice');
  });

  it('dynamicUsers: the home directory stays, and nobody else can enter it', async () => {
    const spawner = create({ dynamicUsers: true });
    await spawner.start();
    const before = await report(spawner);
    assert.match(before.account, /^jupyter-alice-/);
    assert.equal(before.directory, await said(spawner, 'readlink -f "$HOME"'));
    assert.isAtLeast(Number(await said(spawner, 'id -u')), 61_184);
    await said(spawner, 'echo kept >"$HOME/file"');
    await spawner.stop();
    await spawner.start();
    assert.equal(await said(spawner, 'cat file "$HOME/file"'), 'kept\nkept');
    const other = create({ dynamicUsers: true }, bob);
    await other.start();
    await refused(other, `ls ${before.directory}`);
    await refused(other, 'touch /etc/file');
  });

  it('dynamicUsers: each server has an account of its own, however units are named', async () => {
    const options = { dynamicUsers: true, unitNameTemplate: 'jupyter@{{username}}' };
    const spawners = ['ann', 'root'].map((name) => create(options, { user: { name } }));
    await Promise.all(spawners.map((spawner) => spawner.start()));
    const accounts = await Promise.all(spawners.map((spawner) => said(spawner, 'id -u')));
    assert.notEqual(accounts[0], accounts[1]);
    for (const account of accounts) {
      assert.isAtLeast(Number(account), 61_184);
    }
  });

  describe('hardened', () => {
    it('runs the server, and each line has its effect', async () => {
      const [hard, plain] = [create({ hardened: true }), create({}, { serverName: 'plain' })];
      await Promise.all([hard.start(), plain.start()]);
      const status = await said(hard, 'cat /proc/self/status');
      assert.match(status, /^NoNewPrivs:\t1$/m);
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) {
        assert.match(status, new RegExp(`^Cap${set}:\\t0+$`, 'm'));
      }
      await said(plain, 'echo plain >/tmp/plain');
      await refused(hard, 'cat /tmp/plain');
      assert.equal(await said(hard, 'find /dev -type b'), '');
      assert.include(await refused(hard, 'touch /usr/open/file'), 'Read-only');
      assert.include(await refused(hard, 'touch /etc/open/file'), 'Read-only');
      await said(hard, 'touch ~/file /srv/open/file /tmp/file');
      for (const path of ['/proc/sys', '/sys/fs/cgroup']) {
        const options = await said(hard, `findmnt --noheadings --output=OPTIONS --target=${path}`);
        assert.match(options, /^ro\b/, path);
      }
      await refused(hard, 'ls /usr/lib/modules/');
      await refused(hard, 'head -c 1 /dev/kmsg');
      await refused(hard, 'mount -t tmpfs none /mnt');
      await refused(hard, 'hostname other');
      await refused(hard, 'date --set=2020-01-01');
      await refused(hard, 'chrt --fifo 1 true');

      // These need no right that alice lacks: each works without the preset.
      const setuid = 'cp /bin/true ~/setuid; chmod 4755 ~/setuid';
      const persona = 'setarch linux32 true';
      for (const script of [setuid, persona]) {
        await said(plain, script);
        await refused(hard, script);
      }
      const raw = `python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'`;
      assert.include(await refused(plain, raw), 'Operation not permitted');
      assert.include(await refused(hard, raw), 'Address family not supported');
      await said(
        hard,
        `python3 -c 'import socket
for family in socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK:
    socket.socket(family, socket.SOCK_DGRAM)'`,
      );
      // What a Jupyter server needs: memory that is written and executed, and processes.
      await said(hard, `python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)'`);
    });

    it('shared memory goes with the last unit of the account', async () => {
      // Of alice there may be other units, such as a systemd of her own.
      await shell('useradd --create-home carol');
      const file = '/dev/shm/of-carol';
      const carol = { user: { name: 'carol' } };
      const [hard, plain] = [
        create({ hardened: true }, carol),
        create({}, { ...carol, serverName: 'plain' }),
      ];
      await Promise.all([hard.start(), plain.start()]);
      await said(hard, `echo shared >${file}`);
      await hard.stop();
      assert.equal(await said(plain, `cat ${file}`), 'shared');
      await hard.start();
      await plain.stop();
      assert.equal(await said(hard, `cat ${file}`), 'shared');
      await hard.stop();
      // systemd does that after it has reported the end.
      await until('it is gone', () =>
        shell('[ ! -e "$1" ]', [file]).then(
          () => true,
          () => false,
        ),
      );
    });

    it('gives way to options', async () => {
      const options = { isolateTmp: false, isolateDevices: false, disableUserSudo: false } as const;
      const spawner = create({ hardened: true, ...options, protectSystem: 'strict' });
      await spawner.start();
      assert.equal(await property(unitOf(spawner), 'PrivateTmp'), 'no');
      assert.equal(await said(spawner, 'find /dev -type b'), '/dev/sdz');
      await refused(spawner, 'touch /srv/open/file');
    });
  });

  it('privateNetwork: the hub reaches the server, and the server nobody', async () => {
    const hub = createServer((_, response) => response.end('the hub'));
    await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
    try {
      const address = hub.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const call = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
      const plain = create({}, bob);
      await plain.start();
      assert.include(await said(plain, call), 'the hub');

      const spawner = create({ privateNetwork: true });
      await spawner.start();
      assert.equal((await report(spawner)).account, 'alice');
      assert.include(await refused(spawner, call), 'Connection refused');
      assert.equal(await said(spawner, 'ip -oneline link | cut -d: -f2'), ' lo');
      assert.lengthOf(await units('jupyter-alice-*'), 3);

      const { url = '' } = spawner.address ?? {};
      assert.isTrue(await answersHttp(url));
      await spawner.stop();
      assert.deepEqual(await units('jupyter-alice-*'), []);
      assert.isFalse(await answersHttp(url));

      await spawner.start();
      await inside(['systemctl', 'kill', '--signal=KILL', unitOf(spawner)]);
      await spawner.stop();
      await spawner.start();
      assert.equal((await report(spawner)).account, 'alice');
      await Promise.all([spawner.stop(), plain.stop()]);

      const cmd = [...serverCommand.slice(0, -1), '::1'];
      const sixth = create({ privateNetwork: true, ip: '::1', cmd });
      await sixth.start();
      assert.equal((await report(sixth)).account, 'alice');
      await sixth.stop();
      assert.deepEqual(await remains(), []);
    } finally {
      hub.close();
    }
  });
});
