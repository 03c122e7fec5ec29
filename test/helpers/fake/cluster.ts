import { basename } from 'node:path';
import type { CommandResult, RunOptions } from '../../../lib/runners/runner.ts';
import { sleep } from '../../../lib/sleep.ts';
import type { StubAnswer } from '../../../lib/testing/index.ts';
import { StubRunner } from '../../../lib/testing/index.ts';
import type { JobTableOptions } from './jobs.ts';
import { JobTable } from './jobs.ts';
import type { Program } from './programs.ts';
import { commonPrograms, Exit } from './programs.ts';

/** How a server is away: its port is closed, or it does not answer. */
export type Outage = 'dead' | 'hung';

/** What tells one batch system from others. */
export interface Dialect {
  /** Its command-line tools, by their names. */
  readonly programs: Readonly<Record<string, Program>>;
  /** What a program says during an outage; undefined where it works all the same. */
  outage(program: string, how: Outage, args: readonly string[]): Partial<CommandResult> | undefined;
  /** Programs whose effect happens at `up()`, although they reported a failure to a hung server. */
  readonly delayed: readonly string[];
  /** See `JobTableOptions`. */
  readonly idOf?: (seq: number) => string;
}

/** What a test wants of its cluster. */
export interface FakeClusterOptions extends Omit<JobTableOptions, 'idOf'> {
  readonly dialect: Dialect;
}

/** Something that goes wrong with the next command of a program. */
export interface FakeFailure {
  readonly program: string;
  /** What comes of it; `hang` until its time-out or its signal. */
  readonly result: Partial<CommandResult> | Error | 'hang';
  /** Whether it does all the same what it was to do. Default: none. */
  readonly effect?: 'none' | 'happens';
  /** How often. Default: 1. */
  readonly times?: number;
}

/** The execution host of every job: this machine. */
export const host = '127.0.0.1';

/**
 * The command-line tools of a batch system, with a server behind them that runs jobs as this
 * account on this machine. Methods and fields beside `runner` are for tests, to see and to move
 * what a real cluster would.
 *
 * A dialect is to be strict: an option or a format that it does not have is an error.
 */
export class FakeCluster extends JobTable {
  /** Where the commands are given: those of the dialect, and getent, tail, sh and rm. */
  readonly runner: StubRunner;
  readonly #dialect: Dialect;
  readonly #programs: Readonly<Record<string, Program>>;
  readonly #closing = new AbortController();
  readonly #failures: FakeFailure[] = [];
  #outage: Outage | undefined;
  /** What a hung server does when it wakes. */
  #delayed: (() => void)[] = [];

  constructor({ dialect, ...options }: FakeClusterOptions) {
    super({ ...options, ...(dialect.idOf && { idOf: dialect.idOf }) });
    this.#dialect = dialect;
    this.#programs = { ...commonPrograms, ...dialect.programs };
    this.runner = new StubRunner((argv, options) => this.#answer(argv, options));
  }

  /** The next command of a program fails. */
  fail(failure: FakeFailure): void {
    this.#failures.push(failure);
  }

  /**
   * No command reaches the server. Where it is hung, what submissions and cancellations asked for
   * happens at `up()`, although they have reported a failure.
   */
  down(how: Outage = 'dead'): void {
    this.#outage = how;
  }

  up(): void {
    this.#outage = undefined;
    for (const happens of this.#delayed.splice(0)) happens();
  }

  /** Kills what still runs, and ends commands that hang. */
  override close(): Promise<void> {
    this.#closing.abort();
    return super.close();
  }

  #answer(
    argv: readonly string[],
    options: RunOptions,
  ): StubAnswer | undefined | Promise<StubAnswer> {
    const [command = '', ...args] = argv;
    const name = basename(command);
    const program = this.#programs[name];
    if (program === undefined) return undefined;
    const happens = () => attempt(() => program(this, args, options));

    const failure = this.#takeFailure(name);
    if (failure !== undefined) {
      if (failure.effect === 'happens') happens();
      return failure.result === 'hang' ? this.#hang(options) : failure.result;
    }
    const outage = this.#outage && this.#dialect.outage(name, this.#outage, args);
    if (outage === undefined) return happens();
    if (this.#outage === 'hung' && this.#dialect.delayed.includes(name)) {
      this.#delayed.push(happens);
    }
    return outage;
  }

  #takeFailure(name: string): FakeFailure | undefined {
    const index = this.#failures.findIndex(({ program }) => program === name);
    const failure = this.#failures[index];
    if (failure !== undefined) {
      const { times = 1 } = failure;
      this.#failures.splice(index, 1, ...(times > 1 ? [{ ...failure, times: times - 1 }] : []));
    }
    return failure;
  }

  async #hang({ timeout = 60_000, signal }: RunOptions): Promise<StubAnswer> {
    const ended = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    await sleep(timeout, ended);
    return { signal: 'SIGTERM', timedOut: !ended.aborted };
  }
}

function attempt(run: () => string): StubAnswer {
  try {
    return run();
  } catch (error) {
    if (error instanceof Exit) return error.result;
    throw error;
  }
}
