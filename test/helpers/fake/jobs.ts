import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExitCause } from '../../../lib/events.ts';
import { JobProcess } from '../job-process.ts';

/** What a job is doing, in words of no batch system. */
export type FakeState = 'queued' | 'held' | 'running' | 'suspended' | 'exiting' | 'ended';

/** A job, as a batch system knows it. */
export interface FakeJob {
  /** 1001 for the first. */
  readonly seq: number;
  /** As the batch system writes it. */
  readonly id: string;
  /** '' where there is only one. */
  readonly cluster: string;
  /** The account. */
  readonly user: string;
  readonly name: string;
  /** Comment, context or attribute; '' where it has none. */
  readonly comment: string;
  /** Queue or partition. */
  readonly queue: string;
  readonly script: string;
  /** What was passed on to it, and what the batch system sets. */
  readonly environment: Readonly<Record<string, string>>;
  /** The working directory. */
  readonly directory: string;
  readonly output: string;
  readonly error: string;
  /** In seconds, for lists to show: nothing ends a job after it. */
  readonly walltime: number;
  readonly state: FakeState;
  /** The batch system's own word for the state, where a test has set one; until the job moves on. */
  readonly native: string | undefined;
  /** '' for none. */
  readonly reason: string;
  readonly estimatedStart: Date | undefined;
  readonly submittedAt: Date;
  /** Of this run. */
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly exitCode: number;
  /** A number; 0 for none. */
  readonly signal: number;
  /** Why it ended. */
  readonly cause: ExitCause | undefined;
  /** Its script could not be started: its output could not be opened. */
  readonly launchFailed: boolean;
  /** How often it was put back into the queue. */
  readonly requeues: number;
  /** The queue does not know it any more; accounting does. */
  readonly forgotten: boolean;
}

/** What a job is submitted with; what is missing is empty, and the walltime an hour. */
export interface Submission
  extends Pick<FakeJob, 'user' | 'name' | 'script' | 'directory' | 'output'>,
    Partial<Pick<FakeJob, 'cluster' | 'comment' | 'queue' | 'environment' | 'error' | 'walltime'>> {
  /** It waits for its release. */
  readonly hold?: boolean;
}

/** How a job is to end. */
export interface FakeEnd {
  /** Default: `completed`. */
  readonly cause?: ExitCause;
  readonly exitCode?: number;
  readonly signal?: number;
  readonly reason?: string;
  readonly native?: string;
}

/** What a table of jobs is made with. */
export interface JobTableOptions {
  /** The home directory of every account. */
  readonly home: string;
  /**
   * Whether jobs run on this machine. Otherwise they are rows of a table that only the test and the
   * commands move, and there are neither processes nor timers. Default: true.
   */
  readonly run?: boolean;
  /** Writes the number of a job as the batch system does. Default: as it is. */
  readonly idOf?: (seq: number) => string;
}

type Job = { -readonly [F in keyof FakeJob]: FakeJob[F] } & {
  process?: JobProcess | undefined;
  timer?: NodeJS.Timeout;
  cancelled?: boolean;
};

const firstSeq = 1001;

/** Between the SIGTERM and the SIGKILL of a job that is cancelled, in ms. */
const killWait = 30_000;

/** The table of jobs of a batch system, and what runs of them as this account on this machine. */
export class JobTable {
  readonly home: string;
  /** In ms: how long a job waits before it runs. */
  queueDelay = 0;
  readonly #idOf: (seq: number) => string;
  /** Where scripts are put; undefined where nothing runs. */
  readonly #spool: string | undefined;
  readonly #jobs: Job[] = [];
  #waiting: { readonly reason: string; readonly estimatedStart: Date | undefined } | undefined;

  constructor({ home, run = true, idOf = String }: JobTableOptions) {
    this.home = home;
    this.#idOf = idOf;
    this.#spool = run ? mkdtempSync(join(tmpdir(), 'fake-cluster-')) : undefined;
  }

  /** All jobs that ever were, the oldest first. */
  get jobs(): readonly FakeJob[] {
    return this.#jobs;
  }

  /** Those that the queue still knows. */
  get known(): readonly FakeJob[] {
    return this.#jobs.filter(({ forgotten }) => !forgotten);
  }

  /** The id of the next job. */
  get nextId(): string {
    return this.#idOf(firstSeq + this.#jobs.length);
  }

  /** Takes a job into the queue; it gets `nextId`. */
  submit({ hold = false, environment = {}, ...submission }: Submission): FakeJob {
    const { user, output } = submission;
    const seq = firstSeq + this.#jobs.length;
    const job: Job = {
      cluster: '',
      comment: '',
      queue: '',
      error: output,
      walltime: 3600,
      ...submission,
      seq,
      id: this.#idOf(seq),
      environment: {
        HOME: this.home,
        PATH: '/usr/local/bin:/usr/bin:/bin',
        SHELL: '/bin/bash',
        ...environment,
        LOGNAME: user,
        USER: user,
      },
      state: hold ? 'held' : 'queued',
      native: undefined,
      reason: '',
      estimatedStart: undefined,
      submittedAt: new Date(),
      startedAt: undefined,
      endedAt: undefined,
      exitCode: 0,
      signal: 0,
      cause: undefined,
      launchFailed: false,
      requeues: 0,
      forgotten: false,
    };
    this.#jobs.push(job);
    if (!hold) this.#queue(job);
    return job;
  }

  /** From now on jobs do not start, for this reason, until `releaseAll()`. */
  pend(reason: string, estimatedStart?: Date): void {
    this.#waiting = { reason, estimatedStart };
    for (const job of this.#in('queued')) this.#queue(job);
  }

  /** Lets all jobs start, also those that are held. */
  releaseAll(): void {
    this.#waiting = undefined;
    for (const job of [...this.#in('held'), ...this.#in('queued')]) this.#queue(job);
  }

  /** A job does not start until `release()`. */
  hold(id: string): void {
    const job = this.#job(id);
    if (job.state !== 'queued') return;
    clearTimeout(job.timer);
    move(job, 'held');
  }

  /** Ends what `hold()` or the submission began. */
  release(id: string): void {
    const job = this.#job(id);
    if (job.state === 'held') this.#queue(job);
  }

  /** Stops a job that runs. */
  suspend(id: string): void {
    const job = this.#job(id);
    if (job.state !== 'running') return;
    move(job, 'suspended');
    job.process?.signal('SIGSTOP');
  }

  /** Lets a job that was suspended run on. */
  resume(id: string): void {
    const job = this.#job(id);
    if (job.state !== 'suspended') return;
    move(job, 'running');
    job.process?.signal('SIGCONT');
  }

  /** SIGTERM, and SIGKILL when that was of no use. */
  cancel(id: string): void {
    const job = this.#job(id);
    if (job.cancelled || job.state === 'ended') return;
    clearTimeout(job.timer);
    if (job.process === undefined) {
      move(job, 'ended', { cause: 'cancelled' });
      return;
    }
    job.cancelled = true;
    move(job, 'exiting');
    job.process.signal('SIGCONT');
    job.process.signal('SIGTERM');
    job.timer = setTimeout(() => job.process?.signal('SIGKILL'), killWait);
  }

  /** SIGKILL at once. */
  kill(id: string): void {
    this.signal(id, 'SIGKILL', 'group');
  }

  /** Signals the script alone or all that it has started; SIGKILL for all is the end of the job. */
  signal(id: string, signal: NodeJS.Signals, whom: 'script' | 'group'): void {
    const job = this.#job(id);
    if (job.state === 'ended') return;
    if (signal === 'SIGKILL' && whom === 'group') {
      job.cancelled = true;
      clearTimeout(job.timer);
      if (job.process === undefined) move(job, 'ended', { cause: 'cancelled' });
    }
    job.process?.signal(signal, whom);
  }

  /** Ends the run of a job, and resolves when its processes have ended and it is in the queue. */
  async requeue(id: string): Promise<void> {
    const job = this.#job(id);
    const { process } = job;
    clearTimeout(job.timer);
    // From here on its end is not that of the job.
    job.process = undefined;
    process?.signal('SIGKILL');
    await process?.ended;
    job.requeues += 1;
    Object.assign(job, { cancelled: false, exitCode: 0, signal: 0 });
    this.#queue(job);
  }

  /** Ends a job, and resolves when its processes have ended. */
  async endJob(id: string, end: FakeEnd = {}): Promise<void> {
    const job = this.#job(id);
    clearTimeout(job.timer);
    move(job, 'ended', { cause: 'completed', ...end });
    job.process?.signal('SIGKILL');
    await job.process?.ended;
  }

  /** The queue knows a job no more, as some time after its end; its processes are left alone. */
  forget(id: string): void {
    this.#job(id).forgotten = true;
  }

  /** Moves a job to another state; its processes are left alone. */
  setState(
    id: string,
    state: FakeState,
    reason = '',
    facts: Pick<FakeEnd, 'cause' | 'native'> = {},
  ): void {
    const job = this.#job(id);
    clearTimeout(job.timer);
    move(job, state, { reason, ...(state === 'ended' && { cause: 'completed' }), ...facts });
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

  #job(id: string): Job {
    const job = this.#jobs.find((one) => one.id === id);
    if (job === undefined) throw new Error(`There is no job ${id}.`);
    return job;
  }

  #in(state: FakeState): readonly Job[] {
    return this.#jobs.filter((job) => job.state === state);
  }

  #queue(job: Job): void {
    clearTimeout(job.timer);
    move(job, 'queued', this.#waiting);
    const spool = this.#spool;
    if (spool !== undefined && this.#waiting === undefined) {
      job.timer = setTimeout(() => this.#start(job, spool), this.queueDelay);
    }
  }

  #start(job: Job, spool: string): void {
    const { seq, script: text, environment, output, error, requeues } = job;
    const directory = existsSync(job.directory) ? job.directory : '/tmp';
    move(job, 'running');
    let process: JobProcess;
    try {
      const file = join(spool, `script-${seq}-${requeues}`);
      process = new JobProcess({ text, file, environment, directory, output, error });
    } catch {
      move(job, 'ended', { cause: 'failed', launchFailed: true });
      return;
    }
    job.process = process;
    void process.ended.then((end) => {
      if (job.process !== process || job.state === 'ended') return;
      clearTimeout(job.timer);
      const failed = end.exitCode > 0 || end.signal > 0;
      const cause = job.cancelled ? 'cancelled' : failed ? 'failed' : 'completed';
      move(job, 'ended', { cause, ...end });
    });
  }
}

/** What is not given is over with the state before. */
function move(job: Job, state: FakeState, facts: Partial<FakeJob> = {}): void {
  Object.assign(job, {
    native: undefined,
    reason: '',
    estimatedStart: undefined,
    cause: undefined,
  });
  Object.assign(job, { state }, facts);
  if (state === 'queued' || state === 'held') job.startedAt = undefined;
  else if (state !== 'ended') job.startedAt ??= new Date();
  job.endedAt = state === 'ended' ? (job.endedAt ?? new Date()) : undefined;
}
