import { firstOf, throwIfAborted, unlessAborted } from '../abort.ts';
import type { SpawnerContext } from '../context.ts';
import { kept } from '../environment.ts';
import { messageOf, OptionsError, StartError, StateError } from '../errors.ts';
import type { ExitStatus, ServerAddress } from '../events.ts';
import type { BatchOptions } from '../generated/options.ts';
import type { OptionsSchema } from '../options.ts';
import type { StopOptions } from '../spawner.ts';
import { Spawner } from '../spawner.ts';
import type { StartScope } from '../start.ts';
import type { Json } from '../state.ts';
import { JobClient } from './client.ts';
import { exitOfJob } from './exit.ts';
import type { Job, SubmittedJob } from './job.ts';
import { isSubmitted, JobSlot, jobLost, loadJob, saveJob } from './job.ts';
import { JobMonitor } from './monitor.ts';
import { JobTemplates, newMark, portPlaceholder } from './request.ts';
import type { JobStatus, Scheduler } from './scheduler.ts';
import { withOverrides } from './scheduler.ts';
import { Submitter } from './submitter.ts';
import { neverAccepted, terminate } from './terminate.ts';
import type { Tracked } from './tracker.ts';
import { JobTracker } from './tracker.ts';

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
  readonly #slot: JobSlot;
  readonly #submitter: Submitter;
  /** The execution hosts of the running job. */
  #hosts: readonly string[] = [];
  /** A start has a job, or is about to. */
  #launching = false;
  /** How often in a row a job of an unknown id was looked for in vain. */
  #absent = 0;
  /** `stop({ now: true })` was called. */
  #now = false;
  /** The job is being ended. */
  #terminating = false;
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
    this.#slot = new JobSlot(
      { username: this.#username, homedir: this.options.request.homedir },
      () => this.stateChanged(),
      (submitted) => this.announce('submitted', submitted),
    );
    this.#submitter = new Submitter(this.#client, this.#slot);
    this.#tracker = this.#newTracker();
    checkEndpoint(this.context, this.options);
    // A template that can't be filled in is found here, and not when someone waits for a server.
    const mark = newMark(this.context);
    const names = Object.fromEntries(
      Object.keys(this.options.environment).map((name) => [name, '']),
    );
    const facts = { mark, username: this.#username, homedir: this.options.request.homedir ?? '/' };
    this.#templates.prepare(facts, names, this.#commandEnv);
    this.#templates.check({ ...facts, jobId: '1' });
  }

  override start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, (start) => this.#launch(start));
  }

  override async poll(): Promise<ExitStatus | null> {
    const { job } = this.#slot;
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

  /** See `Spawner`. `now` also hurries a stop that is under way. */
  override stop(how: StopOptions = {}): Promise<void> {
    this.#now ||= how.now === true;
    return this.runStop(() => this.#terminate()).finally(() => {
      this.#now = false;
    });
  }

  override acceptPort(port: number): boolean {
    const { job } = this.#slot;
    if (job === undefined || this.#terminating || this.options.endpoint !== 'callback') {
      return false;
    }
    if (this.address !== undefined) {
      return this.address.port === port;
    }
    this.#slot.set({ ...job, port });
    this.#findAddress();
    return true;
  }

  protected override portText(): string {
    return this.options.endpoint === 'callback' ? portPlaceholder : String(this.options.port);
  }

  protected override saveFields(): Record<string, Json> {
    return this.#slot.job === undefined ? {} : saveJob(this.#slot.job);
  }

  protected override loadFields(fields: Readonly<Record<string, unknown>>): void {
    const job = loadJob(fields);
    if (job === undefined && fields['host'] !== undefined) {
      throw new StateError('The saved state has an address, but no job.');
    }
    this.#slot.load(job);
  }

  /** Forgets the job. */
  protected override clearFields(): void {
    this.#slot.load(undefined);
    this.#hosts = [];
    this.#tracker = this.#newTracker();
  }

  async #launch(start: StartScope): Promise<ServerAddress> {
    start.report(0, 'Preparing the job');
    const mark = newMark(this.context);
    const username = this.#username;
    const homedir = await start.step('submit', this.options.startTimeout, (signal) =>
      unlessAborted(
        signal,
        async () => this.options.request.homedir ?? this.#client.homedir(username),
      ),
    );
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
    this.#launching = true;
    this.#slot.set({ ...mark, submittedAt: Date.now() });
    try {
      start.report(5, 'Submitting the job');
      const job = await start.step('submit', this.options.startTimeout, (signal) =>
        this.#submitter.submit(prepared, signal, (message) => start.report(5, message)),
      );
      start.report(10, `Job ${job.id} is submitted`);
      return await this.#untilReady(start, prepared.logFile);
    } catch (error) {
      await this.#cleanUp();
      throw error;
    } finally {
      this.#launching = false;
    }
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
        return this.waitUntilReady(start, address, (signal) => this.#untilDeath(signal, logFile));
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
      const news = `${message} ${status.estimatedStart?.getTime()}`;
      if (news !== told) {
        told = news;
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
            const { port: _, ...job } = this.#slot.required;
            this.#slot.set(job);
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
      const job = this.#slot.required;
      if (!isSubmitted(job)) {
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
    const facts = this.#slot.facts(job);
    const tracked = await this.#tracker.status(this.#monitorOf(job.cluster), job, facts, since);
    const { endsAt, hosts = [] } = tracked.status;
    const current = this.#slot.job;
    if (current?.id === job.id && hasStarted(tracked.status)) {
      if (endsAt !== undefined && endsAt.getTime() !== current.endsAt) {
        this.#slot.set({ ...current, endsAt: endsAt.getTime() });
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
    const port = this.options.endpoint === 'fixed' ? this.options.port : this.#slot.job?.port;
    if (host !== undefined && port !== undefined) {
      this.#addressFound(this.address ?? this.setAddress(host, port));
    }
  }

  /** Finds out what became of a submission that the end of the hub cut off. */
  async #recover(job: Job): Promise<SubmittedJob | undefined> {
    if (this.#launching) {
      return undefined;
    }
    const found = await this.#submitter.find();
    this.#absent = found === 'none' ? this.#absent + 1 : 0;
    const { gracePeriod, commandTimeout } = this.options;
    const age = Date.now() - job.submittedAt;
    if (this.#absent >= 2 && age > gracePeriod + commandTimeout) {
      await this.ended(neverAccepted);
    }
    return typeof found === 'object' ? found : undefined;
  }

  async #terminate(): Promise<void> {
    this.#terminating = true;
    try {
      await terminate({
        slot: this.#slot,
        client: this.#client,
        submitter: this.#submitter,
        options: this.options,
        now: () => this.#now,
        status: (job, since) => this.#status(job, since),
        ended: (exit) => this.ended(exit),
      });
    } finally {
      this.#terminating = false;
    }
  }

  /** After a start that failed: nothing of it may stay. */
  async #cleanUp(): Promise<void> {
    try {
      await this.#terminate();
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `After a start that failed: ${messageOf(cause)}`,
        cause,
      });
    }
  }

  async #finish(job: SubmittedJob, { exit }: JobStatus): Promise<ExitStatus> {
    const status = exit ?? exitOfJob({ cause: 'unknown' });
    if (this.#slot.job?.id === job.id) {
      await this.ended(status);
    }
    return status;
  }

  get #username(): string {
    return this.options.request.username ?? this.account;
  }

  #newTracker(): JobTracker {
    return new JobTracker(this.#client, this.options, (warning) =>
      this.announce('warning', warning),
    );
  }
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
