import { CommandError, OptionsError } from '../errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';
import { refuseAborted } from './stub.ts';

/** A command of a recorded session. */
export interface RecordedCommand {
  readonly argv: readonly string[];
  /** The account that it ran as; left out for the runner's own. */
  readonly user?: string;
  /** In ms, for whoever reads the recording: a replay does not wait. */
  readonly duration: number;
  /** What came of it: a result, or why it could not be run. */
  readonly outcome: CommandResult | { readonly error: string; readonly retryable: boolean };
}

/** A session of commands, in the order in which they were begun. JSON. */
export interface Recording {
  /** Of the format. */
  readonly version: 1;
  readonly commands: readonly RecordedCommand[];
}

/** The options of `RecordingRunner`. */
export interface RecordingRunnerOptions {
  /**
   * Texts that the recording must not have, such as tokens and names of people and hosts: each is
   * replaced by `[redacted]` wherever it stands. Default: none.
   */
  readonly redact?: readonly string[];
}

/**
 * Runs commands by another runner and records them, so that a session on a real cluster can be
 * replayed in a unit test by `ReplayRunner`.
 *
 * Environments and standard inputs are left out: they hold secrets and job scripts, in which this
 * class could not tell what has to be hidden. What a command prints is recorded as it is, `redact`
 * aside: read a recording before you publish it.
 *
 * @example
 * const runner = new RecordingRunner(new LocalRunner(), { redact: ['alice', 'node07'] });
 * // … use a spawner with this runner …
 * await writeFile('session.json', JSON.stringify(runner.recording, null, 2));
 */
export class RecordingRunner implements CommandRunner {
  readonly #runner: CommandRunner;
  readonly #secrets: readonly string[];
  readonly #commands: { done?: RecordedCommand }[] = [];

  /**
   * @throws OptionsError if a text in `redact` is empty
   */
  constructor(runner: CommandRunner, { redact = [] }: RecordingRunnerOptions = {}) {
    if (redact.includes('')) {
      throw new OptionsError('redact', 'a list of texts that are not empty');
    }
    this.#runner = runner;
    // A text that holds another one goes first, or a part of it would stay.
    this.#secrets = [...redact].sort((a, b) => b.length - a.length);
  }

  /** The commands that have ended so far. */
  get recording(): Recording {
    return { version: 1, commands: this.#commands.flatMap(({ done }) => done ?? []) };
  }

  /** See `CommandRunner`. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const slot: { done?: RecordedCommand } = {};
    this.#commands.push(slot);
    const started = performance.now();
    const record = (outcome: RecordedCommand['outcome']) => {
      slot.done = {
        argv: argv.map((word) => this.#redacted(word)),
        ...(options.user !== undefined && { user: this.#redacted(options.user) }),
        duration: Math.round(performance.now() - started),
        outcome,
      };
    };
    try {
      const result = await this.#runner.run(argv, options);
      record({
        ...result,
        stdout: this.#redacted(result.stdout),
        stderr: this.#redacted(result.stderr),
      });
      return result;
    } catch (error) {
      // Anything else, such as an abort, is no property of the cluster.
      if (error instanceof CommandError) {
        record({ error: this.#redacted(error.message), retryable: error.retryable });
      }
      throw error;
    }
  }

  #redacted(text: string): string {
    return this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text);
  }
}

/**
 * Gives the results of a recorded session again: for each command, which is its arguments and its
 * account, in the order of the recording, and then the last one for ever. A command that was not
 * recorded rejects with a `CommandError` that names it. Nothing is run, and nothing takes time.
 */
export class ReplayRunner implements CommandRunner {
  readonly #commands: readonly RecordedCommand[];
  readonly #used = new Map<string, number>();

  /**
   * @param recording as JSON gives it
   * @throws OptionsError if it is no recording of this version
   */
  constructor(recording: unknown) {
    this.#commands = checkRecording(recording).commands;
  }

  /** See `CommandRunner`. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    refuseAborted(argv, options);
    const { user } = options;
    const key = keyOf({ argv, user });
    const recorded = this.#commands.filter((command) => keyOf(command) === key);
    const turn = this.#used.get(key) ?? 0;
    this.#used.set(key, turn + 1);
    const { outcome } = recorded[turn] ?? recorded.at(-1) ?? {};
    const [command = ''] = argv;
    if (outcome === undefined) {
      const as = user === undefined ? '' : ` as ${user}`;
      throw new CommandError(
        `The recording has no command ${JSON.stringify(argv)}${as}. ${this.#hint(command)}`,
        { command },
      );
    }
    if ('error' in outcome) {
      throw new CommandError(outcome.error, { command, retryable: outcome.retryable });
    }
    return outcome;
  }

  /** What the recording has of the same program. */
  #hint(program: string): string {
    const others = this.#commands.filter(({ argv }) => argv[0] === program).map(keyOf);
    return others.length === 0
      ? `It has none of ${program}.`
      : `Of ${program} it has, with accounts in front: ${[...new Set(others)].join(' ')}`;
  }
}

function keyOf({ argv, user }: { argv: readonly string[]; user?: string | undefined }): string {
  return JSON.stringify([user ?? null, ...argv]);
}

function checkRecording(recording: unknown): Recording {
  const problem = isRecord(recording) ? wrongIn(recording) : 'recording';
  if (problem !== undefined) {
    throw new OptionsError(problem, 'what RecordingRunner.recording gives, in version 1');
  }
  return recording as Recording;
}

/** The path of the first thing that is not as a recording has it. */
function wrongIn({ version, commands }: Readonly<Record<string, unknown>>): string | undefined {
  if (version !== 1) {
    return 'recording.version';
  }
  if (!Array.isArray(commands)) {
    return 'recording.commands';
  }
  const index = commands.findIndex((command) => !isCommand(command));
  return index < 0 ? undefined : `recording.commands[${index}]`;
}

function isCommand(value: unknown): boolean {
  if (!isRecord(value)) {
    return false;
  }
  const { argv, user, outcome } = value;
  return (
    Array.isArray(argv) &&
    argv.every((word) => typeof word === 'string') &&
    (user === undefined || typeof user === 'string') &&
    isRecord(outcome) &&
    (isResult(outcome) || typeof outcome['error'] === 'string')
  );
}

function isResult(outcome: Readonly<Record<string, unknown>>): boolean {
  const { stdout, stderr, exitCode, signal, timedOut } = outcome;
  return (
    typeof stdout === 'string' &&
    typeof stderr === 'string' &&
    (exitCode === null || typeof exitCode === 'number') &&
    (signal === null || typeof signal === 'string') &&
    typeof timedOut === 'boolean'
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
