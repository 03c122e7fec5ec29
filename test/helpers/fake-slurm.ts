import { basename } from 'node:path';
import type { CommandResult, RunOptions } from '../../lib/runners/runner.ts';
import { sleep } from '../../lib/sleep.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';
import { Exit, read } from './slurm/options.ts';
import type { Site } from './slurm/programs.ts';
import { programs } from './slurm/programs.ts';
import { host, Slurmctld } from './slurm/slurmctld.ts';

/** What a test wants of its Slurm. */
export interface FakeSlurmOptions {
  /** The home directory of every account, as getent says it. */
  readonly home: string;
  /**
   * Whether jobs run on this machine. Otherwise they are rows of a table that only the test and the
   * commands move, and there are neither processes nor timers. Default: true.
   */
  readonly run?: boolean;
  /** The first is the one that commands without `--clusters` talk to. Default: one cluster. */
  readonly clusters?: readonly string[];
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

/** How slurmctld is away: its port is closed, or it does not answer. */
type Outage = 'dead' | 'hung';

/**
 * The command-line tools of Slurm 22.05, with a slurmctld behind them that runs jobs as this account
 * on this machine, whose name as an execution host is 127.0.0.1. `jobs` and the methods of
 * `Slurmctld` are for tests to see and to move what a real cluster would.
 *
 * It is strict: an option or a format that it does not have is an error.
 */
export class FakeSlurm extends Slurmctld implements Site {
  /** Where the commands are given: sbatch, squeue, scancel, sacct, scontrol, getent and tail. */
  readonly runner: StubRunner;
  readonly slurmctld = this;
  readonly home: string;
  readonly clusters: readonly string[];
  accounting: Site['accounting'] = 'on';
  readonly #closing = new AbortController();
  readonly #failures: FakeFailure[] = [];
  #outage: Outage | undefined;
  /** What a hung slurmctld does when it wakes. */
  #delayed: (() => void)[] = [];

  constructor({ home, run = true, clusters = ['cluster1'] }: FakeSlurmOptions) {
    super(run);
    this.home = home;
    this.clusters = clusters;
    this.runner = new StubRunner((argv, options) => this.#answer(argv, options));
  }

  /** The next command of a program fails. */
  fail(failure: FakeFailure): void {
    this.#failures.push(failure);
  }

  /**
   * No command reaches slurmctld. Where it is hung, what sbatch and scancel asked for happens at
   * `up()`, although they have reported a failure. Accounting answers all the while.
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
    const program = programs[name];
    if (program === undefined) return undefined;
    const happens = () => attempt(() => program(this, args, options));

    const failure = this.#takeFailure(name);
    if (failure !== undefined) {
      if (failure.effect === 'happens') happens();
      return failure.result === 'hang' ? this.#hang(options) : failure.result;
    }
    const outage = this.#outage && outages[name]?.(this.#outage, args);
    if (outage === undefined) return happens();
    if (this.#outage === 'hung' && /^(sbatch|scancel)$/.test(name)) this.#delayed.push(happens);
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

const messages: Readonly<Record<Outage, string>> = {
  dead: 'Unable to contact slurm controller (connect failure)',
  hung: 'Socket timed out on send/recv operation',
};

const ping = `Slurmctld(primary) at ${host} is DOWN
*****************************************
** RESTORE SLURMCTLD DAEMON TO SERVICE **
*****************************************
`;

/** What the clients say while slurmctld is away, as 22.05.8 does. */
const outages: Readonly<
  Record<string, (how: Outage, args: readonly string[]) => Partial<CommandResult>>
> = {
  sbatch: (how) => ({
    exitCode: 1,
    stderr: `sbatch: error: Batch job submission failed: ${messages[how]}\n`,
  }),
  squeue: (how) => ({ exitCode: 1, stderr: `slurm_load_jobs error: ${messages[how]}\n` }),
  scontrol: (how, args) =>
    args.includes('ping')
      ? { exitCode: 1, stdout: ping }
      : { exitCode: 1, stderr: `slurm_load_jobs error: ${messages[how]}\n` },
  scancel: (how, args) => ({
    exitCode: how === 'dead' ? 8 : 140,
    stderr: read('scancel', args)
      .positionals.map((id) => `scancel: error: Kill job error on job id ${id}: ${messages[how]}\n`)
      .join(''),
  }),
};
