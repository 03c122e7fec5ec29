import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { SpawnerContext } from '../../lib/context.ts';
import {
  AbortError,
  CommandError,
  OptionsError,
  StartError,
  StartTimeoutError,
  StateError,
} from '../../lib/errors.ts';
import type { ExitStatus } from '../../lib/events.ts';
import type { LocalProcessOptions } from '../../lib/generated/options.ts';
import { LocalProcessSpawner } from '../../lib/local/spawner.ts';
import { LocalRunner } from '../../lib/runners/local.ts';
import type { SpawnerState } from '../../lib/state.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const server = fileURLToPath(new URL('server.mjs', import.meta.url));
const token = 'e1f0c2-secret';
const me = userInfo();

interface Report {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly cwd: string;
  readonly umask: number;
  readonly input: string;
  readonly child: number | null;
}

/** What the server says that it was given. */
async function ask(spawner: LocalProcessSpawner, query = ''): Promise<Report> {
  const response = await fetch(`${spawner.address?.url}${query}`);
  return (await response.json()) as Report;
}

function pidOf(spawner: LocalProcessSpawner): number {
  return Number(spawner.getState()['pid']);
}

/** A zombie is not alive: the first process of a container need not clear it away. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function rejection<E extends Error>(
  promise: Promise<unknown>,
  type: abstract new (...args: never) => E,
): Promise<E> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  if (error instanceof type) {
    return error;
  }
  throw new Error(`${type.name} was expected`, { cause: error });
}

function nextPid(spawner: LocalProcessSpawner): Promise<number> {
  return new Promise((resolve) => spawner.once('submitted', ({ id }) => resolve(Number(id))));
}

function nextExit(spawner: LocalProcessSpawner): Promise<ExitStatus> {
  return new Promise((resolve) => spawner.once('exited', resolve));
}

describe('LocalProcessSpawner', function () {
  this.timeout(10_000);
  let scratch: string;
  let spawners: LocalProcessSpawner[];

  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), 'local-process-'));
    spawners = [];
  });
  afterEach(async () => {
    await Promise.all(spawners.map((spawner) => spawner.stop({ now: true })));
    rmSync(scratch, { recursive: true });
  });

  function create(
    behaviour = '',
    options: Partial<LocalProcessOptions> = {},
    context: Partial<SpawnerContext> = {},
  ): LocalProcessSpawner {
    const spawner = new LocalProcessSpawner(
      {
        user: { name: 'ada@example.org', account: me.username },
        hub: { apiUrl: 'http://127.0.0.1:8081/hub/api' },
        apiToken: token,
        ...context,
      },
      {
        cmd: [process.execPath, server, '{port}', behaviour],
        logFile: join(scratch, '{{name}}.log'),
        interruptTimeout: 5000,
        killTimeout: 2000,
        ...options,
      },
    );
    spawners.push(spawner);
    return spawner;
  }
  const log = () => join(scratch, 'ada@example.org.log');

  describe('start', () => {
    it('hands over arguments, environment and directory exactly', async () => {
      process.env['HUB_CANARY'] = 'of the hub';
      const words = ['', 'two words', '$HOME', '"\'`\\', 'line\nbreak', '*', '--port={port}{port}'];
      // What loaders and shells would act on, or change.
      const awkward = {
        PATH: '/usr/bin:/bin',
        IFS: 'o',
        PWD: '/elsewhere',
        LD_LIBRARY_PATH: '/opt/lib',
        BASH_ENV: '/dev/null',
        LC_ALL: 'C',
        QUOTES: `'"$(id)\n`,
        EMPTY: '',
        SHELL: '/bin/false',
      };
      const spawner = create('', { args: words, environment: awkward });
      try {
        await spawner.start();
      } finally {
        delete process.env['HUB_CANARY'];
      }
      const { argv, env, pid, cwd, umask, input } = await ask(spawner);
      // Node itself hands this one on, where coverage is measured.
      const { NODE_V8_COVERAGE: _, ...environment } = env;
      const port = String(spawner.address?.port);
      assert.deepEqual(argv, [
        process.execPath,
        server,
        port,
        '',
        ...words.slice(0, -1),
        `--port=${port}${port}`,
      ]);
      assert.deepEqual(environment, {
        ...spawner.environment(),
        ...awkward,
        HOME: me.homedir,
        USER: me.username,
        LOGNAME: me.username,
      });
      assert.equal(env['JUPYTERHUB_SERVICE_URL'], spawner.address?.url);
      assert.equal(env['JUPYTERHUB_API_TOKEN'], token);
      assert.equal(cwd, me.homedir);
      assert.equal(umask, process.umask());
      assert.equal(input, '');
      assert.equal(pid, pidOf(spawner));
      assert.isTrue(process.kill(-pid, 0), 'it leads a process group');
    });

    it('tells what happens, and gives the state out before it waits', async () => {
      const spawner = create();
      const events: unknown[] = [];
      const seen =
        (name: string) =>
        (...details: readonly unknown[]) =>
          events.push([name, ...details]);
      spawner.on('state', seen('state')).on('submitted', seen('submitted'));
      spawner.on('running', ({ host }) => seen('running')(host !== ''));
      spawner.on('ready', seen('ready')).on('exited', ({ cause }) => seen('exited')(cause));
      const progress: string[] = [];
      spawner.on('progress', ({ outcome }) => progress.push(outcome));

      const address = await spawner.start();
      const state = spawner.getState();
      await spawner.stop();

      assert.deepInclude(state, { spawner: 'local-process', host: '127.0.0.1' });
      assert.deepEqual(events, [
        ['state', state],
        ['submitted', { id: String(state['pid']) }],
        ['running', true],
        ['ready', address],
        ['exited', 'cancelled'],
        ['state', { version: 1, spawner: 'local-process' }],
      ]);
      assert.equal(progress.at(-1), 'ready');
    });

    it('finds the program in the PATH of the server, not of the hub', async () => {
      symlinkSync(process.execPath, join(scratch, 'jupyter'));
      const spawner = create('', {
        cmd: ['jupyter', server, '{port}'],
        environment: { PATH: scratch },
      });
      await spawner.start();
      assert.equal((await ask(spawner)).env['PATH'], scratch);
    });

    it('is reached at the loopback address where it listens on all', async () => {
      const spawner = create('', { ip: '0.0.0.0' });
      assert.equal((await spawner.start()).host, '127.0.0.1');
      assert.match(
        (await ask(spawner)).env['JUPYTERHUB_SERVICE_URL'] ?? '',
        /^http:\/\/0\.0\.0\.0:/,
      );
    });

    it('fails at once, with exit code and log, where the server ends', async () => {
      const spawner = create('dies');
      const exited = nextExit(spawner);
      const error = await rejection(spawner.start(), StartError);
      assert.include(error.message, 'exit code 3');
      assert.include(error.message, log());
      assert.deepInclude(error.exit, { code: 3, signal: null, cause: 'failed' });
      const [, child] =
        /^The token is \[token\], the child is (\d+)\.\n$/.exec(error.log ?? '') ?? [];
      assert.isDefined(child, error.log);
      assert.isFalse(isAlive(Number(child)), 'what it started is ended too');
      assert.deepEqual(await exited, error.exit);
      assert.deepEqual(await spawner.poll(), error.exit);
      assert.deepEqual(spawner.getState(), { version: 1, spawner: 'local-process' });
    });

    it('fails before anything runs where the program is missing', async () => {
      for (const program of ['no-such-program', '/no/such/program', scratch, server]) {
        const spawner = create('', { cmd: [program] });
        const error = await rejection(spawner.start(), StartError);
        assert.include(error.message, program);
        assert.deepInclude(await spawner.poll(), { code: null, cause: 'failed' });
      }
      assert.isEmpty(readdirSync(scratch));
    });

    it('fails where the server does not answer in time, and ends it', async () => {
      const spawner = create('mute', { httpTimeout: 300 });
      const pid = nextPid(spawner);
      const error = await rejection(spawner.start(), StartTimeoutError);
      assert.equal(error.step, 'readiness');
      assert.isFalse(isAlive(await pid));
      assert.deepInclude(await spawner.poll(), { cause: 'cancelled' });
    });

    it('fails where the launch hangs, and shows no secret meanwhile', async () => {
      execFileSync('mkfifo', [log()]);
      const spawner = create('', { startTimeout: 300 });
      const start = rejection(spawner.start(), StartTimeoutError);
      const { pid } = await new Promise<SpawnerState>((resolve) => spawner.once('state', resolve));
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      assert.include(argv, server);
      assert.notInclude(argv, token);
      assert.equal((await start).step, 'launch');
      assert.isFalse(isAlive(Number(pid)));
    });

    it('ends the server when it is aborted', async () => {
      const spawner = create('mute');
      const controller = new AbortController();
      spawner.once('running', () => controller.abort(new Error('The browser has gone.')));
      const pid = nextPid(spawner);
      const error = await rejection(spawner.start(controller.signal), AbortError);
      assert.instanceOf(error.cause, Error);
      assert.isFalse(isAlive(await pid));
    });

    it('ends when the server is stopped meanwhile', async () => {
      const spawner = create('mute');
      const start = rejection(spawner.start(), AbortError);
      const pid = await nextPid(spawner);
      await spawner.stop();
      await start;
      assert.isFalse(isAlive(pid));
    });

    it('refuses a port that is in use', async () => {
      const other = createServer().listen(0, '127.0.0.1').unref();
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const error = await rejection(create('', { port }).start(), StartError);
      assert.include(error.message, String(port));
      assert.isTrue(error.retryable);
      other.close();
    });

    it('may be tried again where another program was quicker to take the port', async () => {
      const cmd = ['sh', '-c', 'echo "listen EADDRINUSE: address already in use"; exit 1'];
      const error = await rejection(create('', { cmd }).start(), StartError);
      assert.isTrue(error.retryable);
    });

    it('refuses an address that is not of this machine', async () => {
      const error = await rejection(create('', { ip: '192.0.2.1' }).start(), StartError);
      assert.include(error.message, '192.0.2.1 (EADDRNOTAVAIL)');
    });

    it('refuses a program that would be taken for a variable', async () => {
      const error = await rejection(create('', { cmd: ['A=1', 'sh'] }).start(), OptionsError);
      assert.equal(error.path, 'cmd[0]');
    });

    it('gives servers that start at once ports of their own', async () => {
      const addresses = await Promise.all(
        ['a', 'b', 'c'].map((serverName) => create('', {}, { serverName }).start()),
      );
      assert.equal(new Set(addresses.map(({ port }) => port)).size, 3);
    });

    it('does not show the value of a variable that can not be passed', async () => {
      const spawner = create('', { environment: { PASSWORD: () => 'hunter2\0' } });
      const error = await rejection(spawner.start(), OptionsError);
      assert.equal(error.path, 'environment.PASSWORD');
      assert.notInclude(error.message, 'hunter2');
    });
  });

  describe('log file', () => {
    it('takes both outputs, and is made anew for its owner alone', async () => {
      writeFileSync(log(), 'old');
      chmodSync(log(), 0o644);
      const script = `echo out; echo err >&2; exec "$0" "$@"`;
      const spawner = create('', {
        cmd: ['sh', '-c', script, process.execPath, server, '{port}'],
      });
      await spawner.start();
      assert.equal(readFileSync(log(), 'utf8'), 'out\nerr\n');
      assert.equal(lstatSync(log()).mode & 0o777, 0o600);
    });

    it('is no link that lies in its place', async () => {
      const precious = join(scratch, 'precious');
      writeFileSync(precious, 'data');
      symlinkSync(precious, log());
      await create('').start();
      assert.equal(readFileSync(precious, 'utf8'), 'data');
      assert.isTrue(lstatSync(log()).isFile());
    });

    it('may be a device, which is left where it is', async () => {
      await create('', { logFile: '/dev/null' }).start();
      assert.isTrue(lstatSync('/dev/null').isCharacterDevice());
    });

    it('fails the start where it can not be made', async () => {
      const logFile = join(scratch, 'missing', 'server.log');
      const error = await rejection(create('', { logFile }).start(), StartError);
      assert.include(error.message, logFile);
      assert.match(error.message, /nonexistent|No such file/);
    });

    it('has a name that no user name can lead elsewhere with', async () => {
      const user = { name: '../a/b+c', account: me.username };
      await create('', {}, { user, serverName: '..' }).start();
      assert.deepEqual(readdirSync(scratch), ['%2E.%2Fa%2Fb%2Bc+%2E..log']);
    });

    it('is checked when the spawner is made', () => {
      for (const logFile of ['/tmp/{{user}}.log', '{{servername}}']) {
        assert.throws(() => create('', { logFile }), OptionsError, 'logFile');
      }
    });
  });

  describe('poll', () => {
    it('is null while the server lives, and tells how it ended by itself', async () => {
      for (const [code, cause] of [
        [0, 'completed'],
        [7, 'failed'],
      ] as const) {
        const spawner = create();
        await spawner.start();
        assert.isNull(await spawner.poll());
        const exited = nextExit(spawner);
        await ask(spawner, `?exit=${code}`);
        assert.deepInclude(await exited, { code, signal: null, cause });
        assert.deepEqual(await spawner.poll(), await exited);
      }
    });

    it('tells the signal that ended it', async () => {
      const spawner = create();
      await spawner.start();
      const exited = nextExit(spawner);
      process.kill(pidOf(spawner), 'SIGKILL');
      assert.deepInclude(await exited, { code: null, signal: 'SIGKILL', cause: 'failed' });
      await spawner.start();
      assert.isNull(await spawner.poll(), 'it can be started again');
    });
  });

  describe('stop', () => {
    it('may be called without a server, and twice', async () => {
      const spawner = create();
      await spawner.stop();
      await spawner.start();
      const pid = pidOf(spawner);
      await Promise.all([spawner.stop(), spawner.stop()]);
      assert.isFalse(isAlive(pid));
      assert.deepInclude(await spawner.poll(), { signal: 'SIGINT', cause: 'cancelled' });
    });

    it('ends a server that ignores SIGINT and SIGTERM', async () => {
      const spawner = create('stubborn', { interruptTimeout: 100, terminateTimeout: 100 });
      await spawner.start();
      await spawner.stop();
      assert.deepInclude(await spawner.poll(), { signal: 'SIGKILL', cause: 'cancelled' });
    });

    it('does not wait with `now`, even where another stop does', async () => {
      const spawner = create('stubborn', { interruptTimeout: 60_000 });
      await spawner.start();
      const patient = spawner.stop();
      await spawner.stop({ now: true });
      await patient;
      assert.deepInclude(await spawner.poll(), { signal: 'SIGKILL', cause: 'cancelled' });
    });

    it('ends what the server has started', async () => {
      const spawner = create('parent');
      await spawner.start();
      const { child } = await ask(spawner);
      assert.isTrue(isAlive(Number(child)));
      await spawner.stop();
      assert.isFalse(isAlive(Number(child)));
    });
  });

  describe('after a restart of the hub', () => {
    let other: ChildProcess | undefined;
    afterEach(() => other?.kill('SIGKILL'));

    it('takes over a server of a hub that has ended', async () => {
      const hub = `
        const { LocalProcessSpawner } = await import(${JSON.stringify(import.meta.resolve('../../lib/local/spawner.ts'))});
        const [context, options] = JSON.parse(process.argv[1]);
        const spawner = new LocalProcessSpawner(context, options);
        await spawner.start();
        console.log(JSON.stringify(spawner.getState()));`;
      const first = create();
      const { context, options } = first;
      const output = execFileSync(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', hub, JSON.stringify([context, options])],
        {
          encoding: 'utf8',
          env: { PATH: process.env['PATH'], NODE_V8_COVERAGE: '' },
          timeout: 8000,
        },
      );
      const spawner = create();
      spawner.loadState(JSON.parse(output));
      assert.isNull(await spawner.poll());
      const { pid } = await ask(spawner);
      assert.isTrue(isAlive(pid));

      await spawner.stop();
      assert.isFalse(isAlive(pid));
      assert.deepInclude(await spawner.poll(), { code: null, cause: 'cancelled' });
    });

    it('notices that the server has ended meanwhile', async () => {
      const first = create();
      await first.start();
      const [one, two] = [create(), create()];
      one.loadState(first.getState());
      two.loadState(first.getState());
      assert.isNull(await one.poll());
      await first.stop();

      const exited = nextExit(one);
      assert.deepInclude(await one.poll(), { code: null, signal: null, cause: 'unknown' });
      assert.equal((await exited).cause, 'unknown');
      assert.deepEqual(one.getState(), { version: 1, spawner: 'local-process' });
      await two.stop();
      assert.deepInclude(await two.poll(), { cause: 'unknown' });
    });

    it('leaves a process alone that has the number of the server', async () => {
      other = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
      const first = create();
      await first.start();
      const { started, bootId } = first.getState();
      for (const state of [
        { started: '1', bootId },
        { started, bootId: 'another' },
      ]) {
        for (const method of ['poll', 'stop'] as const) {
          const spawner = create();
          spawner.loadState({ ...first.getState(), pid: other.pid, ...state });
          await spawner[method]();
          assert.deepInclude(await spawner.poll(), { cause: 'unknown' });
        }
      }
      assert.isNull(other.signalCode);
      assert.isTrue(isAlive(Number(other.pid)));
    });

    it('refuses what is no state of its own', async () => {
      const good: SpawnerState = {
        version: 1,
        spawner: 'local-process',
        host: '127.0.0.1',
        port: 8888,
        pid: 4_000_000,
        started: '7',
      };
      for (const wrong of [
        { pid: undefined },
        { pid: 0 },
        { pid: 1 },
        { pid: -5 },
        { pid: 12.5 },
        { pid: '12' },
        { started: undefined },
        { started: 7 },
        { bootId: 7 },
        { spawner: 'slurm' },
        { port: 0 },
      ]) {
        const spawner = create();
        assert.throws(() => spawner.loadState({ ...good, ...wrong }), StateError);
        assert.deepEqual(spawner.getState(), { version: 1, spawner: 'local-process' });
      }
      const none = create();
      none.loadState({ version: 1, spawner: 'local-process' });
      assert.deepInclude(await none.poll(), { cause: 'unknown' });
    });
  });

  describe('usage and logs', () => {
    it('are those of the server, without its token', async () => {
      const spawner = create();
      assert.deepEqual(spawner.abilities, ['usage', 'logs']);
      assert.deepEqual([await spawner.usage(), await spawner.logs()], [null, null]);
      await spawner.start();
      const usage = await spawner.usage();
      assert.isAbove(usage?.memory ?? 0, 1e6);
      assert.isAtLeast(usage?.tasks ?? 0, 1);
      assert.isString(await spawner.logs({ lines: 5 }));
      assert.notInclude(await spawner.logs(), token);
    });

    it('is not known on a machine without ps', async () => {
      const real = new LocalRunner();
      let isMissing = false;
      const runner = new StubRunner((argv, options) => {
        if (isMissing && argv[0] === 'ps') {
          throw new CommandError("The command 'ps' can't be run.", { command: 'ps' });
        }
        return real.run(argv, options);
      });
      const spawner = create('', {}, { runner });
      await spawner.start();
      isMissing = true;
      assert.isNull(await spawner.usage());
      isMissing = false;
    });
  });
});
