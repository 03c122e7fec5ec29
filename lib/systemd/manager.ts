import { constants } from 'node:os';
import { CommandError, ParseError, StartError } from '../errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';
import { sleep } from '../sleep.ts';
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
  /** Whether it comes from a file of this machine, and not from a hub or somebody's systemd-run. */
  readonly isPermanent: boolean;
}

/** Properties of a unit by which a start and a poll go. */
const asked = ['ActiveState', 'ControlGroup', 'Description', 'LoadState', 'Transient'] as const;

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
    const argv = [...this.command('systemctl'), 'show', `--property=${asked.join()}`, '--', unit];
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
    const [activeState, controlGroup, description, loadState, transient] = asked.map((name) =>
      values.get(name),
    );
    if (
      !activeState ||
      controlGroup === undefined ||
      description === undefined ||
      !loadState ||
      !transient ||
      !result.stdout.endsWith('\n')
    ) {
      throw new ParseError('This is not what systemctl show prints.', result.stdout);
    }
    const isPermanent = loadState !== 'not-found' && transient === 'no';
    return { activeState, controlGroup, description, isPermanent };
  }

  /**
   * Whether the systemd of an account has ended, and with it all of its units: after a logout
   * without lingering. That of the machine is asked, which answers everybody.
   */
  async isGone(uid: number): Promise<boolean> {
    const unit = `user@${uid}.service`;
    const argv = ['systemctl', 'show', '--property=ActiveState', '--', unit];
    const { stdout, exitCode, timedOut } = await this.run(argv);
    return exitCode === 0 && !timedOut && /^ActiveState=(?:inactive|failed)\n$/.test(stdout);
  }

  /**
   * What PID 1 has written of the end of a unit that was started with that description; undefined
   * where it has not. An end by exit code 0 and one by a signal that asks for it have the same message.
   */
  async endInJournal(
    unit: string,
    description: string,
    since: Date,
  ): Promise<ServiceEnd | undefined> {
    // Anybody may write a field UNIT; `_PID` is journald's own word.
    const which =
      this.#options.scope === 'user' ? [`USER_UNIT=${unit}`] : ['_PID=1', `UNIT=${unit}`];
    const entries = await this.#read({ lines: 20, since }, which);
    return entries && endIn(entries, description);
  }

  /** The end of a unit's journal; undefined where it can't be read. */
  async journal(unit: string, options: JournalOptions): Promise<string | undefined> {
    return this.#messages(options, this.#byUnit(unit) ?? [`--unit=${unit}`]);
  }

  /**
   * The same for a unit that did not start, with what its process said before it was to become the
   * server. That process ends at once: a journal that is late can't see any more which unit it was of.
   *
   * @param uid of the server's account, where it is known
   */
  async journalOfFailure(
    unit: string,
    options: JournalOptions,
    uid: number | undefined,
  ): Promise<string | undefined> {
    // Anybody may write a field UNIT; `_UID` is journald's own word. Two of a field are alternatives.
    const uids = [0, uid].flatMap((one) => (one === undefined ? [] : [`_UID=${one}`]));
    return this.#messages(
      options,
      this.#byUnit(unit) ?? [`_SYSTEMD_UNIT=${unit}`, '+', `UNIT=${unit}`, ...uids],
    );
  }

  /**
   * What is about a unit of the systemd of an account, also where the journal was too late to see
   * which unit a process was of. `--user` gives what that account has written, and nobody else.
   */
  #byUnit(unit: string): readonly string[] | undefined {
    return this.#options.scope === 'user'
      ? [`_SYSTEMD_USER_UNIT=${unit}`, '+', `USER_UNIT=${unit}`, '+', `SYSLOG_IDENTIFIER=${unit}`]
      : undefined;
  }

  async #messages(options: JournalOptions, which: readonly string[]): Promise<string | undefined> {
    const fields = ['--all', '--output-fields=MESSAGE,MESSAGE_ID'];
    const entries = await this.#read(options, [...fields, ...which]);
    return entries?.map(({ MESSAGE }) => (MESSAGE === undefined ? '' : `${MESSAGE}\n`)).join('');
  }

  /** Entries of the journal, the oldest first. */
  async #read(
    { lines, since, hasEnded = false }: JournalOptions,
    which: readonly string[],
  ): Promise<readonly Fields[] | undefined> {
    const argv = [
      ...this.command('journalctl'),
      ...['--no-pager', '--quiet', '--output=json'],
      // In the other direction systemd 252 gives the first lines since a time, and not the last ones.
      ...['--reverse', `--lines=${lines}`, `--since=@${since.getTime() / 1000}`],
      ...which,
    ];
    try {
      // Else what was written a moment ago may not be there yet. Root alone may ask for it.
      const sync = await this.run(['journalctl', '--sync'], { timeout: syncTimeout });
      const isSynced = sync.exitCode === 0 && !sync.timedOut;
      for (const end = performance.now() + syncTimeout; ; await sleep(syncInterval)) {
        const { stdout, exitCode } = await this.run(argv);
        if (exitCode !== 0) {
          return undefined;
        }
        const entries = stdout.split('\n').map(fieldsIn).reverse();
        if (isSynced || !hasEnded || entries.some(isEnd) || performance.now() >= end) {
          return entries;
        }
      }
    } catch {
      return undefined;
    }
  }
}

/** In ms: how long the journal may take to write down what it has got. */
const syncTimeout = 5000;
/** In ms: how often it is looked at, where it does not say so. */
const syncInterval = 200;

/** Messages by their ids: systemd.journal-fields(7), and the catalog of systemd. */
const unitStarting = '7d4958e842da4a758f6c1cdc7b36dcc5';
const unitStopping = 'de5b426a63be47a7b6ac3eaac82e2f6f';
const processExited = '98e322203f7a4ed290d09fe03c09fe15';
const unitFailed = 'd9b373ed55a64feb8242e02dbe79a49c';
const unitSucceeded = '7ad2d189f7e94e70a38c781354912448';

/** What the processes of a unit have said stands before it. */
function isEnd({ MESSAGE_ID }: Fields): boolean {
  return MESSAGE_ID === unitFailed || MESSAGE_ID === unitSucceeded;
}

function endIn(entries: readonly Fields[], description: string): ServiceEnd | undefined {
  let exit = { code: '', status: '' };
  let result: string | undefined;
  let isStopped = false;
  for (const fields of runOf(entries, description)) {
    const message = fields['MESSAGE'] ?? '';
    // What is run after the server has messages of the same kind.
    if (fields['MESSAGE_ID'] === processExited && !message.includes('Control process')) {
      exit = { code: fields['EXIT_CODE'] ?? '', status: fields['EXIT_STATUS'] ?? '' };
    } else if (fields['MESSAGE_ID'] === unitStopping) {
      isStopped = true;
    } else if (fields['MESSAGE_ID'] === unitFailed) {
      result = fields['UNIT_RESULT'];
    } else if (fields['MESSAGE_ID'] === unitSucceeded) {
      result = 'success';
      exit = isStopped ? { code: '', status: '' } : { code: 'exited', status: '0' };
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

/**
 * What is about the last start with that description: others of the same unit may stand before and
 * after it. Where the machine does not write descriptions down, it is the last start of all.
 */
function runOf(entries: readonly Fields[], description: string): readonly Fields[] {
  const starts = (fields: Fields) => fields['MESSAGE_ID'] === unitStarting;
  const begin = entries.findLastIndex((fields) => {
    const message = fields['MESSAGE'] ?? '';
    return starts(fields) && (message.includes(description) || !message.includes(' hubspawner:'));
  });
  const rest = entries.slice(begin + 1);
  const next = rest.findIndex(starts);
  return next === -1 ? rest : rest.slice(0, next);
}

type Fields = Readonly<Record<string, string | undefined>>;

/** A line of `journalctl -o json`; without fields where it is none. */
function fieldsIn(line: string): Fields {
  try {
    const fields: unknown = JSON.parse(line);
    return Object.fromEntries(
      Object.entries(Object(fields)).map(([name, value]) => [name, fieldText(value)]),
    );
  } catch {
    return {};
  }
}

/** What is not plain text is there as its bytes. */
function fieldText(value: unknown): string | undefined {
  return typeof value === 'string'
    ? value
    : Array.isArray(value)
      ? Buffer.from(value).toString()
      : undefined;
}

/** Which lines of a journal are wanted. */
export interface JournalOptions {
  /** The most. */
  readonly lines: number;
  readonly since: Date;
  /**
   * Whether the unit has ended: where the journal can't be told to write down what it has got, that
   * end is waited for. Default: false
   */
  readonly hasEnded?: boolean;
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
