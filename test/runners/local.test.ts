import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { format, inspect } from 'node:util';
import { assert } from 'chai';
import createDebug from 'debug';
import fc from 'fast-check';
import { AbortError, CommandError, OptionsError } from '../../lib/errors.ts';
import { LocalRunner } from '../../lib/runners/local.ts';
import type { RunOptions } from '../../lib/runners/runner.ts';
import { sleep } from '../../lib/sleep.ts';

const runner = new LocalRunner({ killDelay: 100 });
const me = userInfo().username;
const path = '/usr/bin:/bin';

function sh(script: string, options?: RunOptions) {
  return runner.run(['sh', '-c', script], options);
}

/** Runs JavaScript in a Node of its own. */
function node(script: string, args: readonly string[] = [], options?: RunOptions) {
  return runner.run([process.execPath, '-e', script, '--', ...args], options);
}

async function commandError(argv: readonly string[], options?: RunOptions): Promise<CommandError> {
  try {
    await runner.run(argv, options);
  } catch (error) {
    assert.instanceOf(error, CommandError);
    return error;
  }
  throw new Error(`${argv[0]} could be run`);
}

/** A zombie is not alive: PID 1 of a container need not reap. */
async function isAlive(pid: string): Promise<boolean> {
  const { stdout } = await runner.run(['ps', '-o', 'stat=', '-p', pid]);
  return stdout !== '' && !stdout.startsWith('Z');
}

describe('LocalRunner', () => {
  let scratch: string;
  before(() => {
    scratch = mkdtempSync(join(tmpdir(), 'local-runner-'));
  });
  after(() => {
    rmSync(scratch, { recursive: true });
  });

  describe('results', () => {
    it('gives both outputs and the exit code', async () => {
      assert.deepEqual(await sh('echo out; echo err >&2; exit 3'), {
        stdout: 'out\n',
        stderr: 'err\n',
        exitCode: 3,
        signal: null,
        timedOut: false,
        truncated: false,
      });
    });

    it('gives the signal that ended a command', async () => {
      const { exitCode, signal, timedOut } = await sh('kill -KILL $$');
      assert.deepEqual(
        { exitCode, signal, timedOut },
        { exitCode: null, signal: 'SIGKILL', timedOut: false },
      );
    });

    it('passes arguments on without a shell', async () => {
      const { stdout } = await runner.run(['printf', '%s|', '$HOME', '`id`', 'a b', '', '*']);
      assert.equal(stdout, '$HOME|`id`|a b||*|');
    });

    it('passes any argument and any value on unchanged', async () => {
      const script = `const n = Number(process.argv[1]);
        process.stdout.write(JSON.stringify([process.argv.slice(2), Array.from({ length: n }, (_, i) => process.env['V' + i])]))`;
      const text = fc
        .oneof(
          fc.string({ unit: 'binary' }),
          fc.constantFrom("'", '"', '\n', '$(id)', '-e', '=', '%s', '\\'),
        )
        .map((value) => value.replaceAll('\0', ''));
      const texts = fc.array(text, { minLength: 100, maxLength: 100 });
      await fc.assert(
        fc.asyncProperty(texts, texts, async (args, values) => {
          const env = Object.fromEntries(values.map((value, index) => [`V${index}`, value]));
          const { stdout } = await node(script, [`${values.length}`, ...args], { env });
          assert.deepEqual(JSON.parse(stdout), [args, values]);
        }),
        { numRuns: 3 },
      );
    });

    it('keeps characters whole that arrive in two parts', async () => {
      const { stdout } = await sh("printf 'a\\342'; sleep 0.05; printf '\\202\\254b'");
      assert.equal(stdout, 'a€b');
    });

    it('replaces what is no UTF-8', async () => {
      const { stdout, stderr } = await sh("printf 'a\\377b'; printf '\\303' >&2");
      assert.deepEqual([stdout, stderr], ['a\uFFFDb', '\uFFFD']);
    });
  });

  describe('standard input', () => {
    it('is written and closed', async () => {
      const { stdout } = await runner.run(['cat'], { input: 'grüße\n' });
      assert.equal(stdout, 'grüße\n');
    });

    it('is empty and closed without input', async () => {
      const { stdout, exitCode } = await runner.run(['cat']);
      assert.deepEqual([stdout, exitCode], ['', 0]);
    });

    it('may be more than a command reads', async () => {
      const { exitCode } = await runner.run(['true'], { input: 'x'.repeat(5_000_000) });
      assert.equal(exitCode, 0);
    });
  });

  describe('environment', () => {
    before(() => {
      process.env['HUB_SECRET'] = 'secret';
    });
    after(() => {
      delete process.env['HUB_SECRET'];
    });

    it('is what was asked for and nothing else', async () => {
      const { stdout } = await runner.run(['env'], { env: { PATH: path, A: 'b c', EMPTY: '' } });
      assert.sameMembers(stdout.trim().split('\n'), [`PATH=${path}`, 'A=b c', 'EMPTY=']);
    });

    it('is the PATH of this process without env', async () => {
      const { stdout } = await runner.run(['env']);
      assert.equal(stdout, `PATH=${process.env['PATH']}\n`);
    });

    it('may be empty', async () => {
      const { stdout } = await runner.run(['env'], { env: {} });
      assert.equal(stdout, '');
    });

    it('decides by its PATH which program runs', async () => {
      writeFileSync(join(scratch, 'squeue'), '#!/bin/sh\necho ours\n', { mode: 0o755 });
      const { stdout } = await runner.run(['squeue'], { env: { PATH: scratch } });
      assert.equal(stdout, 'ours\n');
    });
  });

  it('works in / or in cwd', async () => {
    assert.equal((await runner.run(['pwd'])).stdout, '/\n');
    assert.equal((await runner.run(['pwd'], { cwd: scratch })).stdout, `${scratch}\n`);
  });

  describe('time-out', () => {
    it('ends a command', async () => {
      const { exitCode, signal, timedOut } = await runner.run(['sleep', '30'], { timeout: 50 });
      assert.deepEqual([exitCode, signal, timedOut], [null, 'SIGTERM', true]);
    });

    it('may be longer than a timer can run', async () => {
      const { exitCode, timedOut } = await sh('sleep 0.05', { timeout: Number.POSITIVE_INFINITY });
      assert.deepEqual([exitCode, timedOut], [0, false]);
    });
  });

  it('keeps output that came while this process was busy', async () => {
    const running = runner.run(['sh', '-c', '(sleep 0.1; echo late) &']);
    await sleep(60);
    await new Promise((resolve) => setImmediate(resolve));
    for (const end = performance.now() + 500; performance.now() < end; );

    assert.equal((await running).stdout, 'late\n');
  });

  it('does not wait for the output of a child that the command left behind', async () => {
    const started = performance.now();
    const { stdout, exitCode, timedOut } = await sh('sleep 10 & echo $!');
    const pid = stdout.trim();
    assert.deepEqual([exitCode, timedOut], [0, false]);
    assert.isTrue(await isAlive(pid), 'the child goes on');
    process.kill(Number(pid));
    assert.isBelow(performance.now() - started, 5000);
  });

  describe('abort', () => {
    /** Runs a script, and aborts it when it has made the file $READY. */
    async function abortedWhenReady(script: string) {
      const controller = new AbortController();
      const ready = join(mkdtempSync(join(scratch, 'ready-')), 'ready');
      const { signal } = controller;
      const running = sh(script, { signal, env: { PATH: path, READY: ready } });
      while (!existsSync(ready)) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      controller.abort();
      return running;
    }

    it('ends a command and its children, keeping the output', async () => {
      const { stdout, exitCode, signal, timedOut } = await abortedWhenReady(
        'sleep 30 & echo $!; : > $READY; wait',
      );
      assert.deepEqual([exitCode, signal, timedOut], [null, 'SIGTERM', false]);
      assert.isFalse(await isAlive(stdout.trim()));
    });

    it('ends children that ignore SIGTERM', async () => {
      const child = `sh -c 'trap "" TERM; echo $$; : > $READY; while :; do sleep 0.05; done'`;
      const { stdout, signal } = await abortedWhenReady(`${child} & wait`);
      assert.equal(signal, 'SIGTERM');
      assert.isFalse(await isAlive(stdout.trim()));
    });

    it('ends children that ignore SIGTERM and have no part in the output', async () => {
      const loop = `trap "" TERM; echo $$ > $READY.pid; mv $READY.pid $READY; while :; do sleep 0.05; done`;
      const { stdout } = await abortedWhenReady(
        `trap 'cat $READY; exit' TERM; sh -c '${loop}' > /dev/null 2>&1 & wait`,
      );
      assert.match(stdout, /^\d+\n$/);
      assert.isFalse(await isAlive(stdout.trim()));
    });

    it('ends a command that ignores SIGTERM', async () => {
      const script = 'trap "" TERM; : > $READY; while :; do sleep 0.05; done';
      assert.equal((await abortedWhenReady(script)).signal, 'SIGKILL');
    });

    it('lets a command clean up', async () => {
      const { stdout, exitCode } = await abortedWhenReady(
        'trap "echo cleaned; exit 5" TERM; : > $READY; while :; do sleep 0.02; done',
      );
      assert.deepEqual([stdout, exitCode], ['cleaned\n', 5]);
    });

    it('comes back even where an escaped child keeps the output open', async () => {
      const started = performance.now();
      const { stdout } = await abortedWhenReady(
        `setsid sh -c 'echo $$; : > $READY; exec sleep 10' & wait`,
      );
      const pid = stdout.trim();
      assert.isTrue(await isAlive(pid), 'the child goes on');
      process.kill(Number(pid));
      assert.isBelow(performance.now() - started, 5000);
    });

    it('before the start runs nothing', async () => {
      const file = join(scratch, 'made');
      const reason = new Error('the hub ends');
      const error = await runner.run(['touch', file], { signal: AbortSignal.abort(reason) }).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      assert.instanceOf(error, AbortError);
      assert.equal(error.cause, reason);
      assert.equal((await runner.run(['test', '-e', file])).exitCode, 1);
    });

    it('leaves no listeners on a signal', async () => {
      const { signal } = new AbortController();
      let listeners = 0;
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        listeners += 1;
        add(...args);
      };
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listeners -= 1;
        remove(...args);
      };
      await runner.run(['true'], { signal });
      await runner.run(['no-such-program'], { signal }).catch(() => undefined);
      assert.equal(listeners, 0);
    });
  });

  describe('much output', () => {
    const small = new LocalRunner({ maxOutput: 1000 });

    it('is cut, while the command goes on', async () => {
      const { stdout, stderr, exitCode, truncated } = await small.run([
        'sh',
        '-c',
        'head -c 3000000 /dev/zero; echo done >&2',
      ]);
      assert.equal(stdout, '\0'.repeat(1000));
      assert.deepEqual([stderr, exitCode, truncated], ['done\n', 0, true]);
    });

    it('is not cut at the limit', async () => {
      const { stdout, truncated } = await small.run(['head', '-c', '1000', '/dev/zero']);
      assert.deepEqual([stdout.length, truncated], [1000, false]);
    });

    it('is cut between characters', async () => {
      const { stdout } = await new LocalRunner({ maxOutput: 4 }).run(['printf', 'aa€b']);
      assert.equal(stdout, 'aa');
    });
  });

  describe('what can not be run', () => {
    it('is a program that is not in the PATH', async () => {
      const error = await commandError(['no-such-program', 'topsecret']);
      assert.include(
        error.message,
        "'no-such-program' can't be run: there is no program of this name",
      );
      assert.deepEqual([error.command, error.exitCode], ['no-such-program', null]);
      assert.notInclude(inspect(error, { depth: null, showHidden: true }), 'topsecret');
    });

    it('is a file that does not exist', async () => {
      const { message } = await commandError(['/no/such/program']);
      assert.include(message, 'there is no such file');
    });

    it('is a script without its interpreter', async () => {
      const file = join(scratch, 'script');
      writeFileSync(file, '#!/no/such/shell\n', { mode: 0o755 });
      assert.include((await commandError([file])).message, 'interpreter');
    });

    it('is a file that may not be executed', async () => {
      const file = join(scratch, 'text');
      writeFileSync(file, 'text');
      assert.include((await commandError([file])).message, `'${me}' may not execute it`);
    });

    it('is a program in a directory that is missing', async () => {
      const { message } = await commandError(['true'], { cwd: '/no/such/directory' });
      assert.include(message, "its working directory '/no/such/directory' does not exist");
    });

    it('is a program in a directory that is a file', async () => {
      const { message } = await commandError(['true'], { cwd: '/etc/passwd' });
      assert.include(message, "its working directory '/etc/passwd' is no directory");
    });

    it('is what the system finds too large', async () => {
      const { message } = await commandError(['true', 'x'.repeat(3_000_000)]);
      assert.include(message, 'E2BIG');
      assert.isBelow(message.length, 300);
    });

    it('is an argument with a NUL character', async () => {
      const { message } = await commandError(['echo', 'a', 'b\0c']);
      assert.include(message, 'Argument 2 of "echo" has a NUL character');
    });

    for (const [what, env] of [
      ['a NUL character in a value', { A: 'top\0secret' }],
      ['a = in a name', { 'A=B': 'secret' }],
      ['no name', { '': 'secret' }],
    ] as const) {
      it(`is a variable with ${what}`, async () => {
        const { message } = await commandError(['echo'], { env });
        assert.include(message, JSON.stringify(Object.keys(env)[0]));
        assert.notInclude(message, 'secret');
      });
    }

    it('is no program at all', async () => {
      assert.include((await commandError([])).message, 'no command');
    });

    it('is a command of another account', async () => {
      const { message } = await commandError(['id'], { user: `${me}x` });
      assert.include(message, `can't change to '${me}x': use SudoRunner`);
    });
  });

  it('runs a command as its own account', async () => {
    assert.equal((await runner.run(['id', '-un'], { user: me })).stdout, `${me}\n`);
  });

  it('refuses options that make no sense', () => {
    assert.throws(() => new LocalRunner({ killDelay: -1 }), OptionsError, 'killDelay');
    assert.throws(() => new LocalRunner({ maxOutput: 0 }), OptionsError, 'maxOutput');
  });

  it('logs the program, the account, the exit code and the duration alone', async () => {
    const lines: string[] = [];
    const { log } = createDebug;
    createDebug.log = (...args: readonly unknown[]) => lines.push(format(...args));
    createDebug.enable('hubspawner:runner');
    try {
      await runner.run(['sh', '-c', 'exit 4', 'topsecret'], {
        env: { PATH: path, A: 'topsecret' },
        input: 'topsecret',
      });
    } finally {
      createDebug.disable();
      createDebug.log = log;
    }
    assert.lengthOf(lines, 1);
    assert.match(lines[0] ?? '', new RegExp(`sh as ${me}: 4 after \\d+ ms`));
    assert.notInclude(lines[0], 'topsecret');
  });
});
