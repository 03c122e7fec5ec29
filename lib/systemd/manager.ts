import { constants } from 'node:os';
import { CommandError, ParseError, StartError } from '../errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';
import type { ServiceEnd } from './exit.ts';

/** How the commands of systemd are run. */
export interface ManagerOptions {
  readonly scope: 'system' | 'user';
  readonly run: RunOptions;
}

/** What systemd says of a unit. */
export interface UnitStatus {
  /** `active`, `inactive`, `failed` … */
  readonly activeState: string;
  /** Below /sys/fs/cgroup. */
  readonly controlGroup: string;
  readonly description: string;
}

/** Properties of a unit by which a start and a poll go. */
const asked = 'ActiveState,ControlGroup,Description';

/** Releases by their runners: a machine has one. */
const releases = new WeakMap<CommandRunner, Promise<number>>();

/** Runs systemctl, systemd-run and journalctl of one machine. */
export class Manager {
  readonly #runner: CommandRunner;
  readonly #options: ManagerOptions;

  constructor(runner: CommandRunner, options: ManagerOptions) {
    this.#runner = runner;
    this.#options = options;
  }

  /** The words before the arguments of a command. */
  command(program: 'systemctl' | 'systemd-run' | 'journalctl'): readonly string[] {
    return this.#options.scope === 'user' ? [program, '--user'] : [program];
  }

  get runOptions(): RunOptions {
    return this.#options.run;
  }

  /** @throws CommandError where it could not be run at all */
  run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    return this.#runner.run(argv, { ...this.#options.run, ...options });
  }

  /**
   * The release of systemd, as in 252.
   *
   * @throws StartError where there is none
   */
  release(): Promise<number> {
    let release = releases.get(this.#runner);
    if (release === undefined) {
      release = this.#askRelease();
      releases.set(this.#runner, release);
      release.catch(() => releases.delete(this.#runner));
    }
    return release;
  }

  async #askRelease(): Promise<number> {
    const { stdout } = await this.run(['systemctl', '--version']);
    const [, release] = /^systemd (\d+)/.exec(stdout) ?? [];
    if (release === undefined) {
      throw new StartError('systemctl does not say which release of systemd there is.', {
        retryable: true,
      });
    }
    return Number(release);
  }

  /**
   * Asks about one unit. One that is not loaded is `inactive`.
   *
   * @throws CommandError, ParseError where there is no usable answer
   */
  async show(unit: string): Promise<UnitStatus> {
    const argv = [...this.command('systemctl'), 'show', `--property=${asked}`, '--', unit];
    const result = await this.run(argv);
    if (result.exitCode !== 0 || result.timedOut) {
      throw failed('systemctl', result, `systemctl does not answer about ${unit}`);
    }
    const values = new Map(
      result.stdout.split('\n').map((line): [string, string] => {
        const [name = '', ...value] = line.split('=');
        return [name, value.join('=')];
      }),
    );
    const activeState = values.get('ActiveState');
    if (activeState === undefined || activeState === '') {
      throw new ParseError('This is not what systemctl show prints.', result.stdout);
    }
    return {
      activeState,
      controlGroup: values.get('ControlGroup') ?? '',
      description: values.get('Description') ?? '',
    };
  }

  /**
   * What PID 1 has written of the end of a unit; undefined where it has not. Ends by exit code 0 or
   * by a stop have but one message.
   */
  async endInJournal(unit: string, since: Date): Promise<ServiceEnd | undefined> {
    const field = this.#options.scope === 'user' ? 'USER_UNIT' : 'UNIT';
    const argv = [
      ...this.command('journalctl'),
      ...['--no-pager', '--quiet', '--output=json', '--lines=20'],
      ...[`--since=@${Math.floor(since.getTime() / 1000)}`, `${field}=${unit}`],
    ];
    try {
      const { stdout, exitCode } = await this.run(argv);
      return exitCode === 0 ? endIn(stdout) : undefined;
    } catch {
      return undefined;
    }
  }

  /** The end of a unit's journal; undefined where it can't be read. */
  async journal(unit: string, { lines, since }: JournalOptions): Promise<string | undefined> {
    const argv = [
      ...this.command('journalctl'),
      ...['--no-pager', '--quiet', '--output=cat', `--lines=${lines}`],
      `--since=@${Math.floor(since.getTime() / 1000)}`,
      `--unit=${unit}`,
    ];
    try {
      const { stdout, exitCode } = await this.run(argv);
      return exitCode === 0 ? stdout : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Messages by their ids: systemd.journal-fields(7), and the catalog of systemd. */
const processExited = '98e322203f7a4ed290d09fe03c09fe15';
const unitFailed = 'd9b373ed55a64feb8242e02dbe79a49c';
const unitSucceeded = '7ad2d189f7e94e70a38c781354912448';

function endIn(journal: string): ServiceEnd | undefined {
  let exit = { code: '', status: '' };
  let result: string | undefined;
  for (const line of journal.split('\n')) {
    const fields = fieldsIn(line);
    if (fields['MESSAGE_ID'] === processExited) {
      exit = { code: fields['EXIT_CODE'] ?? '', status: fields['EXIT_STATUS'] ?? '' };
    } else if (fields['MESSAGE_ID'] === unitFailed) {
      result = fields['UNIT_RESULT'];
    } else if (fields['MESSAGE_ID'] === unitSucceeded) {
      result = 'success';
      exit = { code: 'exited', status: '0' };
    }
  }
  if (result === undefined) {
    return undefined;
  }
  // Signals are numbers here.
  const signal = Object.entries(constants.signals).find(
    ([, number]) => String(number) === exit.status,
  );
  const status = exit.code === 'exited' ? exit.status : (signal?.[0] ?? exit.status);
  return { result, code: exit.code, status: status.replace(/^SIG/, ''), oomKills: 0 };
}

/** A line of `journalctl -o json`; without fields where it is none. */
function fieldsIn(line: string): Readonly<Record<string, string | undefined>> {
  try {
    const fields: unknown = JSON.parse(line);
    return Object.fromEntries(
      Object.entries(Object(fields)).filter(([, value]) => typeof value === 'string'),
    ) as Record<string, string>;
  } catch {
    return {};
  }
}

/** Which lines of a journal are wanted. */
export interface JournalOptions {
  /** The most. */
  readonly lines: number;
  readonly since: Date;
}

/** The error for a command that failed. */
export function failed(command: string, result: CommandResult, message: string): CommandError {
  const { exitCode, signal, timedOut } = result;
  const stderr = result.stderr.trim().slice(-1000);
  const how = timedOut
    ? 'it did not end in time'
    : signal !== null
      ? `it was ended by ${signal}`
      : `exit code ${exitCode}`;
  const said = stderr === '' ? '' : `: ${stderr}`;
  return new CommandError(`${message} (${how})${said}`, {
    command,
    exitCode,
    signal,
    stderr,
    timedOut,
    retryable: timedOut,
  });
}
