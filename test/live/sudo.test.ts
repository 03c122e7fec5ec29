import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { CommandError } from '../../lib/errors.ts';
import { LocalRunner } from '../../lib/runners/local.ts';
import type { CommandRunner, RunOptions } from '../../lib/runners/runner.ts';
import { SudoRunner } from '../../lib/runners/sudo.ts';

const rules = '/etc/sudoers.d/hubspawner-sudo-test';
const path = '/usr/bin:/bin';
const local = new LocalRunner({ killDelay: 200 });

/** Runs commands as an unprivileged hub does. This process is root, so it may also end them all. */
const byHub: CommandRunner = {
  run: (argv, options) =>
    local.run(
      ['/usr/bin/setpriv', '--reuid=hub', '--regid=hub', '--init-groups', '--', ...argv],
      options,
    ),
};

const root = new SudoRunner({ runner: local });
const hub = new SudoRunner({ runner: byHub });

async function commandError(argv: readonly string[], options: RunOptions): Promise<CommandError> {
  try {
    await hub.run(argv, options);
  } catch (error) {
    assert.instanceOf(error, CommandError);
    return error;
  }
  throw new Error(`${argv[0]} could be run`);
}

/** A zombie is not alive: PID 1 of a container need not reap. */
async function isAlive(pid: string): Promise<boolean> {
  const { stdout } = await local.run(['ps', '-o', 'stat=', '-p', pid]);
  return stdout !== '' && !stdout.startsWith('Z');
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe('SudoRunner with real sudo', () => {
  let scratch: string;

  function allow(...permitted: readonly string[]): void {
    const file = join(scratch, 'rules');
    writeFileSync(file, `${permitted.join('\n')}\n`);
    execFileSync('visudo', ['-c', '-q', '-f', file]);
    chmodSync(file, 0o440);
    copyFileSync(file, rules);
  }

  before(() => {
    execFileSync(fileURLToPath(new URL('../engines/slurm/install.sh', import.meta.url)));
    scratch = mkdtempSync(join(tmpdir(), 'sudo-runner-'));
  });
  beforeEach(() => {
    allow('hub ALL = (alice) NOPASSWD: SETENV: /bin/sh, /usr/bin/env, /usr/bin/wc, /usr/bin/sleep');
  });
  after(() => {
    rmSync(rules, { force: true });
    rmSync(scratch, { recursive: true });
  });

  for (const [who, runner] of [
    ['root', root],
    ['hub', hub],
  ] as const) {
    describe(`as ${who}`, () => {
      it('gives the variables that were asked for, and those of sudo', async () => {
        const env = { HOME: '/srv', PATH: path, TEXT: `a, b 'c' "d" $e`, EMPTY: '', TMPDIR: '/t' };
        const { stdout } = await runner.run(['env'], { user: 'alice', env });
        const found = new Map(lines(stdout).map((line) => [line.replace(/=.*/, ''), line]));
        assert.sameMembers(
          [...found.keys()],
          [
            ...['EMPTY', 'HOME', 'LOGNAME', 'MAIL', 'PATH', 'SHELL', 'SUDO_COMMAND', 'SUDO_GID'],
            ...['SUDO_UID', 'SUDO_USER', 'TERM', 'TEXT', 'USER'],
          ],
        );
        for (const name of ['HOME', 'PATH', 'TEXT', 'EMPTY'] as const) {
          assert.equal(found.get(name), `${name}=${env[name]}`);
        }
        assert.equal(found.get('USER'), 'USER=alice');
      });

      it('gives the home and the PATH of sudo where none is asked for', async () => {
        const { stdout } = await runner.run(['env'], { user: 'alice' });
        assert.includeMembers(lines(stdout), [
          'HOME=/home/alice',
          'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        ]);
      });

      it('shows no value to ps', async () => {
        const script = 'echo "$TOKEN"; ps -o args= -p $PPID';
        const env = { PATH: path, TOKEN: 'topsecret' };
        const { stdout } = await runner.run(['sh', '-c', script], { user: 'alice', env });
        const [token, args] = lines(stdout);
        assert.equal(token, 'topsecret');
        assert.match(args ?? '', /sudo.*TOKEN/);
        assert.notInclude(args, 'topsecret');
      });

      it('hands over standard input, both outputs and the exit code', async () => {
        const input = 'grüße\n'.repeat(500_000);
        const script = 'wc -c; echo err >&2; exit 1';
        const { stdout, stderr, exitCode } = await runner.run(['sh', '-c', script], {
          user: 'alice',
          input,
        });
        assert.deepEqual(
          [stdout.trim(), stderr, exitCode],
          [`${Buffer.byteLength(input)}`, 'err\n', 1],
        );
      });

      it('leaves a silent exit code of 1 a result', async () => {
        const result = await runner.run(['sh', '-c', 'exit 1'], { user: 'alice' });
        assert.equal(result.exitCode, 1);
      });

      it('gives the signal that ended a command', async () => {
        const result = await runner.run(['sh', '-c', 'kill -TERM $$'], { user: 'alice' });
        assert.deepEqual([result.exitCode, result.signal], [null, 'SIGTERM']);
      });
    });
  }

  describe('a refusal', () => {
    /** What the error tells the administrator to do must be enough. */
    async function followAdvice({ message }: CommandError): Promise<void> {
      const [, line] = /this line in \/etc\/sudoers\.d: (.*)$/.exec(message) ?? [];
      assert.isDefined(line, message);
      allow(`${line}`);
    }

    it('for a program that is not allowed says what allows it', async () => {
      const options = { user: 'alice', env: { PATH: path, A: 'b' } };
      const error = await commandError(['printenv', 'A'], options);
      assert.include(error.message, 'a password is required');
      assert.equal(error.command, 'printenv');
      await followAdvice(error);
      assert.equal((await hub.run(['printenv', 'A'], options)).stdout, 'b\n');
    });

    it('for a variable that is not allowed says what allows it', async () => {
      allow('hub ALL = (alice) NOPASSWD: /usr/bin/printenv');
      const options = { user: 'alice', env: { A: 'b' } };
      const error = await commandError(['printenv', 'A'], options);
      assert.include(error.message, 'not allowed to set the following environment variables: A');
      await followAdvice(error);
      assert.equal((await hub.run(['printenv', 'A'], options)).stdout, 'b\n');
    });

    it('without a password rule says what allows it', async () => {
      allow('Defaults !authenticate', 'hub ALL = (bob) /usr/bin/env');
      const error = await commandError(['printenv', 'HOME'], { user: 'alice' });
      assert.include(error.message, 'Sorry, user hub is not allowed to execute');
      await followAdvice(error);
      assert.equal(
        (await hub.run(['printenv', 'HOME'], { user: 'alice' })).stdout,
        '/home/alice\n',
      );
    });

    it('without a terminal says what allows it', async () => {
      const rule = 'hub ALL = (alice) NOPASSWD: /usr/bin/env';
      allow('Defaults:hub requiretty', rule);
      const { message } = await commandError(['env'], { user: 'alice' });
      const [, line] = /this line in \/etc\/sudoers\.d: (.*)$/.exec(message) ?? [];
      allow('Defaults:hub requiretty', rule, `${line}`);
      assert.equal((await hub.run(['env'], { user: 'alice' })).exitCode, 0);
    });

    it('of an unknown account says so', async () => {
      const { message } = await commandError(['env'], { user: 'nobody-here' });
      assert.include(message, 'There is no such account');
    });

    it('of an unknown program says so', async () => {
      allow('hub ALL = (alice) NOPASSWD: ALL');
      const { message } = await commandError(['no-such-program'], { user: 'alice' });
      assert.include(message, 'no-such-program: command not found');
    });
  });

  it('looks a program up in the secure_path, whatever the PATH', async () => {
    allow('hub ALL = (alice) NOPASSWD: ALL');
    chmodSync(scratch, 0o755);
    writeFileSync(join(scratch, 'only-here'), '#!/bin/sh\n', { mode: 0o755 });
    const options = { user: 'alice', env: { PATH: scratch } };
    assert.include((await commandError(['only-here'], options)).message, 'command not found');
  });

  it('runs a command of its own account without sudo', async () => {
    const { stdout } = await hub.run(['env'], { user: 'hub', env: { PATH: path } });
    assert.equal(stdout, `PATH=${path}\n`);
  });

  it('ends all processes of another account for a hub that is root', async () => {
    const child = `sh -c 'trap "" TERM; echo $$; while :; do sleep 0.05; done'`;
    const { stdout, timedOut } = await root.run(['sh', '-c', `${child} & wait`], {
      user: 'alice',
      timeout: 1000,
    });
    assert.isTrue(timedOut);
    assert.isFalse(await isAlive(stdout.trim()));
  });

  describe('of an unprivileged process', () => {
    /** Runs a script as alice in a process that becomes `hub` when it has loaded everything. */
    async function runAsHub(script: string, options: Omit<RunOptions, 'signal'>) {
      const module = (name: string) =>
        JSON.stringify(import.meta.resolve(`../../lib/runners/${name}`));
      const program = `
        import { LocalRunner } from ${module('local.ts')};
        import { SudoRunner } from ${module('sudo.ts')};
        process.initgroups('hub', 'hub');
        process.setgid('hub');
        process.setuid('hub');
        const runner = new SudoRunner({ runner: new LocalRunner({ killDelay: 200 }) });
        const [script, options] = process.argv.slice(1);
        const result = await runner
          .run(['sh', '-c', script], { user: 'alice', ...JSON.parse(options) })
          .catch(({ message }) => ({ message }));
        console.log(JSON.stringify(result));`;
      const { stdout, stderr } = await local.run([
        ...[process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module'],
        ...['-e', program, script, JSON.stringify(options)],
      ]);
      assert.notEqual(stdout, '', stderr);
      const result: Record<string, unknown> = JSON.parse(stdout);
      return result;
    }

    it('ends a command by SIGTERM', async () => {
      const result = await runAsHub('echo $$; exec sleep 30', { timeout: 1000 });
      assert.deepEqual([result['signal'], result['timedOut']], ['SIGTERM', true]);
      assert.isFalse(await isAlive(`${result['stdout']}`.trim()));
    });

    it('comes back from a command that ignores SIGTERM, and can not end it', async () => {
      const script = 'trap "" TERM; echo $$; exec sleep 30';
      const result = await runAsHub(script, { timeout: 1000 });
      assert.isTrue(result['timedOut']);
      const pid = `${result['stdout']}`.trim();
      assert.isTrue(await isAlive(pid));
      process.kill(Number(pid), 'SIGKILL');
    });

    it('can not work in a directory that only the other account may enter', async () => {
      chmodSync(scratch, 0o755);
      const cwd = join(scratch, 'home');
      execFileSync('install', ['-d', '-m', '0700', '-o', 'alice', cwd]);
      const { message } = await runAsHub('pwd', { cwd });
      assert.include(message, `'${cwd}' can't be entered by the account 'hub'`);
    });
  });
});
