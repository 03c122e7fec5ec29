import { firstOf, throwIfAborted, unlessAborted } from '../abort.ts';
import type { SpawnerContext } from '../context.ts';
import { kept } from '../environment.ts';
import { OptionsError, StartError, StopError } from '../errors.ts';
import type { ExitStatus, ServerAddress } from '../events.ts';
import type { BatchOptions } from '../generated/options.ts';
import type { OptionsSchema } from '../options.ts';
import { sleep } from '../sleep.ts';
import type { StopOptions } from '../spawner.ts';
import { Spawner } from '../spawner.ts';
import type { StartScope } from '../start.ts';
import type { Json } from '../state.ts';
import type { Doubt, Submission } from './client.ts';
import { JobClient } from './client.ts';
import { exitOfJob } from './exit.ts';
import type { Job } from './job.ts';
import { loadJob, saveJob } from './job.ts';
import { JobMonitor } from './monitor.ts';
import type { JobFacts, JobMark, PreparedJob } from './request.ts';
import { JobTemplates, newMark, portPlaceholder } from './request.ts';
import type { JobStatus, Scheduler } from './scheduler.ts';
import { withOverrides } from './scheduler.ts';
import type { SubmittedJob, Tracked } from './tracker.ts';
import { JobTracker } from './tracker.ts';

/** In ms: between two looks for a job that a doubtful submission may have made. */
const findInterval = 5000;

/**
 * Runs the server as a job of a batch system. A subclass says which one, by its static property
 * `scheduler`.
 */
export abstract class BatchSpawner<O extends BatchOptions = BatchOptions> extends Spawner<O> {
  /** All that is particular to the batch system. */
  static readonly scheduler: Scheduler;

  static override get schema(): OptionsSchema {
    return this.scheduler.schema;
  }

  static override get kind(): string {
    return this.scheduler.name;
  }

  readonly #scheduler: Scheduler;
  readonly #templates: JobTemplates;
  readonly #client: JobClient;
  readonly #commandEnv: Readonly<Record<string, string>>;
  readonly #monitors = new Map<string | undefined, JobMonitor>();
  #tracker: JobTracker;
  #job: Job | undefined;
  /** The execution hosts of the running job. */
  #hosts: readonly string[] = [];
  #addressFound: (address: ServerAddress) => void = () => {};

  /** @throws OptionsError */
  constructor(context: SpawnerContext, options: Partial<O> = {}) {
    super(context, options);
    this.#scheduler = withOverrides(new.target.scheduler, this.options);
    this.#commandEnv = {
      ...kept(['PATH', ...this.#scheduler.environment]),
      LC_ALL: 'C',
      TZ: 'UTC',
      ...this.options.commandEnvironment,
    };
    this.#templates = new JobTemplates(this.#scheduler, this.options);
    this.#client = new JobClient(
      this.runner,
      this.#scheduler,
      this.#templates,
      this.account,
      this.options,
      this.#commandEnv,
    );
    this.#tracker = this.#newTracker();
    checkEndpoint(this.context, this.options);
    // A template that can't be filled in is found here, and not when someone waits for a server.
    const mark = newMark(this.context);
    const names = Object.fromEntries(
      Object.keys(this.options.environment).map((name) => [name, '']),
    );
    const facts = { ...this.#factsOf(mark), homedir: this.options.request.homedir ?? '/' };
    this.#templates.prepare(facts, names, this.#commandEnv);
    this.#templates.check({ ...facts, jobId: '1' });
  }

  override start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, (start) => this.#launch(start));
  }

  override async poll(): Promise<ExitStatus | null> {
    const job = this.#job;
    if (this.exit !== undefined || job === undefined) {
      return this.exit ?? null;
    }
    const submitted = isSubmitted(job) ? job : await this.#recover(job);
    if (submitted === undefined) {
      return this.exit ?? null;
    }
    const { status } = await this.#status(submitted);
    return status.state === 'ended' ? this.#finish(submitted, status) : null;
  }

  override stop(how: StopOptions = {}): Promise<void> {
    return this.runStop(() => this.#terminate(how));
  }

  override acceptPort(port: number): boolean {
    const job = this.#job;
    if (job === undefined || this.options.endpoint !== 'callback') {
      return false;
    }
    if (this.address !== undefined) {
      return this.address.port === port;
    }
    this.#setJob({ ...job, port });
    this.#findAddress();
    return true;
  }

  protected override portText(): string {
    return this.options.endpoint === 'callback' ? portPlaceholder : String(this.options.port);
  }

  protected override saveFields(): Record<string, Json> {
    return this.#job === undefined ? {} : saveJob(this.#job);
  }

  protected override loadFields(fields: Readonly<Record<string, unknown>>): void {
    this.#job = loadJob(fields);
  }

  protected override clearFields(): void {
    this.#job = undefined;
    this.#hosts = [];
    this.#tracker = this.#newTracker();
  }

  async #launch(start: StartScope): Promise<ServerAddress> {
    start.report(0, 'Preparing the job');
    const mark = newMark(this.context);
    const username = this.#username;
    const homedir = this.options.request.homedir ?? (await this.#client.homedir(username));
    const prepared = this.#templates.prepare(
      { mark, username, homedir },
      this.environment(),
      this.#commandEnv,
    );
    for (const name of this.#templates.unused) {
      this.announce('warning', {
        code: 'option-unused',
        message: `The option request.${name} has no effect: neither the script nor a command of ${this.#scheduler.name} uses it.`,
      });
    }
    throwIfAborted(start.signal);
    this.#setJob({ ...mark, submittedAt: Date.now() });
    try {
      start.report(5, 'Submitting the job');
      const job = await start.step('submit', this.options.startTimeout, (signal) =>
        this.#submit(prepared, start, signal),
      );
      start.report(10, `Job ${job.id} is submitted`);
      return await this.#untilReady(start, prepared.logFile);
    } catch (error) {
      await this.#cleanUp();
      throw error;
    }
  }

  /** Submits until the job is known to exist, or certain not to. */
  async #submit(
    prepared: PreparedJob,
    start: StartScope,
    signal: AbortSignal,
  ): Promise<SubmittedJob> {
    for (let attempt = 1; ; attempt += 1) {
      throwIfAborted(signal);
      const submission = await this.#submitOnce(prepared);
      if (submission.kind === 'accepted') {
        const job = this.#submitted(submission.id, submission.cluster);
        if (attempt > 1) {
          await this.#cancelOthers(job, await this.#client.find(this.#factsOf(job)));
        }
        return job;
      }
      const { error, doubt } = submission;
      if (doubt === 'transient') {
        start.report(5, `Waiting for the batch system: ${error.message}`);
      }
      const found = await this.#settle(doubt, signal);
      if (found !== undefined) {
        return found;
      }
      if (doubt !== 'transient') {
        this.#forget();
        throw error;
      }
    }
  }

  async #submitOnce(prepared: PreparedJob): Promise<Submission> {
    try {
      return await this.#client.submit(prepared);
    } catch (error) {
      // The command could not be run at all.
      this.#forget();
      throw error;
    }
  }

  /**
   * What became of a doubtful submission: its job, or undefined where there is none. A batch system
   * that was away may take it in late: only two complete answers without it say that there is none.
   */
  async #settle(doubt: Doubt, signal: AbortSignal): Promise<SubmittedJob | undefined> {
    for (let absent = 0; ; ) {
      const found = await this.#find();
      if (typeof found === 'object') {
        return found;
      }
      absent = found === 'none' ? absent + 1 : 0;
      if (doubt === 'refused' || absent === 2) {
        return undefined;
      }
      await sleep(findInterval, signal);
      throwIfAborted(signal);
    }
  }

  /** Looks once for a job that carries our mark. */
  async #find(): Promise<SubmittedJob | 'none' | 'unknown'> {
    const job = this.#job;
    const found = job && (await this.#client.find(this.#factsOf(job)));
    if (found === undefined || this.#job !== job) {
      return 'unknown';
    }
    const newest = found.at(-1);
    if (newest === undefined) {
      return 'none';
    }
    const submitted = this.#submitted(newest.id, job?.cluster);
    await this.#cancelOthers(submitted, found);
    return submitted;
  }

  /** Cancels what an earlier try of the same submission has left. */
  async #cancelOthers(
    job: SubmittedJob,
    marked: readonly { readonly id: string }[] = [],
  ): Promise<void> {
    for (const { id } of marked) {
      if (id !== job.id) {
        await this.#client.end('cancel', { ...this.#factsOf(job), jobId: id });
      }
    }
  }

  #submitted(id: string, cluster: string | undefined): SubmittedJob {
    const where = { id, ...(cluster !== undefined && { cluster }) };
    const job = { ...this.#current(), ...where, submittedAt: Date.now() };
    this.#setJob(job);
    this.announce('submitted', where);
    return job;
  }

  /** From a submitted job to a server that answers. */
  async #untilReady(start: StartScope, logFile: string): Promise<ServerAddress> {
    const { queueTimeout, startTimeout } = this.options;
    for (;;) {
      const { hosts } = await start.step('queue', queueTimeout, (signal) =>
        this.#untilRunning(start, signal, logFile),
      );
      const [host = ''] = hosts ?? [];
      this.announce('running', { host });
      start.report(50, `The job runs on ${host}; waiting for its server to say where it listens`);
      const address = await start.step('launch', startTimeout, (signal) =>
        this.#untilAddress(signal, logFile),
      );
      if (address !== undefined) {
        return this.waitUntilReady(
          start,
          () => address,
          (signal) => this.#untilDeath(signal, logFile),
        );
      }
      start.report(20, 'The job was put back into the queue');
    }
  }

  async #untilRunning(start: StartScope, signal: AbortSignal, logFile: string): Promise<JobStatus> {
    let told = '';
    for await (const status of this.#statuses(signal, logFile)) {
      if (hasStarted(status)) {
        return status;
      }
      const message = waitingMessage(status);
      if (message !== told) {
        told = message;
        start.report(20, message, status.estimatedStart);
      }
    }
    throw jobLost();
  }

  /** The address of the server; undefined if the job went back into the queue. */
  #untilAddress(signal: AbortSignal, logFile: string): Promise<ServerAddress | undefined> {
    return firstOf<ServerAddress | undefined>(
      signal,
      (inner) =>
        unlessAborted(
          inner,
          () =>
            new Promise<ServerAddress>((resolve) => {
              this.#addressFound = resolve;
              this.#findAddress();
            }),
        ),
      async (inner) => {
        for await (const { state } of this.#statuses(inner, logFile)) {
          if (state === 'pending' || state === 'held') {
            const { port: _, ...job } = this.#current();
            this.#setJob(job);
            this.#hosts = [];
            this.clearAddress();
            return undefined;
          }
        }
        throw jobLost();
      },
    );
  }

  async #untilDeath(signal: AbortSignal, logFile: string): Promise<never> {
    for await (const _ of this.#statuses(signal, logFile)) {
      // The iteration throws when the job has ended.
    }
    throw jobLost();
  }

  /**
   * What the batch system says of the job, again and again.
   *
   * @throws StartError when the job has ended
   */
  async *#statuses(
    signal: AbortSignal,
    logFile: string,
  ): AsyncGenerator<JobStatus, void, undefined> {
    for (let since = 0; ; ) {
      throwIfAborted(signal);
      const job = this.#job;
      if (job === undefined || !isSubmitted(job)) {
        throw jobLost();
      }
      const { status, at } = await unlessAborted(signal, () => this.#status(job, since));
      since = at + 1;
      if (status.state === 'ended') {
        const log = await this.#client.logTail(logFile, this.apiToken);
        const exit = await this.#finish(job, status);
        throw new StartError(
          `The job ${job.id} ended before its server answered: ${exit.message}${log ? ` The end of its log:\n${log}` : ''}`,
          { exit, ...(log !== undefined && { log }) },
        );
      }
      yield status;
    }
  }

  async #status(job: SubmittedJob, since = 0): Promise<Tracked> {
    const facts = this.#factsOf(job);
    const tracked = await this.#tracker.status(this.#monitorOf(job.cluster), job, facts, since);
    const { endsAt, hosts = [] } = tracked.status;
    const current = this.#job;
    if (current?.id === job.id && hasStarted(tracked.status)) {
      if (endsAt !== undefined && endsAt.getTime() !== current.endsAt) {
        this.#setJob({ ...current, endsAt: endsAt.getTime() });
      }
      this.#hosts = hosts;
      this.#findAddress();
    }
    return tracked;
  }

  #monitorOf(cluster: string | undefined): JobMonitor {
    let monitor = this.#monitors.get(cluster);
    if (monitor === undefined) {
      monitor = JobMonitor.of(this.runner, {
        scheduler: this.#scheduler,
        argv: this.#templates.query(cluster),
        options: { env: this.#commandEnv, timeout: this.options.commandTimeout },
        interval: this.options.queryInterval,
      });
      this.#monitors.set(cluster, monitor);
    }
    return monitor;
  }

  /** Sets the address once both host and port are known. */
  #findAddress(): void {
    const [host] = this.#hosts;
    const port = this.options.endpoint === 'fixed' ? this.options.port : this.#job?.port;
    if (host !== undefined && port !== undefined) {
      this.#addressFound(this.address ?? this.setAddress(host, port));
    }
  }

  /** Finds out what became of a submission that the end of the hub cut off. */
  async #recover(job: Job): Promise<SubmittedJob | undefined> {
    if (this.starting) {
      return undefined;
    }
    const found = await this.#find();
    const { gracePeriod, commandTimeout } = this.options;
    if (found === 'none' && Date.now() - job.submittedAt > gracePeriod + commandTimeout) {
      await this.ended(neverAccepted);
    }
    return typeof found === 'object' ? found : undefined;
  }

  /** Cancels the job, sees it end, and kills it where it does not. */
  async #terminate({ now = false }: StopOptions): Promise<void> {
    const { stopTimeout, killTimeout } = this.options;
    const begun = Date.now();
    let absent = 0;
    let cancelledAt: number | undefined;
    let killed = false;
    for (;;) {
      const job = this.#job;
      if (job === undefined) {
        return;
      }
      let problem: string | undefined;
      if (isSubmitted(job)) {
        const facts = this.#factsOf(job);
        if (cancelledAt === undefined) {
          problem = await this.#client.end('cancel', facts);
          cancelledAt = problem === undefined ? Date.now() : undefined;
        }
        if (
          cancelledAt !== undefined &&
          !killed &&
          (now || Date.now() - cancelledAt > killTimeout)
        ) {
          problem = await this.#client.end('kill', facts);
          killed = problem === undefined;
        }
        const { status } = await this.#status(job, Date.now());
        if (status.state === 'ended') {
          await this.#finish(job, status);
          return;
        }
        problem ??= `its state is ${status.nativeState || status.state}`;
      } else {
        const found = await this.#find();
        absent = found === 'none' ? absent + 1 : 0;
        if (absent === 2) {
          await this.ended(neverAccepted);
          return;
        }
        problem = 'the batch system does not say whether there is a job';
        if (typeof found === 'string') {
          await sleep(findInterval);
        }
      }
      if (Date.now() - begun > stopTimeout) {
        throw new StopError(
          `${isSubmitted(job) ? `The job ${job.id}` : 'The submission'} could not be ended within stopTimeout (${stopTimeout / 1000} s): ${problem}. Stop it again later.`,
          { retryable: true },
        );
      }
    }
  }

  /** After a start that failed: nothing of it may stay. */
  async #cleanUp(): Promise<void> {
    try {
      await this.#terminate({});
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `After a start that failed: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      });
    }
  }

  async #finish(job: SubmittedJob, { exit }: JobStatus): Promise<ExitStatus> {
    const status = exit ?? exitOfJob({ cause: 'unknown' });
    if (this.#job?.id === job.id) {
      await this.ended(status);
    }
    return status;
  }

  #setJob(job: Job): void {
    this.#job = job;
    this.stateChanged();
  }

  /** There is no job after all. */
  #forget(): void {
    this.clearState();
    this.stateChanged();
  }

  #current(): Job {
    if (this.#job === undefined) {
      throw jobLost();
    }
    return this.#job;
  }

  get #username(): string {
    return this.options.request.username ?? this.account;
  }

  #factsOf(job: JobMark & Partial<Job>): JobFacts {
    const { homedir } = this.options.request;
    return { mark: job, username: this.#username, homedir, jobId: job.id, cluster: job.cluster };
  }

  #newTracker(): JobTracker {
    return new JobTracker(this.#client, this.options, (warning) =>
      this.announce('warning', warning),
    );
  }
}

const neverAccepted = exitOfJob({
  cause: 'unknown',
  detail: 'the batch system never accepted it',
});

function isSubmitted(job: Job): job is SubmittedJob {
  return job.id !== undefined;
}

function hasStarted({ state }: JobStatus): boolean {
  return state === 'running' || state === 'suspended' || state === 'completing';
}

function waitingMessage({ id, state, reason }: JobStatus): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  switch (state) {
    case 'held':
      return `Job ${id} is held and does not start until someone releases it${why}`;
    case 'unknown':
      return `The state of job ${id} is not known; waiting for the batch system${why}`;
    default:
      return `Job ${id} waits in the queue${why}`;
  }
}

/** The spawner was told to forget its job (`clearState`) in the middle of a start. */
function jobLost(): StartError {
  return new StartError('The state of the spawner was cleared while it was starting a server.');
}

function checkEndpoint({ hub, apiToken }: SpawnerContext, { endpoint, port }: BatchOptions): void {
  if (endpoint === 'fixed' && port === 0) {
    throw new OptionsError('port', "from 1 to 65535 where endpoint is 'fixed'");
  }
  if (endpoint === 'callback' && port !== 0) {
    throw new OptionsError('port', "0 where endpoint is 'callback': the job picks a free one");
  }
  if (endpoint === 'callback' && (hub === undefined || apiToken === undefined)) {
    throw new OptionsError(
      'endpoint',
      "'fixed' where the context lacks hub.apiUrl or apiToken",
      "The endpoint 'callback' needs context.hub.apiUrl and context.apiToken, so that the job can tell the hub its port. Give both, or set endpoint to 'fixed' and port.",
    );
  }
}
