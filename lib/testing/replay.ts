import { CommandError, OptionsError } from '../errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';
import type { RecordedCommand, Recording } from './recording.ts';
import { refuseAborted } from './stub.ts';

/** The options of `ReplayRunner`. */
export interface ReplayRunnerOptions {
  /**
   * Matches what is another text in the arguments at each run, such as the random part of the names
   * of jobs. Where it matches, arguments are the same whatever the text; from then on the text of
   * the replay stands for the recorded one in all output. Default: nothing differs.
   */
  readonly varying?: RegExp;
}

/**
 * Gives the results of a recorded session again: for each command, which is its arguments and its
 * account, in the order of the recording, and then the last one for ever. A command that was not
 * recorded rejects with a `CommandError` that names it. Nothing is run, and nothing takes time.
 *
 * @example
 * const session: unknown = JSON.parse(await readFile('session.json', 'utf8'));
 * // Batch spawners mark each job with 12 random digits.
 * const runner = new ReplayRunner(session, { varying: /[0-9a-f]{12}/ });
 */
export class ReplayRunner implements CommandRunner {
  readonly #commands: readonly RecordedCommand[];
  readonly #varying: RegExp | undefined;
  readonly #used = new Map<string, number>();
  /** Texts of the recording, and what is said for them in this replay. */
  readonly #said = new Map<string, string>();

  /**
   * @param recording as JSON gives it
   * @throws OptionsError if it is no recording of this version
   */
  constructor(recording: unknown, { varying }: ReplayRunnerOptions = {}) {
    this.#commands = checkRecording(recording).commands;
    this.#varying = varying && new RegExp(varying, `${varying.flags.replace(/[gy]/g, '')}g`);
  }

  /** See `CommandRunner`. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    refuseAborted(argv, options);
    const { user } = options;
    const key = this.#keyOf({ argv, user });
    const same = this.#commands.filter((command) => this.#keyOf(command) === key);
    const turn = this.#used.get(key) ?? 0;
    this.#used.set(key, turn + 1);
    const recorded = same[turn] ?? same.at(-1);
    const [command = ''] = argv;
    if (recorded === undefined) {
      const as = user === undefined ? '' : ` as ${user}`;
      throw new CommandError(
        `The recording has no command ${JSON.stringify(argv)}${as}. ${this.#hint(command)}`,
        { command },
      );
    }
    this.#learn(recorded.argv, argv);
    const { outcome } = recorded;
    if ('error' in outcome) {
      throw new CommandError(outcome.error, { command, retryable: outcome.retryable });
    }
    return { ...outcome, stdout: this.#say(outcome.stdout), stderr: this.#say(outcome.stderr) };
  }

  #keyOf({ argv, user }: { argv: readonly string[]; user?: string | undefined }): string {
    const varying = this.#varying;
    const fixed = varying === undefined ? argv : argv.map((word) => word.replace(varying, '\0'));
    return JSON.stringify([user ?? null, ...fixed]);
  }

  /** Both are the same but for what varies. */
  #learn(recorded: readonly string[], replayed: readonly string[]): void {
    const varying = this.#varying;
    if (varying !== undefined) {
      const found = (argv: readonly string[]) => argv.flatMap((word) => word.match(varying) ?? []);
      const now = found(replayed);
      for (const [index, then] of found(recorded).entries()) {
        this.#said.set(then, now[index] ?? then);
      }
    }
  }

  #say(output: string): string {
    return this.#varying === undefined
      ? output
      : output.replace(this.#varying, (text) => this.#said.get(text) ?? text);
  }

  /** What the recording has of the same program. */
  #hint(program: string): string {
    const others = this.#commands
      .filter(({ argv }) => argv[0] === program)
      .map(({ argv, user }) => `${JSON.stringify(argv)}${user === undefined ? '' : ` as ${user}`}`);
    return others.length === 0
      ? `It has none of ${program}.`
      : `Of ${program} it has ${[...new Set(others)].join(', ')}.`;
  }
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
