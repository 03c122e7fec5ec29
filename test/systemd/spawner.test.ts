import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { SpawnerContext } from '../../lib/context.ts';
import { CommandError, OptionsError, StartError, StateError, StopError } from '../../lib/errors.ts';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import { newMark } from '../../lib/mark.ts';
import type { CommandResult } from '../../lib/runners/runner.ts';
import { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import { rejected } from '../helpers/errors.ts';
import { FakeSystemd } from '../helpers/fake-systemd.ts';

const server = fileURLToPath(new URL('../helpers/server.mjs', import.meta.url));
const unit = 'jupyter-alice-singleuser.service';

describe('SystemdSpawner', () => {
  let home: string;
  let systemd: FakeSystemd;
  let spawners: SystemdSpawner[];

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'systemd-spawner-'));
    mkdirSync(join(home, 'run'));
    systemd = new FakeSystemd(home);
    spawners = [];
  });
  afterEach(async () => {
    systemd.outage = undefined;
    await Promise.all(spawners.map((spawner) => spawner.stop({ now: true })));
    await systemd.close();
    rmSync(home, { recursive: true });
  });

  function create(options: Partial<SystemdOptions> = {}, context: Partial<SpawnerContext> = {}) {
    const spawner = new SystemdSpawner(
      {
        user: { name: 'alice' },
        hub: { apiUrl: 'http://127.0.0.1:8081/hub/api' },
        apiToken: 'secret-token',
        runner: systemd.runner,
        ...context,
      },
      {
        cmd: [process.execPath, server, '--port={port}', '--ip=127.0.0.1'],
        runtimeDir: join(home, 'run'),
        queryInterval: 30,
        pollInterval: 0,
        commandTimeout: 500,
        stopTimeout: 500,
        ...options,
      },
    );
    spawners.push(spawner);
    return spawner;
  }

  function warningsOf(spawner: SystemdSpawner): string[] {
    const warnings: string[] = [];
    spawner.on('warning', ({ code }) => warnings.push(code));
    return warnings;
  }

  /** Answers commands in the place of the machine. */
  function answer(with_: (argv: readonly string[]) => Partial<CommandResult> | undefined): void {
    const { run } = systemd.runner;
    systemd.runner.run = async (argv, options) => {
      const given = with_(argv);
      const plain = { exitCode: 0, signal: null, stdout: '', stderr: '', timedOut: false };
      return given ? { ...plain, ...given } : run.call(systemd.runner, argv, options);
    };
  }

  const directory = () => join(home, 'run', 'jupyter-alice-singleuser');
  const environmentFile = () => join(directory(), 'environment');
  const started = () => systemd.runner.callsOf('systemd-run')[0]?.argv ?? [];

  it('hands the environment over in a file of mode 0400, which is gone after the stop', async () => {
    const spawner = create();
    await spawner.start();
    expect(statSync(environmentFile()).mode & 0o777).to.equal(0o400);
    const commands = systemd.runner.calls.map(({ argv, options }) => [argv, options.env]);
    expect(JSON.stringify(commands)).not.to.include('secret-token');
    expect(readFileSync(environmentFile(), 'utf8')).to.include('secret-token');

    await spawner.stop();
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
    expect(systemd.units.size).to.equal(0);
  });

  it('ends a unit that starts late, asked for by a hub that has died', async () => {
    const { run } = systemd.runner;
    let startLate = async () => {};
    const asked = new Promise<void>((resolve) => {
      systemd.runner.run = async (argv, options) => {
        if (argv[0] === 'systemd-run') {
          return new Promise((answered) => {
            startLate = async () => answered(await run.call(systemd.runner, argv, options));
            resolve();
          });
        }
        if (argv.some((word) => word.includes('rm -rf'))) {
          await startLate();
          startLate = async () => {};
        }
        return run.call(systemd.runner, argv, options);
      };
    });
    const dead = create();
    const failed = rejected(StartError, dead.start());
    await asked;
    const next = create();
    next.loadState(dead.getState());
    const error = await rejected(StartError, next.resume());
    expect(error).to.include({ retryable: true });
    expect(error.message).to.match(/^The hub ended while the unit .* was started/);
    expect(started()).to.include(`--unit=${unit}`);
    expect(systemd.units.size).to.equal(0);
    expect(next.hasServer).to.equal(false);
    await failed;
  });

  it('may begin anew a start that was cut off before there was a unit', async () => {
    const spawner = create();
    await spawner.start();
    const { host: _, port: __, ...state } = spawner.getState();
    await spawner.stop();
    const next = create();
    next.loadState({ ...state, description: String(state['description']).split(' ')[0] });
    expect(await rejected(StartError, next.resume())).to.include({ retryable: true });
    await next.start();
    await next.stop();
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
  });

  it('asks for one list for all servers', async () => {
    const many = Array.from({ length: 20 }, (_, index) => create({}, { serverName: `s${index}` }));
    await Promise.all(many.map((spawner) => spawner.start()));
    const before = systemd.runner.callsOf('systemctl').length;
    expect(await Promise.all(many.map((spawner) => spawner.poll()))).to.deep.equal(
      many.map(() => null),
    );
    expect(systemd.runner.callsOf('systemctl').length - before).to.be.at.most(1);
  });

  it('asks for no single unit since the last list is older than its start', async () => {
    const queryInterval = 400;
    const spawners = ['a', 'b'].map((serverName) => create({ queryInterval }, { serverName }));
    for (const spawner of spawners) await spawner.start();
    const before = systemd.runner.callsOf('systemctl').length;
    expect(await Promise.all(spawners.map((spawner) => spawner.poll()))).to.deep.equal([
      null,
      null,
    ]);
    const asked = systemd.runner.callsOf('systemctl').slice(before);
    expect(asked.filter(({ argv }) => argv[1] !== 'list-units')).to.deep.equal([]);
  });

  for (const outage of ['refused', 'hung'] as const) {
    it(`declares nobody dead while systemctl is ${outage}`, async () => {
      const spawner = create();
      const warnings = warningsOf(spawner);
      await spawner.start();
      systemd.outage = outage;
      await systemd.kill(unit);
      await new Promise((resolve) => setTimeout(resolve, 40));
      expect(await spawner.poll()).to.equal(null);
      await rejected(StopError, spawner.stop());
      expect(warnings).to.include('status-unknown');

      systemd.outage = undefined;
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(await spawner.poll()).to.include({ signal: 'SIGKILL' });
      expect(warnings).to.include('status-known');
    });
  }

  it('takes over the unit of an earlier hub, with its port and its end', async () => {
    const first = create();
    const { port } = await first.start();
    const state: unknown = JSON.parse(JSON.stringify(first.getState()));
    expect(JSON.stringify(state)).not.to.include('secret-token');

    const next = create();
    next.loadState(state);
    expect(await next.poll()).to.equal(null);
    expect(next.address?.port).to.equal(port);
    await systemd.kill(unit);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await next.poll()).to.include({ cause: 'failed', signal: 'SIGKILL' });
  });

  it('does not take another unit of the same name for its own', async () => {
    const first = create();
    await first.start();
    const state = first.getState();
    await systemd.kill(unit);
    systemd.startOther(unit, 'something else');

    const next = create();
    next.loadState(state);
    // The answer of the last question may be older than the other unit.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await next.poll()).not.to.equal(null);
  });

  it('replaces a unit that is there, or adopts it', async () => {
    const first = create();
    const { port } = await first.start();
    const second = create();
    await second.start();
    expect(systemd.units.size).to.equal(1);
    expect(second.address?.port).not.to.equal(port);

    const third = create({ existingUnit: 'adopt' });
    await third.start();
    expect(third.address?.port).to.equal(second.address?.port);
    expect(systemd.runner.callsOf('systemd-run')).to.have.length(2);

    await systemd.kill(unit);
    systemd.startOther(unit, 'something else');
    await create({ existingUnit: 'adopt' }).start();
    expect(systemd.units.get(unit)?.description).to.match(/^hubspawner:\S+ port \d+$/);
  });

  it("leaves a service of the machine alone that has the server's name", async () => {
    systemd.startOther('ssh.service', 'OpenBSD Secure Shell server', { isPermanent: true });
    const spawner = create({ unitNameTemplate: '{{username}}' }, { user: { name: 'ssh' } });
    const error = await rejected(StartError, spawner.start());
    expect(error.message).to.match(/ssh\.service belongs to this machine/);
    expect(error.retryable).to.equal(false);
    expect(systemd.units.get('ssh.service')?.state).to.equal('active');
    expect(systemd.runner.calls.some(({ argv }) => argv.includes('stop'))).to.equal(false);
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
  });

  it('has an account made up for each unit, and never one that is there', async () => {
    const unitNameTemplate = 'jupyter@{{username}}';
    for (const name of ['ann', 'bob', 'root']) {
      await create({ dynamicUsers: true, unitNameTemplate }, { user: { name } }).start();
    }
    const accounts = systemd.runner
      .callsOf('systemd-run')
      .flatMap(({ argv }) =>
        argv.flatMap((word) => /^--property=User=(.*)$/.exec(word)?.[1] ?? []),
      );
    expect(new Set(accounts).size).to.equal(3);
    expect(accounts[0]).to.match(/^jupyter_ann-[0-9a-f]{12}$/);
    const refused = () => create({ dynamicUsers: true, unitNameTemplate: '{{username}}' });
    expect(refused).to.throw(OptionsError).with.property('path', 'unitNameTemplate');
  });

  it('keeps the environment of a server that systemd starts anew, whoever asks for that', async () => {
    for (const [options, isKept] of [
      [{}, false],
      [{ restart: 'on-failure' }, true],
      [{ unitExtraProperties: { Restart: 'on-failure' } }, true],
    ] as const) {
      const spawner = create(options);
      await spawner.start();
      const script = readFileSync(`${directory()}/end`, 'utf8');
      expect(!script.includes('rm -f environment')).to.equal(isKept);
      await spawner.stop();
    }
  });

  it('sets properties of the slice that the server gets', async () => {
    await create({ slice: 'jupyter', sliceProperties: { MemoryMax: '1G' } }).start();
    expect(started()).to.include('--property=Slice=jupyter.slice');
    const set = systemd.runner.calls.find(({ argv }) => argv.includes('set-property'));
    expect(set?.argv.slice(-2)).to.deep.equal(['jupyter.slice', 'MemoryMax=1G']);
  });

  it('starts one unit where two start the same server at once', async () => {
    const results = await Promise.allSettled([create().start(), create().start()]);
    const [refused] = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(results.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
    expect(refused).to.be.instanceOf(StartError);
    expect(String(refused)).to.match(/being started already/);
    expect(refused.retryable).to.equal(true);
    expect(systemd.units.size).to.equal(1);
  });

  it('starts after a start that never came back', async () => {
    await systemd.runner.run([
      '/bin/sh',
      '-c',
      'mkdir -p "$1" && echo 1000 >"$1/starting"',
      'sh',
      directory(),
    ]);
    await create().start();
    expect(existsSync(join(directory(), 'starting'))).to.equal(false);
  });

  for (const [what, options, message] of [
    [
      'a program that is missing',
      { cmd: ['no-such-server'] },
      /There is no program no-such-server/,
    ],
    ['a directory that is missing', { userWorkingDir: '/no/such' }, /working directory failed/],
    ['an account that is missing', { usernameTemplate: 'nobody-here' }, /no account 'nobody-here'/],
    [
      'a property that is none',
      { unitExtraProperties: { FooBar: '1' } },
      /unitExtraProperties\.FooBar/,
    ],
    [
      'a slice property that is none',
      { slice: 'a.slice', sliceProperties: { Wrong: '1' } },
      /sliceProperties/,
    ],
  ] as const) {
    it(`says so where there is ${what}, and leaves nothing`, async () => {
      const spawner = create(options);
      const error = await rejected(Error, spawner.start());
      expect(`${error.message}`).to.match(message);
      expect(systemd.units.size).to.equal(0);
      expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'systemd' });
    });
  }

  it('tells the exit code of a server that ends before systemd has noticed its start', async () => {
    const { run } = systemd.runner;
    systemd.runner.run = async (argv, options) => {
      const result = await run.call(systemd.runner, argv, options);
      if (argv[0] !== 'systemd-run') return result;
      while (systemd.units.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      const stderr = `Job for ${unit} failed because the control process exited with error code.\n`;
      return { ...result, exitCode: 1, stderr };
    };
    const cmd = [process.execPath, server, '--exit=3'];
    const error = await rejected(StartError, create({ cmd }).start());
    expect(error.exit).to.include({ cause: 'failed', code: 3 });
    expect(error.log).to.equal('The server ends with exit code 3.\n');
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
  });

  it('leaves nothing of a start that it has no right to, nor to stop', async () => {
    const { run } = systemd.runner;
    systemd.runner.run = async (argv, options) => {
      if (argv[0] !== 'systemd-run' && argv[1] !== 'stop') {
        return run.call(systemd.runner, argv, options);
      }
      const stderr = 'Failed: Interactive authentication required.\n';
      return {
        ...(await run.call(systemd.runner, ['rm', '-f', '--', '/nowhere/x'], {})),
        exitCode: 1,
        stderr,
      };
    };
    const spawner = create();
    const error = await rejected(StartError, spawner.start());
    expect(error.message).to.match(/Interactive authentication required/);
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
    expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'systemd' });
  });

  it('names the option that a systemd is too old for', async () => {
    systemd.release = 241;
    const spawner = create({ hardened: true }, { runner: new FakeRelease(systemd).runner });
    const error = await rejected(OptionsError, spawner.start());
    expect(error.path).to.equal('hardened');
    expect(error.message).to.match(/needs systemd 24\d or later .*; this machine has 241/);
  });

  it('warns of limits that nothing enforces', async () => {
    const asked = { memLimit: '1G', memHigh: '1G', memGuarantee: '1M', swapMax: 0, cpuLimit: 1 };
    const spawner = create({ ...asked, cpuWeight: 50, tasksMax: 9 });
    const warnings = warningsOf(spawner);
    systemd.controlGroup = '/no/such/group';
    await spawner.start();
    expect(warnings).to.deep.equal(Array.from({ length: 7 }, () => 'limit-not-enforced'));
  });

  it('hands arguments and variables over as they are, whatever they hold', async () => {
    const program = `require("http").createServer((_, response) => {
      response.end(JSON.stringify([process.argv.slice(2), process.env.ODD]));
    }).listen(process.argv[1])`;
    const args = ['$HOME %h %% $$ "x" \\', '', "it's; `id`", 'é\n\r\t\u001b'];
    const ODD = 'a\n"b" \'c\' \\ $D %e \u001b';
    const cmd = [process.execPath, '-e', program, '{port}', ...args];
    const { url } = await create({ cmd, environment: { ODD } }).start();
    expect(await (await fetch(url)).json()).to.deep.equal([args, ODD]);
    // What systemd gets has none of what it would expand, or garble when it is reloaded.
    expect(started().slice(-4, -1)).to.deep.equal(['--', '/bin/sh', `${directory()}/run`]);
    expect(started().at(-1)).to.match(/^[0-9a-f]{12}$/);
  });

  it('has cores shared between servers, whatever the number of their processes', async () => {
    await create().start();
    expect(started()).to.include('--property=CPUWeight=100');
    await create({ cpuWeight: 30 }, { serverName: 'light' }).start();
    const [, second] = systemd.runner.callsOf('systemd-run');
    const weights = second?.argv.filter((word) => word.startsWith('--property=CPUWeight='));
    expect(weights?.at(-1)).to.equal('--property=CPUWeight=30');
  });

  it('refuses an environment that no process can have', async () => {
    const environment = { HUGE: 'x'.repeat(140_000) };
    const error = await rejected(OptionsError, create({ environment }).start());
    expect(error.path).to.equal('environment');
  });

  it('gives a server with a network of its own a socket in that of the machine', async () => {
    const spawner = create({ privateNetwork: true });
    const { port } = await spawner.start();
    const [, proxy] = systemd.runner.callsOf('systemd-run');
    expect(proxy?.argv).to.include.members([
      '--unit=jupyter-alice-singleuser--proxy',
      `--socket-property=ListenStream=127.0.0.1:${port}`,
      `--property=JoinsNamespaceOf=${unit}`,
      `--socket-property=BindsTo=${unit}`,
    ]);
    expect(proxy?.argv.at(-1)).to.equal(`127.0.0.1:${port}`);
  });

  it('gives it one of IPv6, too', async () => {
    const cmd = [process.execPath, server, '--port={port}', '--ip=::1'];
    const { port } = await create({ privateNetwork: true, ip: '::', cmd }).start();
    const [, proxy] = systemd.runner.callsOf('systemd-run');
    expect(proxy?.argv).to.include(`--socket-property=ListenStream=[::1]:${port}`);
    expect(proxy?.argv.at(-1)).to.equal(`::1:${port}`);
  });

  it('asks the systemd of the account where the scope says so', async () => {
    await create({ scope: 'user' }).start();
    const calls = systemd.runner.callsOf('systemd-run');
    expect(calls[0]?.argv.slice(0, 2)).to.deep.equal(['systemd-run', '--user']);
    expect(calls[0]?.options.user).to.equal('alice');
    expect(calls[0]?.options.env).to.include({
      XDG_RUNTIME_DIR: '/run/user/1001',
      DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/1001/bus',
    });
    expect(started()).not.to.include('--property=User=alice');
    expect(started()).not.to.include('--property=PrivateUsers=yes');
  });

  it('has the systemd of an account really isolate what is to be isolated', async () => {
    await create({ scope: 'user', isolateTmp: true }).start();
    expect(started()).to.include('--property=PrivateUsers=yes');
    await create({ isolateTmp: true }, { serverName: 'system' }).start();
    const [, second] = systemd.runner.callsOf('systemd-run');
    expect(second?.argv).not.to.include('--property=PrivateUsers=yes');
  });

  it('refuses what the systemd of an account can not do', () => {
    for (const [option, options] of [
      ['dynamicUsers', { dynamicUsers: true }],
      ['privateNetwork', { privateNetwork: true }],
      ['protectHome', { protectHome: 'tmpfs', runtimeDir: undefined }],
    ] as const) {
      expect(
        () => create({ scope: 'user', ...options } as Partial<SystemdOptions>),
        option,
      ).to.throw(OptionsError, option);
    }
  });

  it('says what to do where the systemd of the account does not run', async () => {
    systemd.outage = 'refused';
    const error = await rejected(StartError, create({ scope: 'user' }).start());
    expect(error.message).to.match(/Failed to connect to bus.*loginctl enable-linger alice$/);
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
  });

  it('says what the server has printed, without its token', async () => {
    const script = 'echo "it is $JUPYTERHUB_API_TOKEN"; exec sleep 100';
    const spawner = create({ cmd: ['sh', '-c', script], httpTimeout: 300 });
    expect(spawner.abilities).to.deep.equal(['usage', 'logs']);
    expect(await spawner.logs()).to.equal(null);
    const start = spawner.start().catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await spawner.logs()).to.equal('it is [token]\n');
    expect(String(await start)).to.match(/httpTimeout/);
  });

  it('removes the directory once where several see the end at the same time', async () => {
    const spawner = create();
    await spawner.start();
    await systemd.kill(unit);
    await new Promise((resolve) => setTimeout(resolve, 40));
    await Promise.all([spawner.poll(), spawner.poll(), spawner.stop()]);
    const scripts = systemd.runner.calls.map(({ argv }) => argv[2] ?? '');
    expect(scripts.filter((script) => script.includes('rm -rf'))).to.have.length(1);
  });

  it('leaves a unit and its directory to the start that has replaced its own', async () => {
    const [first, restored] = [create(), create()];
    await first.start();
    restored.loadState(first.getState());
    const second = create();
    await second.start();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await first.poll()).not.to.equal(null);
    await restored.stop({ now: true });
    expect(await second.poll()).to.equal(null);
    expect(existsSync(environmentFile())).to.equal(true);
  });

  it("refuses to replace another hub's server, and leaves its directory", async () => {
    mkdirSync(directory());
    writeFileSync(environmentFile(), '');
    systemd.startOther(unit, 'hubspawner:00000000:alice::3b1d0c7a9e55 port 5');
    for (const existingUnit of ['replace', 'adopt'] as const) {
      const error = await rejected(StartError, create({ existingUnit }).start());
      expect(error.message).to.match(/another hub.*unitNameTemplate/);
    }
    expect(systemd.units.size).to.equal(1);
    expect(readdirSync(directory())).to.deep.equal(['environment']);
  });

  for (const [whose, user, serverName] of [
    ["another person's server", 'bob', ''],
    ["another server of the person's", 'alice', 'lab'],
  ] as const) {
    it(`refuses to replace or adopt ${whose}, and leaves its directory`, async () => {
      mkdirSync(directory());
      writeFileSync(environmentFile(), '');
      const { tag } = newMark({ ...create().context, user: { name: user }, serverName }, 90);
      systemd.startOther(unit, `${tag} port 5`);
      for (const existingUnit of ['replace', 'adopt'] as const) {
        const error = await rejected(StartError, create({ existingUnit }).start());
        expect(error.message).to.match(/another server .*unitNameTemplate/);
      }
      expect(systemd.units.get(unit)?.description).to.equal(`${tag} port 5`);
      expect(readdirSync(directory())).to.deep.equal(['environment']);
    });
  }

  it('leaves nothing where systemd does not answer a start, but what was there', async () => {
    systemd.outage = 'refused';
    await rejected(CommandError, create().start());
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
  });

  it('adopts or replaces a unit that has the port that is wanted', async () => {
    const first = create();
    const { port } = await first.start();
    await first.stop();
    await create({ port }).start();
    expect(await create({ port, existingUnit: 'adopt' }).start()).to.include({ port });
    expect(await create({ port }).start()).to.include({ port });
    expect(systemd.runner.callsOf('systemd-run')).to.have.length(3);
  });

  it('does not end a server since nothing says whether its limits hold', async () => {
    let fails = true;
    answer(([, verb]) =>
      fails && verb === 'show' && systemd.units.size > 0 ? { exitCode: 1 } : undefined,
    );
    await create({ memLimit: '1G' }).start();
    fails = false;
    expect(systemd.units.size).to.equal(1);
  });

  it('does not fail where all but the last clean-up has been done', async () => {
    answer(([, , script]) =>
      script?.startsWith('\n[ "$(cat') ? { exitCode: 1, stderr: 'no' } : undefined,
    );
    const spawner = create();
    const warnings = warningsOf(spawner);
    await spawner.start();
    expect(warnings).to.deep.equal(['command-failed']);
  });

  it('shows no token that the journal has of a unit that does not start', async () => {
    answer(([program]) =>
      program === 'journalctl'
        ? { stdout: `${JSON.stringify({ MESSAGE: `${unit}: has secret-token` })}\n` }
        : undefined,
    );
    const start = create({ userWorkingDir: '/no/such' }).start();
    const error = await rejected(StartError, start);
    expect(error.message).to.include('has [token]');
    expect(error.log).to.equal(`${unit}: has [token]\n`);
  });

  it('names the step at which a start failed where nothing says more', async () => {
    const say = (...messages: readonly string[]) => {
      const lines = messages.map((text) => `${JSON.stringify({ MESSAGE: `${unit}: ${text}` })}\n`);
      answer(([program]) => (program === 'journalctl' ? { stdout: lines.join('') } : undefined));
    };
    const message = async () =>
      (await rejected(StartError, create({ userWorkingDir: '/no/such' }).start())).message;
    const step = 'Main process exited, code=exited, status=200/CHDIR';
    say("Failed with result 'exit-code'.", step);
    expect(await message()).to.match(/details\.; Main process exited, .*status=200\/CHDIR$/);
    say("Failed with result 'exit-code'.", step, 'Permission denied');
    expect(await message()).to.match(/details\.; Permission denied$/);
  });

  it('starts no server as root, unless the template names it', async () => {
    answer(([program]) =>
      program === 'getent' ? { stdout: `root:x:0:0::${home}:/bin/sh\n` } : undefined,
    );
    const context = { user: { name: 'root' } };
    const error = await rejected(StartError, create({}, context).start());
    expect(error.message).to.match(/usernameTemplate to 'root'/);
    await create({ usernameTemplate: 'root' }).start();
    expect(started()).to.include('--property=User=root');
  });

  it('lives on when a notebook is killed for want of memory, where systemd can do that', async () => {
    await create({ unitExtraProperties: { OOMPolicy: 'stop' } }).start();
    const policies = started().filter((word) => word.startsWith('--property=OOMPolicy='));
    expect(policies).to.deep.equal(['--property=OOMPolicy=continue', '--property=OOMPolicy=stop']);
  });

  it('asks no systemd before 243 to live on', async () => {
    systemd.release = 242;
    await create().start();
    expect(started().join(' ')).not.to.include('OOMPolicy');
  });

  it('knows that a server has ended with the systemd of its account', async () => {
    const [polled, stopped] = [create({ scope: 'user' }), create({ scope: 'user' })];
    await polled.start();
    stopped.loadState(polled.getState());
    let state = 'active';
    answer((argv) =>
      argv.at(-1) === 'user@1001.service' ? { stdout: `ActiveState=${state}\n` } : undefined,
    );
    systemd.outage = 'refused';
    await systemd.kill(unit);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await polled.poll()).to.equal(null);
    await rejected(StopError, stopped.stop());
    state = 'inactive';
    expect(await polled.poll()).not.to.equal(null);
    await stopped.stop();
  });

  it('does not ask one systemd about a unit of another', async () => {
    const spawner = create({ scope: 'user' });
    await spawner.start();
    const next = create({ scope: 'system' });
    expect(() => next.loadState(spawner.getState()))
      .to.throw(StateError)
      .with.property('message')
      .that.includes("set the option scope to 'user'");
  });

  it('loads no state that it can not have written', () => {
    const good = {
      ...{
        version: 1,
        spawner: 'systemd',
        unit,
        directory: '/run/hubspawner/jupyter-alice-singleuser',
      },
      ...{ description: 'x port 1', startedAt: '2026-03-02T08:00:00Z' },
    };
    create().loadState(good);
    for (const wrong of [
      { unit: '--help' },
      { unit: 'x.socket' },
      { directory: 'relative' },
      { directory: '/' },
      { directory: '/run/hubspawner/x' },
      { description: '' },
      { uid: '7' },
      { startedAt: 'yesterday' },
    ]) {
      expect(() => create().loadState({ ...good, ...wrong }), JSON.stringify(wrong)).to.throw(
        StateError,
      );
    }
  });
});

/** A runner of its own, since a release is asked for once by each. */
class FakeRelease {
  readonly runner: FakeSystemd['runner'];

  constructor(systemd: FakeSystemd) {
    this.runner = new FakeSystemd('/').runner;
    this.runner.run = (argv, options) => systemd.runner.run(argv, options);
  }
}
