import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobProcess } from '../job-process.ts';

/** A job as Slurm knows it. */
export interface SlurmJob {
  readonly id: string;
  readonly cluster: string;
  /** The account. */
  readonly user: string;
  readonly name: string;
  /** '' where it has none. */
  readonly comment: string;
  readonly script: string;
  /** What was exported to it, and what Slurm sets. */
  readonly environment: Readonly<Record<string, string>>;
  /** The working directory. */
  readonly directory: string;
  readonly output: string;
  readonly error: string;
  readonly partition: string;
  /** In minutes. */
  readonly timeLimit: number;
  readonly submittedAt: Date;
  /** In Slurm's own word, as in RUNNING. */
  readonly state: string;
  readonly reason: string;
  readonly estimatedStart: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly exitCode: number;
  /** A number; 0 for none. */
  readonly signal: number;
  /** slurmctld does not know it any more; accounting does. */
  readonly forgotten: boolean;
}

const finalStates: ReadonlySet<string> = new Set([
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TIMEOUT',
  'DEADLINE',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'NODE_FAIL',
  'BOOT_FAIL',
]);

/** The execution host of every job. */
export const host = '127.0.0.1';

/** What a job is submitted with; the id is `nextId`. */
export interface Submission
  extends Pick<
    SlurmJob,
    | 'id'
    | 'cluster'
    | 'user'
    | 'name'
    | 'comment'
    | 'script'
    | 'environment'
    | 'directory'
    | 'output'
    | 'error'
    | 'partition'
    | 'timeLimit'
  > {
  readonly hold: boolean;
}

type Job = { -readonly [F in keyof SlurmJob]: SlurmJob[F] } & {
  process?: JobProcess;
  timer?: NodeJS.Timeout;
  cancelled?: boolean;
};

/** Between the SIGTERM and the SIGKILL of a job that is cancelled, in ms: Slurm's KillWait. */
const killWait = 30_000;

/** The table of jobs, and what runs of them. */
export class Slurmctld {
  /** In ms: how long a job waits before it runs. */
  queueDelay = 0;
  /** Where scripts are put; undefined where nothing runs. */
  readonly #spool: string | undefined;
  readonly #jobs: Job[] = [];
  #waiting: { readonly reason: string; readonly estimatedStart: Date | undefined } | undefined;

  /** @param run whether jobs run; otherwise the table only changes by what is called here */
  constructor(run: boolean) {
    this.#spool = run ? mkdtempSync(join(tmpdir(), 'fake-slurm-')) : undefined;
  }

  /** All jobs that ever were, the oldest first. */
  get jobs(): readonly SlurmJob[] {
    return this.#jobs;
  }

  /** The id of the next job. */
  get nextId(): string {
    return String(1001 + this.#jobs.length);
  }

  /** From now on jobs do not start, for this reason, until `release()`. */
  pend(reason = 'Resources', estimatedStart?: Date): void {
    this.#waiting = { reason, estimatedStart };
    for (const job of this.#pending()) {
      clearTimeout(job.timer);
      Object.assign(job, this.#waiting);
    }
  }

  /** As if each job were held by its owner, until `release()`. */
  hold(): void {
    this.pend('JobHeldUser');
  }

  /** Lets jobs start again. */
  release(): void {
    this.#waiting = undefined;
    for (const job of this.#pending()) this.#queue(job);
  }

  /** slurmctld knows a job no more, as some time after its end; its processes are left alone. */
  forget(id: string): void {
    this.#job(id).forgotten = true;
  }

  /** Moves a job to another state; its processes are left alone. */
  setState(id: string, state: string, reason = 'None'): void {
    const job = this.#job(id);
    const isFinal = finalStates.has(state);
    Object.assign(job, { state, reason });
    if (state === 'PENDING') job.startedAt = undefined;
    else if (!isFinal) job.startedAt ??= new Date();
    job.endedAt = isFinal ? (job.endedAt ?? new Date()) : undefined;
  }

  /** Ends a job, and resolves when its processes have ended. */
  async endJob(
    id: string,
    end: { state?: string; exitCode?: number; signal?: number; reason?: string } = {},
  ): Promise<void> {
    const job = this.#job(id);
    const { state = 'COMPLETED', exitCode = 0, signal = 0, reason } = end;
    clearTimeout(job.timer);
    Object.assign(job, { exitCode, signal });
    this.setState(id, state, reason);
    job.process?.signal('SIGKILL');
    await job.process?.ended;
  }

  /** Kills what still runs. */
  async close(): Promise<void> {
    for (const { process, timer } of this.#jobs) {
      clearTimeout(timer);
      process?.signal('SIGKILL');
      await process?.ended;
    }
    if (this.#spool !== undefined) rmSync(this.#spool, { recursive: true });
  }

  /** Takes a job into the queue. */
  submit({ hold, ...submission }: Submission): void {
    const job: Job = {
      ...submission,
      submittedAt: new Date(),
      state: 'PENDING',
      reason: hold ? 'JobHeldUser' : 'None',
      estimatedStart: undefined,
      startedAt: undefined,
      endedAt: undefined,
      exitCode: 0,
      signal: 0,
      forgotten: false,
    };
    this.#jobs.push(job);
    if (this.#waiting) Object.assign(job, this.#waiting);
    else if (!hold) this.#queue(job);
  }

  /** SIGTERM, and SIGKILL when that was of no use. */
  cancel(id: string): void {
    const job = this.#job(id);
    if (job.cancelled) return;
    clearTimeout(job.timer);
    if (job.process === undefined) {
      this.setState(id, 'CANCELLED');
      return;
    }
    job.cancelled = true;
    this.setState(id, 'COMPLETING');
    job.process.signal('SIGCONT');
    job.process.signal('SIGTERM');
    job.timer = setTimeout(() => job.process?.signal('SIGKILL'), killWait);
  }

  /** Signals the script alone or all that it has started; SIGKILL for all is the end of the job. */
  signal(id: string, signal: NodeJS.Signals, whom: 'script' | 'group'): void {
    const job = this.#job(id);
    if (signal === 'SIGKILL' && whom === 'group') {
      job.cancelled = true;
      if (job.process === undefined) this.setState(id, 'CANCELLED');
    }
    job.process?.signal(signal, whom);
  }

  #job(id: string): Job {
    const job = this.#jobs.find((one) => one.id === id);
    if (job === undefined) throw new Error(`FakeSlurm has no job ${id}.`);
    return job;
  }

  #pending(): readonly Job[] {
    return this.#jobs.filter(({ state }) => state === 'PENDING');
  }

  #queue(job: Job): void {
    job.reason = 'None';
    const spool = this.#spool;
    if (spool !== undefined) {
      clearTimeout(job.timer);
      job.timer = setTimeout(() => this.#start(job, spool), this.queueDelay);
    }
  }

  #start(job: Job, spool: string): void {
    if (job.state !== 'PENDING') return;
    const { id, script: text, environment, output, error } = job;
    const directory = existsSync(job.directory) ? job.directory : '/tmp';
    this.setState(id, 'RUNNING');
    try {
      const file = join(spool, `slurm-script-${id}`);
      job.process = new JobProcess({ text, file, environment, directory, output, error });
    } catch {
      Object.assign(job, { signal: 53 });
      this.setState(id, 'FAILED', 'RaisedSignal:53(Real-time signal 19)');
      return;
    }
    void job.process.ended.then((end) => {
      clearTimeout(job.timer);
      if (job.endedAt !== undefined) return;
      if (job.cancelled) {
        this.setState(id, 'CANCELLED');
        return;
      }
      Object.assign(job, end);
      if (end.signal > 0) this.setState(id, 'FAILED', `RaisedSignal:${end.signal}(Killed)`);
      else if (end.exitCode > 0) this.setState(id, 'FAILED', 'NonZeroExitCode');
      else this.setState(id, 'COMPLETED');
    });
  }
}
