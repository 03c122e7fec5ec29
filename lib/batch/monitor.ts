import { SpawnerError } from '../errors.ts';
import { createLog } from '../log.ts';
import type { CommandRunner, RunOptions } from '../runners/runner.ts';
import { failureOf, ifReadable, saysNotFound, saysNothingListed } from './command.ts';
import { limiterOf } from './limiter.ts';
import type { JobStatus, Scheduler } from './scheduler.ts';
import type { SharedAnswer } from './shared-query.ts';
import { identityOf, Shared, SharedQuery } from './shared-query.ts';

/** One query of the job list: what differs between monitors. */
export interface JobQuery {
  readonly scheduler: Pick<
    Scheduler,
    'listsNothing' | 'name' | 'parseQuery' | 'patterns' | 'states'
  >;
  readonly argv: readonly string[];
  /** Where the query is about this job alone. */
  readonly jobId?: string;
  readonly options: RunOptions;
  /** In ms: the least time between the beginnings of two queries. */
  readonly interval: number;
}

/** What the last query said of a job. */
export type Sighting =
  | { readonly kind: 'listed'; readonly status: JobStatus; readonly at: number }
  /** A complete list without it; `denied` is the answer that there is no such job. */
  | { readonly kind: 'unlisted'; readonly at: number; readonly denied: boolean }
  | { readonly kind: 'unknown'; readonly at: number; readonly problem: string };

/** How well a monitor knows its cluster. */
export interface MonitorHealth {
  /** The name of the scheduler; `systemd` for units. */
  readonly scheduler: string;
  /** In s, since the last usable answer was asked for; null before the first. */
  readonly age: number | null;
  /** How many queries failed in a row. */
  readonly failures: number;
}

interface Snapshot extends SharedAnswer {
  readonly jobs: ReadonlyMap<string, JobStatus>;
  /** The answer to a question about one job: there is none. */
  readonly denied?: true;
}

/** How long a monitor that nobody asks is still spoken of, in ms. */
const longestSilence = 600_000;

const log = createLog('monitor');

const monitors = new Shared<CommandRunner, JobMonitor>();

/**
 * Knows the jobs of one cluster, for all spawners: asks about all of them in one command, at most
 * once in an interval, and only while someone wants to know.
 */
export class JobMonitor {
  readonly #runner: CommandRunner;
  readonly #query: JobQuery;
  readonly #shared: SharedQuery<Snapshot>;

  private constructor(runner: CommandRunner, query: JobQuery) {
    this.#runner = runner;
    this.#query = query;
    this.#shared = new SharedQuery((at) => this.#run(at), query.interval);
  }

  /**
   * The monitor that asks this query through this runner, at the shortest interval asked for. One
   * that asks about a single job is nobody else's.
   */
  static of(runner: CommandRunner, query: JobQuery): JobMonitor {
    if (query.jobId !== undefined) {
      return new JobMonitor(runner, query);
    }
    const { scheduler, argv, options, interval } = query;
    const { name, states, patterns, parseQuery } = scheduler;
    const reader = identityOf(parseQuery);
    const key = JSON.stringify([name, argv, options, states, String(patterns.outage), reader]);
    const monitor = monitors.of(runner, key, () => new JobMonitor(runner, query));
    monitor.#shared.atLeastEvery(interval);
    return monitor;
  }

  /**
   * How well the shared monitors of a runner know their clusters. Those are left out that nobody
   * has asked for ten minutes: what they know is old because nobody needs it.
   */
  static healthOf(runner: CommandRunner): readonly MonitorHealth[] {
    const now = performance.now();
    return monitors.all(runner).flatMap((monitor) => {
      const { usableAt, wantedAt, failures } = monitor.#shared;
      if (wantedAt === undefined || now - wantedAt > longestSilence) {
        return [];
      }
      const age = usableAt === undefined ? null : (now - usableAt) / 1000;
      return [{ scheduler: monitor.#query.scheduler.name, age, failures }];
    });
  }

  /**
   * What is known of a job.
   *
   * @param since in ms of `performance.now()`: only an answer to a query that began then or later will do,
   *   which may have to be waited for
   */
  async look(id: string, since = 0): Promise<Sighting> {
    const { at, jobs, denied = false, problem } = await this.#shared.answer(since);
    const status = jobs.get(id);
    if (status !== undefined) {
      return { kind: 'listed', status, at };
    }
    return problem === undefined
      ? { kind: 'unlisted', at, denied }
      : { kind: 'unknown', at, problem };
  }

  /**
   * The jobs that a complete list of `since` or later has, by their ids; undefined where it can't be
   * had. The same object for all who share the list.
   */
  async all(since: number): Promise<ReadonlyMap<string, JobStatus> | undefined> {
    const { jobs, problem } = await this.#shared.answer(since);
    return problem === undefined ? jobs : undefined;
  }

  /** One query. It does not throw: what goes wrong is the `problem` of its answer. */
  async #run(at: number): Promise<Snapshot> {
    const { scheduler, argv, jobId, options } = this.#query;
    const [program = ''] = argv;
    try {
      const ask = () => this.#runner.run(argv, options);
      // There is one list for all, but there may be hundreds of questions about single jobs.
      const result = await (jobId === undefined ? ask() : limiterOf(this.#runner).run(ask));
      const failure = failureOf(program, result, scheduler.patterns.outage);
      const read = () => scheduler.parseQuery(result.stdout, scheduler.states, jobId);
      if (
        jobId !== undefined &&
        failure !== undefined &&
        saysNotFound(result, scheduler.patterns, jobId) &&
        // A row that says more is there all the same.
        !ifReadable(read)?.jobs.some(({ id, state }) => id === jobId && state !== 'unknown')
      ) {
        return { at, jobs: new Map(), denied: true };
      }
      if (
        jobId === undefined &&
        failure !== undefined &&
        saysNothingListed(argv, result, scheduler)
      ) {
        return { at, jobs: new Map() };
      }
      const { jobs, complete } = read();
      const answers = jobId === undefined ? complete : jobs.some(({ id }) => id === jobId);
      const unclear =
        jobId === undefined
          ? `${program} printed something that can't be read`
          : `${program} says nothing of the job ${jobId}`;
      const problem = failure ?? (answers ? undefined : unclear);
      log(
        '%s listed %d jobs in %d ms, %s',
        program,
        jobs.length,
        Math.round(performance.now() - at),
        problem ?? 'ok',
      );
      return {
        at,
        jobs: new Map(jobs.map((job) => [job.id, job])),
        ...(problem !== undefined && { problem }),
      };
    } catch (error) {
      const problem = error instanceof SpawnerError ? error.message : String(error);
      log('%s failed after %d ms: %s', program, Math.round(performance.now() - at), problem);
      return { at, jobs: new Map(), problem };
    }
  }
}
