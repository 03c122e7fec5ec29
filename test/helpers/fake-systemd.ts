import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { CommandResult, RunOptions } from '../../lib/runners/runner.ts';
import { sleep } from '../../lib/sleep.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';

/** A service, as systemctl knows it. */
export interface FakeUnit {
  readonly name: string;
  readonly description: string;
  readonly properties: ReadonlyMap<string, readonly string[]>;
  readonly argv: readonly string[];
  /** Whether the machine has a file for it. */
  readonly isPermanent: boolean;
  state: 'active' | 'failed';
  process?: ChildProcess;
  ended?: Promise<void>;
}

const fails = (stderr: string, exitCode = 1): Partial<CommandResult> => ({
  exitCode,
  stderr: `${stderr}\n`,
});

/** Properties that it takes; what they ask for is not done, but for the environment and the end. */
const properties =
  /^(?:EnvironmentFile|ExecStopPost|PermissionsStartOnly|KillMode|OOMPolicy|TimeoutStopSec|WorkingDirectory|DynamicUser|StateDirectory|User|Slice|Memory(?:Max|High|Low|SwapMax)|CPU(?:Quota|Weight)|TasksMax|RuntimeMaxSec|Restart\w*|(?:Private|Protect|Restrict|ReadOnly|ReadWrite|Limit)\w+|NoNewPrivileges|CapabilityBoundingSet|AmbientCapabilities|LockPersonality|RemoveIPC|SyslogIdentifier|Type)$/;

/**
 * systemctl, systemd-run and journalctl of systemd 252, with services that run as processes of this
 * account. What the spawner does by sh, rm, cat and grep is done for real. It is strict: a command
 * that it does not have is an error.
 */
export class FakeSystemd {
  readonly runner: StubRunner;
  /** By their names. */
  readonly units = new Map<string, FakeUnit>();
  /** How systemctl is away. */
  outage: 'refused' | 'hung' | undefined;
  release = 252;
  /** Of every unit. */
  controlGroup = '';
  readonly #home: string;
  #journal = '';

  /** @param home the home directory of every account */
  constructor(home: string) {
    this.#home = home;
    this.runner = new StubRunner((argv, options) => this.#answer(argv, options));
  }

  /** Kills a service behind everybody's back. */
  async kill(name: string): Promise<void> {
    const unit = this.units.get(name);
    signal(unit, 'SIGKILL');
    await unit?.ended;
  }

  /** Starts a service that no spawner has started. */
  startOther(name: string, description: string, { isPermanent = false } = {}): void {
    this.#start({ name, description, isPermanent }, new Map(), ['sleep', '600'], {});
  }

  async close(): Promise<void> {
    for (const name of this.units.keys()) await this.kill(name);
  }

  async #answer(argv: readonly string[], options: RunOptions): Promise<StubAnswer | undefined> {
    const [program = '', ...args] = argv;
    const own = args.filter((arg) => arg !== '--user');
    switch (basename(program)) {
      case 'getent':
        return args[1] === 'nobody-here'
          ? fails('', 2)
          : `${args[1]}:x:1001:1001::${this.#home}:/bin/bash\n`;
      case 'sh':
      case 'rm':
      case 'cat':
      case 'grep':
        return real(program, args, options);
      case 'journalctl':
        return args.includes('--sync') ? '' : this.#entries(args);
      case 'systemd-run':
        return this.#run(own);
      case 'systemctl':
        if (this.outage === 'refused' && own[0] !== '--version')
          return fails('Failed to connect to bus: Connection refused');
        if (this.outage === 'hung') {
          await sleep(options.timeout ?? 60_000);
          return { timedOut: true };
        }
        return this.#systemctl(own);
      default:
        return undefined;
    }
  }

  /** The last lines of the journal, the newest first, as JSON. */
  #entries(args: readonly string[]): string {
    const [lines] = args.flatMap((arg) => /^--lines=(\d+)$/.exec(arg)?.[1] ?? []);
    if (!args.includes('--reverse') || !args.includes('--output=json')) {
      throw new Error(`FakeSystemd has no journalctl ${args.join(' ')}.`);
    }
    const texts = this.#journal.split('\n').slice(0, -1).reverse().slice(0, Number(lines));
    return texts.map((MESSAGE) => `${JSON.stringify({ MESSAGE })}\n`).join('');
  }

  async #systemctl([verb = '', ...args]: readonly string[]): Promise<StubAnswer> {
    const name = args.at(-1) ?? '';
    const unit = this.units.get(name);
    switch (verb) {
      case '--version':
        return `systemd ${this.release} (${this.release}.1)\n+PAM\n`;
      case 'list-units': {
        const pattern = new RegExp(`^${name.replace(/[.\\]/g, '\\$&').replace('*', '.*')}$`);
        return [...this.units.values()]
          .filter((one) => pattern.test(one.name))
          .map((one) => `${one.name} loaded ${one.state} running ${one.description}\n`)
          .join('');
      }
      case 'show':
        return [
          `LoadState=${unit ? 'loaded' : 'not-found'}`,
          `ActiveState=${unit?.state ?? 'inactive'}`,
          `Description=${unit?.description ?? name}`,
          `ControlGroup=${unit ? this.controlGroup : ''}`,
          `Transient=${unit?.isPermanent === false ? 'yes' : 'no'}\n`,
        ].join('\n');
      case 'stop':
        if (unit === undefined) return fails(`Failed to stop ${name}: Unit ${name} not loaded.`, 5);
        signal(unit, 'SIGTERM');
        await Promise.race([unit.ended, sleep(2000).then(() => signal(unit, 'SIGKILL'))]);
        await unit.ended;
        this.units.delete(name);
        return '';
      case 'kill':
        signal(unit, 'SIGKILL');
        return '';
      case 'reset-failed':
        return unit === undefined ? fails(`Unit ${name} not loaded.`) : '';
      case 'set-property':
        return args.includes('Wrong=1') ? fails('Unknown assignment: Wrong=1') : '';
      default:
        throw new Error(`FakeSystemd has no systemctl ${verb}.`);
    }
  }

  #run(args: readonly string[]): StubAnswer {
    const end = args.indexOf('--');
    const option = (name: string) =>
      args
        .slice(0, end)
        .flatMap((arg) => (arg.startsWith(`--${name}=`) ? [arg.slice(name.length + 3)] : []));
    const [unit = ''] = option('unit');
    const name = unit.includes('.') ? unit : `${unit}.service`;
    // A socket that nothing connects to.
    if (option('socket-property').length > 0) return '';
    const [description = ''] = option('description');
    if (this.units.has(name)) {
      return fails(
        `Failed to start transient service unit: Unit ${name} was already loaded or has a fragment file.`,
      );
    }
    const values = new Map<string, string[]>();
    for (const assignment of option('property')) {
      const [key = '', ...value] = assignment.split('=');
      if (!properties.test(key)) return fails(`Unknown assignment: ${assignment}`);
      values.set(key, [...(values.get(key) ?? []), value.join('=')]);
    }
    const directory = values.get('WorkingDirectory')?.at(-1) ?? '/';
    if (!directory.startsWith('/var/lib/') && !existsSync(directory)) {
      this.#journal = `${name}: Changing to the requested working directory failed: No such file or directory\n${name}: Failed at step CHDIR spawning /bin/sh: No such file or directory\n`;
      return fails(`Job for ${name} failed.\nSee "journalctl -xeu ${name}" for details.`);
    }
    const [file = ''] = values.get('EnvironmentFile') ?? [];
    const [, encoded = ''] =
      /^HUBSPAWNER_ENVIRONMENT='([^']*)'\n$/.exec(readFileSync(file, 'utf8')) ?? [];
    const argv = args.slice(end + 1);
    this.#journal = '';
    const unitFacts = { name, description, isPermanent: false };
    this.#start(unitFacts, values, argv, { HUBSPAWNER_ENVIRONMENT: encoded });
    return '';
  }

  #start(
    facts: Pick<FakeUnit, 'name' | 'description' | 'isPermanent'>,
    values: ReadonlyMap<string, readonly string[]>,
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
  ): void {
    const { name } = facts;
    const unit: FakeUnit = { ...facts, properties: values, argv, state: 'active' };
    const [program = '', ...args] = argv;
    const child = spawn(program, args, {
      cwd: '/',
      detached: true,
      env: { PATH: '/usr/bin:/bin', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#journal += chunk.toString();
      });
    }
    unit.process = child;
    unit.ended = new Promise((resolve) => {
      child.once('close', (code, by) => {
        signal(unit, 'SIGKILL');
        this.#keepEnd(unit, code, by);
        if (this.units.get(name) === unit) this.units.delete(name);
        resolve();
      });
    });
    this.units.set(name, unit);
  }

  /** Runs what the unit has for its end, as PID 1 does. */
  #keepEnd({ properties: values }: FakeUnit, code: number | null, by: string | null): void {
    const [program, ...args] = values.get('ExecStopPost')?.[0]?.split(' ') ?? [];
    if (program === undefined) return;
    const result =
      code === 0 || by === 'SIGTERM' ? 'success' : by === null ? 'exit-code' : 'signal';
    spawnSync(program, args, {
      env: {
        PATH: '/usr/bin:/bin',
        SERVICE_RESULT: result,
        EXIT_CODE: by === null ? 'exited' : 'killed',
        EXIT_STATUS: by === null ? String(code) : by.replace('SIG', ''),
      },
    });
  }
}

function signal(unit: FakeUnit | undefined, name: NodeJS.Signals): void {
  const pid = unit?.process?.pid;
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // It has ended.
  }
}

function real(program: string, args: readonly string[], { input = '' }: RunOptions): StubAnswer {
  const { status, stdout, stderr } = spawnSync(program, args, {
    input,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin' },
  });
  return { exitCode: status, stdout, stderr };
}
