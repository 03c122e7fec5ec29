import type { Ability, LogOptions } from '../abilities.ts';
import { firstOf, throwIfAborted, unlessAborted } from '../abort.ts';
import type { SpawnerContext } from '../context.ts';
import { kept } from '../environment.ts';
import { messageOf, OptionsError, StartError, StateError } from '../errors.ts';
import type { ExitStatus, ServerAddress } from '../events.ts';
import type { BatchOptions } from '../generated/options.ts';
import type { MarkedServer, StartMark } from '../mark.ts';
import { hubIdOf, newMark } from '../mark.ts';
import type { OptionsSchema } from '../options.ts';
import { sleep } from '../sleep.ts';
import type { StopOptions } from '../spawner.ts';
import { Spawner } from '../spawner.ts';
import type { StartScope } from '../start.ts';
import { endedEarly } from '../start.ts';
import type { Json } from '../state.ts';
import { seconds } from '../units.ts';
import { JobClient } from './client.ts';
import { exitOfJob } from './exit.ts';
import { HandOver } from './hand-over.ts';
import { isHost } from './host-list.ts';
import type { Job, SubmittedJob } from './job.ts';
import { isSubmitted, JobSlot, jobLost, loadJob, saveJob } from './job.ts';
import { JobMonitor } from './monitor.ts';
import { groupsIn } from './pattern-readers.ts';
import type { EnvironmentFile, PreparedJob } from './request.ts';
import { JobTemplates, portPlaceholder } from './request.ts';
import type { JobStatus, Scheduler } from './scheduler.ts';
import { withOverrides } from './scheduler.ts';
import { findInterval, Submitter } from './submitter.ts';
import { neverAccepted, terminate } from './terminate.ts';
import type { Tracked } from './tracker.ts';
import { JobTracker } from './tracker.ts';
import { hasStarted, isBack, WaitingJob } from './waiting.ts';

/**
 * Runs the server as a job of a batch system. A subclass says which one, by its static property
 * `scheduler`.
 */
export abstract class BatchSpawner<O extends BatchOptions = BatchOptions> extends Spawner<O> {
  /** All that is particular to the batch system; every class that can be used has one. */
  static readonly scheduler: Scheduler;

  /** That of the scheduler, which also allows those of its `requestNames` that it does not describe. */
  static override get schema(): OptionsSchema {
    const { schema, requestNames } = schedulerOf(this);
    return { ...(typeof schema === 'string' ? { $ref: schema } : schema), requestNames };
  }

  static override get kind(): string {
    return schedulerOf(this).name;
  }

  /** The scheduler of one spawner: what the class has, with what the options replace of it. */
  static schedulerFor(options: BatchOptions): Scheduler {
    return withOverrides(schedulerOf(this), options);
  }

  readonly #scheduler: Scheduler;
  readonly #templates: JobTemplates;
  readonly #client: JobClient;
  readonly #commandEnv: Readonly<Record<string, string>>;
  readonly #monitors = new Map<string, JobMonitor>();
  #tracker: JobTracker;
  readonly #slot: JobSlot;
  readonly #submitter: Submitter;
  readonly #handOver: HandOver;
  /** Under which the hub reaches the execution host of the running job. */
  #host: string | undefined;
  /** Why it can't be reached under what the batch system says of its execution host. */
  #hostProblem: string | undefined;
  /** When a port was reported last, in ms of `performance.now()`: older answers are about another run. */
  #reportedAt = 0;
  /** The port that is known was reported again, perhaps by a run that nobody has seen yet. */
  #reportedAgain = false;
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
    const { scheduler, templates } = partsOf(new.target, this.options);
    this.#scheduler = scheduler;
    this.#templates = templates;
    this.#commandEnv = {
      ...kept(['PATH', ...this.#scheduler.environment]),
      LC_ALL: 'C',
      TZ: 'UTC',
      ...this.options.commandEnvironment,
    };
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
    this.#handOver = new HandOver(
      this.#client,
      this.#slot,
      (job) => this.#prepare(job),
      (warning) => this.announce('warning', warning),
    );
    this.#tracker = this.#newTracker();
    checkEndpoint(this.context, this.options);
    // A template that can't be filled in is found here, and not when someone waits for a server.
    const mark = newMark(this.context, this.#scheduler.jobNameLength);
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

  override get tag(): string | undefined {
    return this.#slot.job?.tag;
  }

  override get abilities(): readonly Ability[] {
    return ['logs'];
  }

  /** The end of the job's `logFile`, which has no times: `since` is not heeded. */
  override async logs({ lines = 100 }: LogOptions = {}): Promise<string | null> {
    const { logFile } = this.#slot.job ?? {};
    return logFile === undefined
      ? null
      : ((await this.#client.logTail(logFile, this.apiToken, lines)) ?? null);
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

  override async survey(since?: number): Promise<readonly MarkedServer[] | undefined> {
    const hubId = hubIdOf(this.context);
    return hubId === undefined ? [] : this.#client.survey(hubId, since);
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
    if (
      job === undefined ||
      this.detached ||
      this.#terminating ||
      this.options.endpoint !== 'callback'
    ) {
      return false;
    }
    // The job has read its environment before it looked for a port.
    const { environmentFile: _, ...rest } = job;
    this.#reportedAt = performance.now();
    if (this.address === undefined) {
      this.#slot.set({ ...rest, port });
    } else if (this.address.port === port) {
      this.#reportedAgain = !this.starting;
    } else {
      this.#slot.set({ ...rest, port, ...(!this.starting && { moving: true }) });
      this.#host = undefined;
      this.clearAddress();
    }
    this.#findAddress();
    if (!this.starting) {
      void this.#lookAgain();
    }
    return true;
  }

  override get awaitedPort(): number | undefined {
    // A job that has started anew reports its port too, and nobody waits until it listens.
    const since = performance.now() - this.#reportedAt;
    const isNew = this.#reportedAt > 0 && since < this.options.httpTimeout;
    return this.starting || isNew ? this.#slot.job?.port : undefined;
  }

  /** The name under which the hub reaches an execution host; see the option `execHost`. */
  protected hostOf(node: string): string {
    const { execHost } = this.options;
    return execHost === undefined
      ? node
      : node.replace(new RegExp(execHost.pattern ?? '', 'u'), execHost.replacement);
  }

  protected override portText(): string {
    return this.options.endpoint === 'callback' ? portPlaceholder : String(this.options.port);
  }

  protected override saveFields(): Record<string, Json> {
    return this.#slot.job === undefined ? {} : saveJob(this.#slot.job);
  }

  protected override loadFields(fields: Readonly<Record<string, unknown>>): void {
    const job = loadJob(fields, this.#username);
    if (job === undefined && fields['host'] !== undefined) {
      throw new StateError('The saved state has an address, but no job.');
    }
    this.#slot.load(job);
  }

  /** Forgets the job. */
  protected override clearFields(): void {
    this.#slot.load(undefined);
    this.#host = undefined;
    this.#hostProblem = undefined;
    this.#reportedAt = 0;
    this.#reportedAgain = false;
    this.#absent = 0;
    this.#monitors.clear();
    this.#tracker = this.#newTracker();
  }

  async #launch(start: StartScope): Promise<ServerAddress> {
    start.report(0, 'Preparing the job');
    const mark = newMark(this.context, this.#scheduler.jobNameLength);
    const prepared = await start.step('submit', this.options.startTimeout, (signal) =>
      unlessAborted(signal, () => this.#prepare(mark)),
    );
    for (const option of this.#templates.unused) {
      this.announce('warning', {
        code: 'option-unused',
        message: `The option ${option} has no effect on the job: neither the script nor a command of ${this.#scheduler.name} uses it.`,
      });
    }
    throwIfAborted(start.signal);
    const { environmentFile } = prepared;
    this.#launching = true;
    this.#slot.set({
      ...mark,
      submittedAt: Date.now(),
      logFile: prepared.logFile,
      ...(environmentFile && { environmentFile: environmentFile.path }),
    });
    try {
      await this.#beforeSubmission(environmentFile, start.signal);
      start.report(5, 'Submitting the job');
      const job = await start.step(
        'submit',
        this.options.startTimeout,
        (signal) => this.#submitter.submit(prepared, signal, (message) => start.report(5, message)),
        () => this.#submitter.doubt,
      );
      start.report(10, `Job ${job.id} is submitted`);
      return await this.#untilReady(start, prepared.logFile);
    } catch (error) {
      // Where there is no job, nobody else will remove the file.
      if (!this.detached || this.#slot.job === undefined) {
        await this.#cleanUp(environmentFile?.path);
      }
      throw error;
    } finally {
      this.#launching = false;
    }
  }

  /** From a saved job, whose submission may have been cut off, to a server that answers. */
  protected override async awaitServer(start: StartScope): Promise<ServerAddress> {
    const { id, logFile } = await start.step('submit', this.options.startTimeout, (signal) =>
      this.#untilFound(signal),
    );
    start.report(10, `Job ${id} is submitted`);
    return this.#untilReady(start, logFile);
  }

  async #untilFound(signal: AbortSignal): Promise<SubmittedJob> {
    for (;;) {
      throwIfAborted(signal);
      const job = this.#slot.required;
      const found = isSubmitted(job) ? job : await this.#recover(job, signal);
      if (found !== undefined) {
        return found;
      }
      if (this.#slot.job === undefined) {
        throw new StartError('The hub ended while the job was submitted, and there is no job.', {
          retryable: true,
        });
      }
      await sleep(findInterval, signal);
    }
  }

  async #beforeSubmission(file: EnvironmentFile | undefined, signal: AbortSignal): Promise<void> {
    try {
      await this.untilSaved();
      if (file !== undefined) {
        await this.#handOver.write(file);
      }
      throwIfAborted(signal);
    } catch (error) {
      // It is certain that there is no job.
      this.#slot.set(undefined);
      throw error;
    }
  }

  /** From a submitted job to a server that answers. */
  async #untilReady(start: StartScope, logFile: string | undefined): Promise<ServerAddress> {
    const { queueTimeout, startTimeout } = this.options;
    for (;;) {
      await start.step('queue', queueTimeout, (signal) =>
        this.#untilRunning(start, signal, logFile),
      );
      const host = this.#host ?? '';
      this.announce('running', { host });
      const where = host === '' ? '' : ` on ${host}`;
      const next =
        host === '' ? 'the batch system to say where' : 'its server to say where it listens';
      start.report(50, `The job runs${where}; waiting for ${next}`);
      const address = await start.step(
        'launch',
        startTimeout,
        (signal) => this.#untilAddress(signal, logFile),
        () => this.#hostMissing(),
      );
      if (address !== undefined) {
        try {
          return await this.waitUntilReady(start, address, (signal) =>
            this.#untilDeath(address, signal, logFile),
          );
        } catch (error) {
          if (error !== startsAnew) {
            throw error;
          }
        }
      }
      start.report(20, 'The job was put back into the queue');
      this.#slot.queuedAgain();
    }
  }

  #hostMissing(): StartError | undefined {
    return this.#host === undefined
      ? new StartError(
          `The batch system does not say on which host the job ${this.#slot.job?.id ?? ''} runs.`,
        )
      : undefined;
  }

  async #untilRunning(
    start: StartScope,
    signal: AbortSignal,
    logFile: string | undefined,
  ): Promise<void> {
    const waiting = new WaitingJob(this.#client, this.#scheduler, this.options.held);
    for await (const status of this.#statuses(signal, logFile)) {
      if (hasStarted(status)) {
        return;
      }
      const news = await unlessAborted(signal, () =>
        waiting.news(status, this.#slot.facts(this.#slot.required)),
      );
      if (news !== undefined) {
        start.report(20, news, status.estimatedStart);
      }
    }
    throw jobLost();
  }

  /** The address of the server; undefined if the job went back into the queue. */
  #untilAddress(
    signal: AbortSignal,
    logFile: string | undefined,
  ): Promise<ServerAddress | undefined> {
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
        for await (const status of this.#statuses(inner, logFile)) {
          if (isBack(status)) {
            return undefined;
          }
        }
        throw jobLost();
      },
    );
  }

  /** Throws when the job has ended, or its server is no longer where it was. */
  async #untilDeath(
    { url }: ServerAddress,
    signal: AbortSignal,
    logFile: string | undefined,
  ): Promise<never> {
    for await (const _ of this.#statuses(signal, logFile)) {
      if (this.address?.url !== url) {
        throw startsAnew;
      }
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
    logFile: string | undefined,
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
        const log = logFile && (await this.#client.logTail(logFile, this.apiToken));
        const exit = await this.#finish(job, status);
        throw endedEarly(
          `The job ${job.id} ended before its server answered: ${exit.message}${log ? ` The end of its log:\n${log}` : ''}`,
          exit,
          log,
        );
      }
      if (hasStarted(status) && this.#host === undefined && this.#hostProblem !== undefined) {
        throw new StartError(this.#hostProblem);
      }
      yield status;
    }
  }

  async #status(job: SubmittedJob, since = 0, cancelled = false): Promise<Tracked> {
    const facts = this.#slot.facts(job);
    const monitor = this.#monitorOf(job);
    const tracked = await this.#tracker.status(monitor, job, facts, since, cancelled);
    if (this.#slot.job?.id === job.id && tracked.at >= this.#reportedAt) {
      await this.#follow(this.#slot.job, tracked);
    }
    return tracked;
  }

  /** Takes over where the job runs, until when, and that it has started anew. */
  async #follow(job: Job, { status, at }: Tracked): Promise<void> {
    if (isBack(status)) {
      // A list may say for a while that a job waits which has begun to run and reported its port.
      const isStale = job.port !== undefined && at - this.#reportedAt > this.options.gracePeriod;
      if (job.run !== undefined || isStale || this.address !== undefined) {
        const { run: _, port: __, endsAt: ___, wasSuspended: ____, ...rest } = job;
        this.#slot.set({ ...rest, ...(!this.starting && { moving: true }) });
        this.#host = undefined;
        this.clearAddress();
        await this.#renewEnvironment();
      }
      return;
    }
    const [node] = status.hosts ?? [];
    if (!hasStarted(status) || node === undefined) {
      return;
    }
    const host = this.hostOf(node);
    if (!isHost(host)) {
      this.#mistrust(job, node, host);
      return;
    }
    this.#host = host;
    this.#hostProblem = undefined;
    const run = `${status.run ?? status.startedAt?.toISOString() ?? ''}@${node}`;
    const before = run === job.run ? job : undefined;
    // With some, the time does not count for which it is suspended; what they list counts it.
    const wasSuspended = status.state === 'suspended' || before?.wasSuspended === true;
    const endsAt = wasSuspended ? undefined : (status.endsAt?.getTime() ?? before?.endsAt);
    if (
      before === undefined ||
      endsAt !== before.endsAt ||
      wasSuspended !== (before.wasSuspended === true)
    ) {
      const { endsAt: _, wasSuspended: __, ...rest } = job;
      this.#slot.set({
        ...rest,
        run,
        ...(endsAt !== undefined && { endsAt }),
        ...(wasSuspended && { wasSuspended }),
      });
    }
    this.#findAddress();
    if (job.run !== undefined && run !== job.run) {
      await this.#renewEnvironment();
    }
  }

  /** Tells, once, of an execution host that can't stand in an address. */
  #mistrust({ id }: Job, node: string, host: string): void {
    const given = [...new Set([node, host])].map((name) => JSON.stringify(name.slice(0, 200)));
    const message = `The execution host of job ${id} is given as ${given.join(', which becomes ')}: this is no name or address of a host; see the option execHost.`;
    if (!this.starting && message !== this.#hostProblem) {
      this.announce('warning', { code: 'host-unusable', message });
    }
    this.#hostProblem = message;
  }

  async #renewEnvironment(): Promise<void> {
    if (this.#scheduler.jobEnvironment === 'public' && !this.#terminating) {
      await this.#handOver.renew();
    }
  }

  async #prepare(mark: StartMark): Promise<PreparedJob> {
    const username = this.#username;
    const homedir = this.options.request.homedir ?? (await this.#client.homedir(username));
    return this.#templates.prepare(
      { mark, username, homedir },
      this.environment(),
      this.#commandEnv,
    );
  }

  #monitorOf({ id, cluster }: SubmittedJob): JobMonitor {
    const jobId = this.#templates.asksEach ? id : undefined;
    const key = JSON.stringify([cluster, jobId]);
    let monitor = this.#monitors.get(key);
    if (monitor === undefined) {
      monitor = JobMonitor.of(this.runner, {
        scheduler: this.#scheduler,
        argv: this.#templates.query({ jobId, cluster }),
        ...(jobId !== undefined && { jobId }),
        options: {
          // What is about one job is asked as its owner, from whom no site hides it.
          ...(jobId !== undefined && { user: this.account }),
          env: this.#commandEnv,
          timeout: this.options.commandTimeout,
        },
        interval: this.options.queryInterval,
      });
      this.#monitors.set(key, monitor);
    }
    return monitor;
  }

  /** Sets the address once both host and port are known; tells of one that a ready server has moved to. */
  #findAddress(): void {
    const { job } = this.#slot;
    const isFixed = this.options.endpoint === 'fixed';
    const port = isFixed ? this.options.port : job?.port;
    const host = this.#host;
    if (job === undefined || host === undefined || port === undefined) {
      return;
    }
    // A new host alone is news only where its port is known: fixed, or reported once more.
    const { address } = this;
    const stays =
      address !== undefined && (address.host === host || !(isFixed || this.#reportedAgain));
    if (stays) {
      this.#addressFound(address);
      return;
    }
    this.#reportedAgain = false;
    const moved = this.setAddress(host, port);
    this.#addressFound(moved);
    if (!this.starting && (address !== undefined || job.moving === true)) {
      const { moving: _, ...settled } = job;
      this.#slot.set(settled);
      this.announce('moved', moved);
    }
  }

  /** Asks where the job runs now, because its server has reported a port. */
  async #lookAgain(): Promise<void> {
    const { job } = this.#slot;
    try {
      if (job !== undefined && isSubmitted(job)) {
        await this.#status(job, this.#reportedAt);
        // The host of now was seen: what is seen later is not what this report was about.
        this.#reportedAgain = false;
      }
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `It could not be asked where the server is now: ${messageOf(cause)}`,
        cause,
      });
    }
  }

  /** Finds out what became of a submission that the end of the hub cut off. */
  async #recover(job: Job, signal?: AbortSignal): Promise<SubmittedJob | undefined> {
    if (this.#launching) {
      return undefined;
    }
    const found = await this.#submitter.find(signal);
    this.#absent = found === 'none' ? this.#absent + 1 : 0;
    const { gracePeriod, commandTimeout } = this.options;
    const age = Date.now() - job.submittedAt;
    if (this.#absent >= 2 && age > gracePeriod + commandTimeout) {
      await this.#end(neverAccepted(this.#submitter));
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
        signal: this.lettingGo,
        now: () => this.#now,
        status: (job, since, cancelled) => this.#status(job, since, cancelled),
        ended: (exit) => this.#end(exit),
      });
    } finally {
      this.#terminating = false;
    }
  }

  /** After a start that failed: nothing of it may stay. */
  async #cleanUp(environmentFile: string | undefined): Promise<void> {
    try {
      await this.#terminate();
      // Where there never was a job, there was no end of one.
      await this.#handOver.discard(environmentFile);
    } catch (cause) {
      if (this.detached) {
        return;
      }
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
      await this.#end(status);
    }
    return status;
  }

  /** The job has ended; whether it has read its environment or not, the file goes. */
  async #end(exit: ExitStatus): Promise<void> {
    const { job } = this.#slot;
    await this.#handOver.discard(job?.environmentFile);
    // Another poll may have seen the end too, and a new start have begun since.
    if (this.#slot.job?.tag === job?.tag) {
      await this.ended(exit);
    }
  }

  get #username(): string {
    return this.options.request.username ?? this.account;
  }

  #newTracker(): JobTracker {
    return new JobTracker(this.#client, this.options, this.#scheduler, this.#walltime, (warning) =>
      this.announce('warning', warning),
    );
  }

  /** In ms: the walltime that the batch system is asked for; undefined where it is not, or for none. */
  get #walltime(): number | undefined {
    const { runtime = '0' } = this.options.request;
    const isAsked = !this.#templates.unused.includes('request.runtime');
    return isAsked && seconds(runtime) > 0 ? 1000 * seconds(runtime) : undefined;
  }
}

/** @throws OptionsError for a class that does not say which batch system it is for */
function schedulerOf({
  name,
  scheduler,
}: {
  readonly name: string;
  readonly scheduler?: Scheduler;
}): Scheduler {
  if (scheduler === undefined) {
    throw new OptionsError(
      'scheduler',
      `a static property of the class ${name}`,
      `The class ${name} does not say which batch system it is for: give it a scheduler object as its static property scheduler, as in \`static override readonly scheduler: Scheduler = { … }\`.`,
    );
  }
  return scheduler;
}

/** What spawners of a class have in common where their options are the same object. */
interface Parts {
  readonly scheduler: Scheduler;
  readonly templates: JobTemplates;
}

const parts = new WeakMap<BatchOptions, WeakMap<typeof BatchSpawner, Parts>>();

function partsOf(Class: typeof BatchSpawner, options: BatchOptions): Parts {
  const ofOptions = parts.get(options) ?? new WeakMap<typeof BatchSpawner, Parts>();
  parts.set(options, ofOptions);
  let made = ofOptions.get(Class);
  if (made === undefined) {
    checkExecHost(options);
    const scheduler = Class.schedulerFor(options);
    made = { scheduler, templates: new JobTemplates(scheduler, options) };
    ofOptions.set(Class, made);
  }
  return made;
}

/** A group that the pattern lacks would be in the name as `$3`, or be nothing. */
function checkExecHost({ execHost }: BatchOptions): void {
  const { pattern = '', replacement = '' } = execHost ?? {};
  const names = groupsIn(pattern);
  // With an empty alternative it matches: all of it, and each group.
  const count = (new RegExp(`${pattern}|`, 'u').exec('')?.length ?? 1) - 1;
  for (const [text, number, name = ''] of replacement.matchAll(/\$(?:(\d)|<(\w+)>)/g)) {
    const isKnown = number === undefined ? names.includes(name) : Number(number) <= count;
    if (!isKnown) {
      throw new OptionsError(
        'execHost.replacement',
        `a text without ${text}: the pattern has no such group`,
      );
    }
  }
}

/** Thrown to wait for the next run of a job. */
const startsAnew = new Error('The job starts anew.');

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
