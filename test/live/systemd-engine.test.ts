import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { CommandError } from '../../lib/errors.ts';
import { LocalRunner } from '../../lib/runners/local.ts';
import { pid1, startSystemd, stopSystemd, systemBus, systemdPid } from '../engines/systemd.ts';
import { rejection, until } from './helpers/slurm.ts';
import {
  inside,
  journal,
  property,
  read,
  replaceProgram,
  runner,
  shell,
  startUserManager,
  units,
  useSystemd,
} from './helpers/systemd.ts';
import { SystemdRunner } from './helpers/systemd-runner.ts';

const systemdRun = ['systemd-run', '--service-type=exec', '--collect'];
const unit = 'jupyter-engine.service';
const sleeper = [...systemdRun, `--unit=${unit}`, 'sleep', '600'];
const systemctl = '/usr/bin/systemctl';
/** A machine with cgroup v2 alone can't have the other. */
const kinds = /^\d+:memory:/m.test(readFileSync('/proc/self/cgroup', 'utf8'))
  ? (['hybrid', 'unified'] as const)
  : (['unified'] as const);

/** All processes of this machine that are in the pid namespace of a process, itself among them. */
function processesWith(pid: number): string[] {
  const namespaceOf = (of: string) => {
    try {
      return readlinkSync(`/proc/${of}/ns/pid`);
    } catch {
      return '';
    }
  };
  const namespace = namespaceOf(String(pid));
  assert.notEqual(namespace, '');
  return readdirSync('/proc').filter((of) => /^\d+$/.test(of) && namespaceOf(of) === namespace);
}

function cgroupsLeft(): string[] {
  return readdirSync('/sys/fs/cgroup')
    .concat('.')
    .map((hierarchy) => join('/sys/fs/cgroup', hierarchy, 'systemd-test'))
    .filter((path) => existsSync(path));
}

describe('the systemd of the live tests', () => {
  for (const cgroup of kinds) {
    describe(`with ${cgroup} cgroups`, () => {
      useSystemd({ cgroup });

      it('is up, with the cgroups that were asked for', async () => {
        assert.equal(await inside(['systemctl', 'is-system-running']), 'running\n');
        const type = await inside(['stat', '--file-system', '--format=%T', '/sys/fs/cgroup']);
        assert.equal(type.trim(), cgroup === 'unified' ? 'cgroup2fs' : 'tmpfs');
      });

      it('runs a unit as an account, with its environment and its journal', async () => {
        const file = '/run/engine.env';
        await shell('umask 377; cat >"$1"', [file], { input: 'SECRET="two\nlines $HOME"\n' });
        const script = 'printf "<%s>\\n" "$$SECRET" "$$(id -un)"; sleep 600';
        await inside([
          ...[...systemdRun, `--unit=${unit}`, '--property=User=alice'],
          ...[`--property=EnvironmentFile=${file}`, 'sh', '-c', script],
        ]);
        await until('the output', async () => /<alice>/.test(await journal(unit)));
        assert.include(await journal(unit), '<two\nlines $HOME>\n<alice>\n');
        const [{ active, sub } = {}, ...others] = await units('jupyter-*');
        assert.deepEqual([active, sub, others.length], ['active', 'running', 0]);
        const cgroupOfUnit = await property(unit, 'ControlGroup');
        const pid = await property(unit, 'MainPID');
        assert.include(await read(`/proc/${pid}/cgroup`), cgroupOfUnit);
        await inside(['systemctl', 'stop', unit]);
        assert.deepEqual(await units('jupyter-*'), []);
      });

      it('leaves no process, no mount and no cgroup when it is stopped', async () => {
        await inside(sleeper);
        const processes = processesWith(systemdPid());
        assert.isAtLeast(processes.length, 4);
        await stopSystemd();
        assert.throws(systemdPid, 'does not run');
        await until('the end of the last process', () =>
          processes.every((pid) => !existsSync(`/proc/${pid}`)),
        );
        assert.deepEqual(cgroupsLeft(), []);
        assert.isFalse(existsSync('/run/systemd-test'));
        assert.notInclude(readFileSync('/proc/self/mountinfo', 'utf8'), 'systemd-test');
        await startSystemd({ cgroup });
      });
    });
  }

  describe('with the cgroups that it chooses', () => {
    useSystemd();

    it('kills a unit that takes more memory than it may', async () => {
      const limits = ['--property=MemoryMax=64M', '--property=MemorySwapMax=0'];
      const allocate = 'x = [b"x" * 10**7 for i in range(100)]';
      const { exitCode, stderr } = await runner.run(
        [...systemdRun, '--wait', ...limits, 'python3', '-c', allocate],
        { env: { PATH: '/usr/bin:/bin' } },
      );
      // What the result is called, and hence the exit code, depends on the release of cgroups.
      assert.notEqual(exitCode, 0);
      assert.include(stderr, 'code=killed/status=KILL');
    });

    it('holds a unit to its processors and its tasks', async () => {
      const limits = ['--property=CPUQuota=20%', '--property=TasksMax=3'];
      const script = 'timeout 1 sh -c "while :; do :; done"; times; sleep 9 & sleep 9 & sleep 9 &';
      const { stdout, stderr } = await runner.run(
        [...systemdRun, '--wait', '--pipe', ...limits, 'sh', '-c', script],
        { env: { PATH: '/usr/bin:/bin' } },
      );
      const [, seconds] = /^0m[\d.]+s 0m[\d.]+s\n0m([\d.]+)s/.exec(stdout) ?? [];
      assert.isBelow(Number(seconds), 0.6, `${stdout}${stderr}`);
      assert.include(stderr, 'Cannot fork');
    });
  });

  describe('its runner', () => {
    const env = { PATH: '/usr/bin:/bin', SECRET: 'a b\n"c"' };
    useSystemd();

    it('gives a command exactly its environment, its input and its directory', async () => {
      const all = await runner.run(['env', '-0'], { env });
      assert.equal(all.stdout, 'PATH=/usr/bin:/bin\0SECRET=a b\n"c"\0');
      const alice = await runner.run(['env', '-0'], { env, user: 'alice' });
      assert.equal(alice.stdout, all.stdout);
      const script = 'pwd; id -un; cat; echo no >&2; exit 7';
      const options = { env, user: 'alice', cwd: '/home/alice', input: 'grüße' };
      const { stdout, stderr, exitCode } = await runner.run(['sh', '-c', script], options);
      assert.deepEqual([stdout, stderr, exitCode], ['/home/alice\nalice\ngrüße', 'no\n', 7]);
    });

    it('runs it among the processes of systemd', async () => {
      assert.equal(await read('/proc/1/comm'), 'systemd\n');
    });

    it('ends it with all of its children when its time is over', async () => {
      const script = 'trap "" TERM; sleep 600 & echo $!; while :; do sleep 0.1; done';
      const impatient = new SystemdRunner(new LocalRunner({ killDelay: 200 }));
      const options = { env, user: 'alice', timeout: 500 };
      const { stdout, timedOut } = await impatient.run(['sh', '-c', script], options);
      assert.isTrue(timedOut);
      assert.equal(await shell('ls -d /proc/$1 2>&1 || true', [stdout.trim()]), noSuch(stdout));
    });

    it('gives the signal that ended it', async () => {
      const { exitCode, signal } = await runner.run(['sh', '-c', 'kill -KILL $$'], { env });
      assert.deepEqual([exitCode, signal], [null, 'SIGKILL']);
    });

    it('says so where it can not be run', async () => {
      const why = async (argv: string[], options = {}) =>
        (await rejection(runner.run(argv, { env, ...options }), CommandError)).message;
      assert.include(await why(['no-such-program']), 'No such file');
      assert.include(await why(['no-such-program'], { user: 'alice' }), 'No such file');
      assert.include(await why(['true'], { user: 'nobody-here' }), 'invalid user');
      assert.include(await why(['true'], { user: 'alice', cwd: '/root' }), 'Permission denied');
      assert.include(await why([]), 'no command');
    });

    it('keeps what is written inside from this machine', async () => {
      const path = `/var/tmp/engine-${process.pid}`;
      await inside(['touch', path]);
      assert.isFalse(existsSync(path));
    });
  });

  describe('a directory that is bound', () => {
    const scratch = mkdtempSync(join(tmpdir(), 'hubspawner-engine-'));
    useSystemd({ binds: [scratch] });
    after(() => rmSync(scratch, { recursive: true }));

    it('is the same inside', async () => {
      writeFileSync(join(scratch, 'out'), 'there');
      assert.equal(await read(join(scratch, 'out')), 'there');
      await shell('echo here >"$1"', [join(scratch, 'in')]);
      assert.equal(readFileSync(join(scratch, 'in'), 'utf8'), 'here\n');
    });
  });

  describe('its outages', () => {
    useSystemd();
    beforeEach(() => inside(sleeper));
    afterEach(() => inside(['systemctl', 'stop', unit]));
    const isActive = { env: { PATH: '/usr/bin:/bin' }, timeout: 1000 };

    it('PID 1 hangs and goes on', async () => {
      await pid1.hang();
      const { timedOut } = await runner.run(['systemctl', 'is-active', unit], isActive);
      await pid1.resume();
      assert.isTrue(timedOut);
      assert.equal(await inside(['systemctl', 'is-active', unit]), 'active\n');
    });

    it('the system bus is away, and comes back', async () => {
      const ask = () =>
        runner.run(['systemctl', 'is-active', unit], { ...isActive, user: 'alice' });
      await systemBus.stop();
      assert.include((await ask()).stderr, 'Failed to connect to bus');
      assert.equal(await inside(['systemctl', 'is-active', unit]), 'active\n');
      await systemBus.start();
      assert.equal((await ask()).stdout, 'active\n');
    });

    it('systemctl is another program, and itself again', async () => {
      const restore = await replaceProgram(systemctl, '#!/bin/sh\necho broken >&2\nexit 1\n');
      const { exitCode, stderr } = await runner.run(['systemctl', 'is-active', unit], isActive);
      await restore();
      assert.deepEqual([exitCode, stderr], [1, 'broken\n']);
      assert.equal(await inside(['systemctl', 'is-active', unit]), 'active\n');
    });
  });

  describe('the service manager of an account', () => {
    useSystemd();

    it('runs its units', async () => {
      const alice = { user: 'alice', env: await startUserManager('alice') };
      const who = [
        'systemd-run',
        '--user',
        '--wait',
        '--pipe',
        '--quiet',
        '--collect',
        'id',
        '-un',
      ];
      assert.equal(await inside(who, alice), 'alice\n');
    });
  });
});

function noSuch(pid: string): string {
  return `ls: cannot access '/proc/${pid.trim()}': No such file or directory\n`;
}
