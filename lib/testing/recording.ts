import { CommandError, OptionsError } from '../errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';

/** A command of a recorded session. */
export interface RecordedCommand {
  /** Program and arguments. */
  readonly argv: readonly string[];
  /** The account that it ran as; left out for the runner's own. */
  readonly user?: string;
  /** In ms, for whoever reads the recording: a replay does not wait. */
  readonly duration: number;
  /** What came of it: a result, or why it could not be run. */
  readonly outcome:
    | CommandResult
    | {
        /** The message of the error. */
        readonly error: string;
        /** Whether the same call may succeed later. */
        readonly retryable: boolean;
      };
}

/** A session of commands, in the order in which they were begun. JSON. */
export interface Recording {
  /** Of the format. */
  readonly version: 1;
  /** The oldest first. */
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
  readonly #secrets: RegExp | undefined;
  readonly #commands: { done?: RecordedCommand }[] = [];

  /**
   * @throws OptionsError if a text in `redact` is empty
   */
  constructor(runner: CommandRunner, { redact = [] }: RecordingRunnerOptions = {}) {
    if (redact.includes('')) {
      throw new OptionsError('redact', 'a list of texts that are not empty');
    }
    this.#runner = runner;
    // Of two that begin at the same place, the longer one has to be found.
    const longestFirst = [...redact].sort((a, b) => b.length - a.length);
    const literal = longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
    this.#secrets = literal.length === 0 ? undefined : new RegExp(literal.join('|'), 'g');
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
    return this.#secrets === undefined ? text : text.replace(this.#secrets, '[redacted]');
  }
}
