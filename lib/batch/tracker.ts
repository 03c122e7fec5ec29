import type { SpawnerWarning } from '../events.ts';
import type { BatchOptions } from '../generated/options.ts';
import type { JobClient } from './client.ts';
import { exitOfJob } from './exit.ts';
import type { SubmittedJob } from './job.ts';
import type { JobMonitor } from './monitor.ts';
import type { JobFacts } from './request.ts';
import type { JobStatus, Scheduler } from './scheduler.ts';

/** What is known of a job. */
export interface Tracked {
  readonly status: JobStatus;
  /** The question that was answered began then, in ms of `performance.now()`. */
  readonly at: number;
  /** Whether it is in no list, and no record has its end yet. */
  readonly unlisted?: boolean;
}

/** In ms: see `accountingDelay` of `Scheduler`. */
const defaultDelay = 10_000;

/** In ms: how far the clocks of hub and batch system may be apart. */
const clockTolerance = 600_000;

/**
 * Decides whether a job lives. A failed question is not an answer: a job has ended only where the
 * batch system says so, or does not list it in a complete answer and has no other word of it.
 */
export class JobTracker {
  readonly #client: JobClient;
  readonly #options: BatchOptions;
  readonly #accountingDelay: number;
  readonly #walltime: number | undefined;
  readonly #warn: (warning: SpawnerWarning) => void;
  /** When the job was first in no list and no record, in ms of `Date.now()`. */
  #missedAt: number | undefined;
  /** The unusable answers in a row. */
  #unknown:
    | {
        readonly since: number;
        readonly count: number;
        /** When accounting was asked about it, else `since`. */
        readonly askedAt: number;
      }
    | undefined;
  #seen = false;
  /** Accounting has said that a job with another time of submission is ours. */
  #known = false;
  /** It ran when it was last listed, and has to end by then, in ms of `Date.now()`. */
  #mayRunUntil: number | undefined;

  /** @param walltime that the job was submitted with, in ms, where that is known */
  constructor(
    client: JobClient,
    options: BatchOptions,
    { accountingDelay = defaultDelay }: Pick<Scheduler, 'accountingDelay'>,
    walltime: number | undefined,
    warn: (warning: SpawnerWarning) => void,
  ) {
    this.#client = client;
    this.#options = options;
    this.#accountingDelay = accountingDelay;
    this.#walltime = walltime;
    this.#warn = warn;
  }

  /**
   * Asks about a job.
   *
   * @param since in ms of `performance.now()`: only an answer to a question asked then or later will do
   * @param cancelled the batch system has taken a cancel of the job: it is known there
   */
  async status(
    monitor: JobMonitor,
    job: SubmittedJob,
    facts: JobFacts,
    since = 0,
    cancelled = false,
  ): Promise<Tracked> {
    const sighting = await monitor.look(job.id, since);
    const { at } = sighting;
    switch (sighting.kind) {
      case 'listed':
        this.#seen = true;
        this.#missedAt = undefined;
        if (sighting.status.state === 'unknown') {
          const word = sighting.status.nativeState;
          return { at, status: await this.#unclear(job, facts, `it is in the state ${word}`) };
        }
        this.#clear();
        this.#mayRunUntil =
          sighting.status.state === 'running' && this.#walltime !== undefined
            ? Date.now() + this.#walltime
            : undefined;
        if (!(await this.#isOurs(job, facts, sighting.status))) {
          return { at, status: gone(job) };
        }
        return { at, status: await this.#withEnd(facts, sighting.status) };
      case 'unlisted':
        if (!this.#seen && !cancelled && this.#isFresh(job)) {
          return { at, status: await this.#notYetListed(job, facts, since) };
        }
        return { at, ...(await this.#unlisted(job, facts, sighting.denied)) };
      case 'unknown':
        return { at, status: await this.#unclear(job, facts, sighting.problem) };
    }
  }

  /** Not yet in the list, or over before it was ever in it. */
  async #notYetListed(job: SubmittedJob, facts: JobFacts, since: number): Promise<JobStatus> {
    // Asked where a start waits for the answer, and not at every poll.
    const account = since === 0 ? undefined : await this.#client.account(facts);
    return account?.kind === 'listed'
      ? account.status
      : { id: job.id, state: 'pending', nativeState: '' };
  }

  /** The list may lack a job that was submitted just now. */
  #isFresh({ submittedAt }: SubmittedJob): boolean {
    return Date.now() - submittedAt < this.#options.gracePeriod;
  }

  /**
   * Ids are used again. The list has no names, which anybody could forge; so where the time of the
   * submission is another, accounting is asked, which compares the name.
   */
  async #isOurs(job: SubmittedJob, facts: JobFacts, { submittedAt }: JobStatus): Promise<boolean> {
    const away = Math.abs((submittedAt?.getTime() ?? job.submittedAt) - job.submittedAt);
    if (away < clockTolerance || this.#known || job.found === true) {
      return true;
    }
    const account = await this.#client.account(facts);
    this.#known = account.kind === 'listed';
    switch (account.kind) {
      case 'listed':
      case 'unknown':
        return true;
      case 'silent':
        // Where there is no record of any job, only the clocks differ.
        return !account.answered;
      case 'gone':
        return false;
    }
  }

  /** The list says that a job has ended, accounting knows how; a job that was requeued lives. */
  async #withEnd(facts: JobFacts, status: JobStatus): Promise<JobStatus> {
    if (status.state !== 'ended') {
      return status;
    }
    const account = await this.#client.account(facts);
    return account.kind === 'listed' ? account.status : status;
  }

  /** A complete answer does not list it: it is over, unless another source still knows it. */
  async #unlisted(
    job: SubmittedJob,
    facts: JobFacts,
    denied: boolean,
  ): Promise<Omit<Tracked, 'at'>> {
    const account = await this.#client.account(facts);
    switch (account.kind) {
      case 'listed':
        this.#clear();
        return { status: account.status };
      case 'gone':
        this.#clear();
        return { status: gone(job) };
      case 'silent':
        this.#clear();
        return denied ? { status: gone(job) } : this.#missed(job);
      case 'unknown':
        return { status: await this.#unclear(job, facts, account.problem) };
    }
  }

  /** No list and no record has it: records come late, and a list may lack a job for a moment. */
  #missed(job: SubmittedJob): Omit<Tracked, 'at'> {
    const now = Date.now();
    this.#missedAt ??= now;
    if (now - this.#missedAt >= this.#accountingDelay) {
      return { status: gone(job) };
    }
    const reason = 'it is no longer listed, and there is no record of its end yet';
    const status: JobStatus = { id: job.id, state: 'unknown', nativeState: '', reason };
    return { status, unlisted: true };
  }

  /** No usable answer: the job counts as alive until the budget is used up and accounting or the walltime says more. */
  async #unclear(job: SubmittedJob, facts: JobFacts, problem: string): Promise<JobStatus> {
    const now = Date.now();
    const { unknownBudget, walltimeSlack } = this.#options;
    if (this.#unknown === undefined) {
      this.#warn({
        code: 'status-unknown',
        message: `The state of job ${job.id} is unknown; it counts as alive. ${problem}`,
      });
    }
    const { since = now, count: before = 0, askedAt = since } = this.#unknown ?? {};
    this.#unknown = { since, count: before + 1, askedAt };
    const unknown: JobStatus = { id: job.id, state: 'unknown', nativeState: '', reason: problem };
    const { time = 0, count = 0 } = unknownBudget;
    if (now - askedAt < time || this.#unknown.count < count) {
      return unknown;
    }
    this.#unknown = { ...this.#unknown, askedAt: now };
    const account = await this.#client.account(facts);
    if (account.kind === 'listed') {
      return account.status;
    }
    if (account.kind === 'gone') {
      return gone(job);
    }
    // Where no list says when it ends: what ran when it was last seen runs no longer than that.
    const endsAt = job.endsAt ?? this.#mayRunUntil;
    if (endsAt !== undefined && now > endsAt + walltimeSlack) {
      return {
        id: job.id,
        state: 'ended',
        nativeState: '',
        exit: exitOfJob({
          cause: 'timeout',
          detail: 'its walltime is over, and the batch system has not answered since',
        }),
      };
    }
    return unknown;
  }

  #clear(): void {
    if (this.#unknown !== undefined) {
      const seconds = Math.round((Date.now() - this.#unknown.since) / 1000);
      this.#unknown = undefined;
      this.#warn({
        code: 'status-known',
        message: `The batch system answers again, after ${seconds} s.`,
      });
    }
  }
}

function gone({ id }: SubmittedJob): JobStatus {
  const exit = exitOfJob({ cause: 'unknown', detail: 'the batch system no longer knows the job' });
  return { id, state: 'ended', nativeState: '', exit };
}
