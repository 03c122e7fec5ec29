import { SpawnerError } from '../errors.ts';
import { createLog } from '../log.ts';
import type { CommandRunner, RunOptions } from '../runners/runner.ts';
import { sleep } from '../sleep.ts';
import { failureOf, saysNotFound } from './command.ts';
import { limiterOf } from './limiter.ts';
import type { JobStatus, Scheduler } from './scheduler.ts';

/** One query of the job list: what differs between monitors. */
export interface JobQuery {
  readonly scheduler: Pick<Scheduler, 'name' | 'parseQuery' | 'patterns' | 'readerKey' | 'states'>;
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

interface Snapshot {
  /** When the query began: the answer is at least as new. */
  readonly at: number;
  readonly jobs: ReadonlyMap<string, JobStatus>;
  /** The answer to a question about one job: there is none. */
  readonly denied?: true;
  /** Why a job that is not among them may exist all the same. */
  readonly problem?: string;
}

/** The longest pause between two tries while the scheduler does not answer, in ms. */
const longestPause = 15_000;

const log = createLog('monitor');

/** Monitors by what they ask, so that all who ask the same share one; gone with their runner. */
const monitors = new WeakMap<CommandRunner, Map<string, JobMonitor>>();

/**
 * Knows the jobs of one cluster, for all spawners: asks about all of them in one command, at most
 * once in an interval, and only while someone wants to know.
 */
export class JobMonitor {
  readonly #runner: CommandRunner;
  readonly #query: JobQuery;
  /** The shortest that anybody asked for. */
  #interval: number;
  #last: Snapshot | undefined;
  /** The query under way. */
  #running: { readonly at: number; readonly snapshot: Promise<Snapshot> } | undefined;
  /** The query that has not begun yet, for all who want an answer that is newer. */
  #waiting: Promise<Snapshot> | undefined;
  /** When the next query may begin, in ms of `performance.now()`. */
  #earliest = 0;
  #failures = 0;

  private constructor(runner: CommandRunner, query: JobQuery) {
    this.#runner = runner;
    this.#query = query;
    this.#interval = query.interval;
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
    const { name, states, patterns, readerKey } = scheduler;
    const key = JSON.stringify([name, argv, options, states, String(patterns.outage), readerKey]);
    let shared = monitors.get(runner);
    if (shared === undefined) {
      shared = new Map();
      monitors.set(runner, shared);
    }
    let monitor = shared.get(key);
    if (monitor === undefined) {
      monitor = new JobMonitor(runner, query);
      shared.set(key, monitor);
    }
    monitor.#interval = Math.min(monitor.#interval, interval);
    return monitor;
  }

  /**
   * What is known of a job.
   *
   * @param since in ms of `performance.now()`: only an answer to a query that began then or later will do,
   *   which may have to be waited for
   */
  async look(id: string, since = 0): Promise<Sighting> {
    const { at, jobs, denied = false, problem } = await this.#snapshot(since);
    const status = jobs.get(id);
    if (status !== undefined) {
      return { kind: 'listed', status, at };
    }
    return problem === undefined
      ? { kind: 'unlisted', at, denied }
      : { kind: 'unknown', at, problem };
  }

  #snapshot(since: number): Promise<Snapshot> {
    if (this.#last !== undefined && this.#last.at >= since && performance.now() < this.#earliest) {
      return Promise.resolve(this.#last);
    }
    if (this.#running !== undefined && this.#running.at >= since) {
      return this.#running.snapshot;
    }
    this.#waiting ??= this.#ask();
    return this.#waiting;
  }

  /** Asks when the query under way, if there is one, and the pause after it are over. */
  async #ask(): Promise<Snapshot> {
    await this.#running?.snapshot;
    if (this.#earliest > performance.now()) {
      await sleep(this.#earliest - performance.now());
    }
    const at = performance.now();
    const snapshot = this.#run(at);
    this.#waiting = undefined;
    this.#running = { at, snapshot };
    const answer = await snapshot;
    this.#running = undefined;
    this.#last = answer;
    if (answer.problem === undefined) {
      this.#failures = 0;
      this.#earliest = at + this.#interval;
    } else {
      this.#failures += 1;
      const pause = Math.min(this.#interval * 2 ** this.#failures, longestPause);
      this.#earliest = performance.now() + pause * (0.5 + 0.5 * Math.random());
    }
    return answer;
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
      if (
        jobId !== undefined &&
        failure !== undefined &&
        saysNotFound(result, scheduler.patterns)
      ) {
        return { at, jobs: new Map(), denied: true };
      }
      const { jobs, complete } = scheduler.parseQuery(result.stdout, scheduler.states, jobId);
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
