import { basename } from 'node:path/posix';
import { AbortError, CommandError } from '../errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';

/**
 * What a command is to give: a text is standard output; fields that are missing are those of a
 * command that succeeds without output; an error is what `run()` rejects with. Where `signal` or
 * `timedOut` is given, `exitCode` is null unless it is given too.
 */
export type StubAnswer = string | Partial<CommandResult> | Error;

/** Answers a command; undefined says that there is no such program. */
export type StubFunction = (
  argv: readonly string[],
  options: RunOptions,
) => StubAnswer | undefined | Promise<StubAnswer | undefined>;

/**
 * Answers by the name of the program, without its directory. A list is used one after the other,
 * and its last answer for ever.
 */
export type StubTable = Readonly<
  Record<string, StubAnswer | StubFunction | readonly (StubAnswer | StubFunction)[]>
>;

/** A command that a stub was given. */
export interface StubCall {
  /** Program and arguments. */
  readonly argv: readonly string[];
  /** As they were given. */
  readonly options: RunOptions;
}

/**
 * A runner that runs nothing: it answers from a function or a table, and keeps what it was asked. A
 * command that nothing answers rejects as one whose program does not exist.
 *
 * @example
 * const runner = new StubRunner({
 *   sbatch: '1012\n',
 *   squeue: [{ exitCode: 1, stderr: 'slurm_load_jobs error: …' }, listing('PENDING'), listing('RUNNING')],
 *   scancel: (argv) => (argv.includes('1012') ? '' : { exitCode: 1 }),
 * });
 */
export class StubRunner implements CommandRunner {
  readonly #answer: StubFunction;
  readonly #calls: StubCall[] = [];

  constructor(answer: StubFunction | StubTable) {
    this.#answer = typeof answer === 'function' ? answer : fromTable(answer);
  }

  /** All commands so far, the oldest first. */
  get calls(): readonly StubCall[] {
    return this.#calls;
  }

  /** The commands so far of one program, named without its directory. */
  callsOf(program: string): readonly StubCall[] {
    return this.#calls.filter(({ argv }) => programOf(argv) === program);
  }

  /** See `CommandRunner`. As there, nothing is run if the signal is aborted before. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    refuseAborted(argv, options);
    this.#calls.push({ argv: [...argv], options });
    const answer = await this.#answer(argv, options);
    if (answer === undefined) {
      const [command = ''] = argv;
      throw new CommandError(
        `The command '${command}' can't be run: this StubRunner has no answer for it.`,
        { command },
      );
    }
    if (answer instanceof Error) {
      throw answer;
    }
    return completed(answer);
  }
}

/** Throws what a runner throws for a command whose signal is aborted before. */
export function refuseAborted([command = '']: readonly string[], { signal }: RunOptions): void {
  if (signal?.aborted) {
    throw new AbortError(`The command '${command}' was not run, because it was aborted before.`, {
      cause: signal.reason,
    });
  }
}

function programOf([command = '']: readonly string[]): string {
  return basename(command);
}

function fromTable(table: StubTable): StubFunction {
  const used = new Map<string, number>();
  return (argv, options) => {
    const program = programOf(argv);
    const entry = Object.hasOwn(table, program) ? table[program] : undefined;
    const answers = isList(entry) ? entry : [entry];
    const turn = used.get(program) ?? 0;
    used.set(program, turn + 1);
    const answer = answers[turn] ?? answers.at(-1);
    return typeof answer === 'function' ? answer(argv, options) : answer;
  };
}

/** `Array.isArray` does not tell lists that are read-only from the rest. */
function isList(
  entry: StubTable[string] | undefined,
): entry is readonly (StubAnswer | StubFunction)[] {
  return Array.isArray(entry);
}

function completed(answer: string | Partial<CommandResult>): CommandResult {
  const given = typeof answer === 'string' ? { stdout: answer } : answer;
  const ended = given.timedOut === true || (given.signal ?? null) !== null;
  return {
    stdout: '',
    stderr: '',
    exitCode: ended ? null : 0,
    signal: null,
    timedOut: false,
    ...given,
  };
}
