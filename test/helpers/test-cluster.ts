import { unlessAborted } from '../../lib/abort.ts';
import type { SpawnerContext } from '../../lib/context.ts';
import { CommandError, StartError, StateError, StopError } from '../../lib/errors.ts';
import type { ExitStatus, ServerAddress } from '../../lib/events.ts';
import type { SpawnerOptions } from '../../lib/generated/options.ts';
import type { MarkedServer } from '../../lib/mark.ts';
import { hubIdOf, newMark, serverOf } from '../../lib/mark.ts';
import { sleep } from '../../lib/sleep.ts';
import type { StopOptions } from '../../lib/spawner.ts';
import { Spawner } from '../../lib/spawner.ts';
import type { StartScope } from '../../lib/start.ts';
import type { Json } from '../../lib/state.ts';
import { cancelled } from './test-spawner.ts';

/** What spawners ask of a cluster; `submitted` is between a submission and its answer. */
export type ClusterCall = 'submit' | 'submitted' | 'query' | 'cancel' | 'survey' | 'answer';

interface Job {
  readonly id: string;
  readonly tag: string;
  readonly account: string;
  isQueued: boolean;
  exit: ExitStatus | null;
}

interface Mark {
  readonly tag: string;
  readonly id?: string;
}

/** Runs the servers of test spawners as jobs, and outlives hubs. Nothing of it takes time. */
export class TestCluster {
  /** Whether new jobs wait in the queue, until `run()`. */
  queues: boolean;
  /** Whether their servers answer HTTP. */
  answers: boolean;
  /** Whether it answers questions, and does what it is asked for. */
  isUp = true;
  /** Whether all who ask at the same time get the same list, as of a batch system. */
  sharesLists = false;
  #list: readonly MarkedServer[] = [];
  /** Called before each answer, which waits for it, and fails as it does. */
  before: (call: ClusterCall, tag?: string) => void | Promise<void> = () => {};
  /** How often it was asked for what. */
  readonly calls = { submit: 0, submitted: 0, query: 0, cancel: 0, survey: 0, answer: 0 };
  readonly #jobs: Job[];
  #waiting: (() => void)[] = [];

  /** @param earlier the same cluster, as an earlier hub sees it */
  constructor(earlier?: TestCluster) {
    this.#jobs = earlier === undefined ? [] : earlier.#jobs;
    this.queues = earlier?.queues ?? false;
    this.answers = earlier?.answers ?? true;
  }

  /** The same object for the same list, where that is wanted. */
  shared(list: readonly MarkedServer[]): readonly MarkedServer[] {
    const same = this.sharesLists && JSON.stringify(list) === JSON.stringify(this.#list);
    this.#list = same ? this.#list : list;
    return this.#list;
  }

  async asked(call: ClusterCall, tag?: string): Promise<void> {
    this.calls[call] += 1;
    await this.before(call, tag);
    if (!this.isUp) {
      throw new CommandError('The cluster does not answer.', { command: call, retryable: true });
    }
  }

  async submit(tag: string, account: string): Promise<string> {
    await this.asked('submit', tag);
    const id = this.add(tag, account);
    await this.asked('submitted', tag);
    return id;
  }

  /** Adds a job that no spawner has submitted. */
  add(tag: string, account: string): string {
    const id = `job-${this.#jobs.length + 1}`;
    this.#jobs.push({ id, tag, account, isQueued: this.queues, exit: null });
    return id;
  }

  /** The job of a tag, as the cluster tells of it. */
  async find(tag: string): Promise<Job | undefined> {
    await this.asked('query', tag);
    return this.#jobs.find((job) => job.tag === tag);
  }

  async cancel(tag: string): Promise<void> {
    await this.asked('cancel', tag);
    for (const job of this.alive.filter((alive) => alive.tag === tag)) {
      this.end(cancelled, job.id);
    }
  }

  /** Resolves when a job has left the queue, or has ended. */
  async untilRun(id: string): Promise<ExitStatus | null> {
    for (;;) {
      const job = this.#jobs.find((other) => other.id === id);
      if (job === undefined || !job.isQueued || job.exit !== null) {
        return job?.exit ?? null;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Lets all jobs run that wait in the queue. */
  run(): void {
    for (const job of this.#jobs) {
      job.isQueued = false;
    }
    this.#wake();
  }

  /** Ends a job, or all. */
  end(exit: ExitStatus, id?: string): void {
    for (const job of this.alive) {
      if (id === undefined || job.id === id) {
        job.exit = exit;
      }
    }
    this.#wake();
  }

  /** The jobs that have not ended. */
  get alive(): readonly Job[] {
    return this.#jobs.filter(({ exit }) => exit === null);
  }

  /** How many jobs there were. */
  get launched(): number {
    return this.#jobs.length;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) {
      resolve();
    }
  }
}

/** A class of spawners whose servers are jobs of a cluster. */
export function spawnersOf(
  cluster: TestCluster,
): new (
  context: SpawnerContext,
  options?: Partial<SpawnerOptions>,
) => ClusterSpawner {
  return class extends ClusterSpawner {
    constructor(context: SpawnerContext, options?: Partial<SpawnerOptions>) {
      super(cluster, context, options);
    }
  };
}

/** Its job is marked and saved before it is submitted, as that of a batch system is. */
export class ClusterSpawner extends Spawner<SpawnerOptions> {
  static override readonly kind: string = 'cluster';
  readonly cluster: TestCluster;
  #job: Mark | undefined;
  /** How it was told to stop. */
  readonly stops: StopOptions[] = [];

  constructor(cluster: TestCluster, context: SpawnerContext, options?: Partial<SpawnerOptions>) {
    super(context, options);
    this.cluster = cluster;
  }

  override get tag(): string | undefined {
    return this.#job?.tag;
  }

  start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, async (start) => {
      start.report(0, 'Preparing');
      const { tag } = newMark(this.context, 64);
      this.#set({ tag });
      try {
        await this.untilSaved();
      } catch (error) {
        this.#set(undefined);
        throw error;
      }
      try {
        const id = await this.cluster.submit(tag, this.account);
        this.#set({ tag, id });
        this.announce('submitted', { id });
        start.report(10, 'Submitted');
        return await this.#untilReady(start, id);
      } catch (error) {
        if (!this.detached) {
          await this.#cancel().catch(() => {});
        }
        throw error;
      }
    });
  }

  async poll(): Promise<ExitStatus | null> {
    const job = this.#job;
    const found = job && (await this.cluster.find(job.tag).catch(() => null));
    if (job === undefined || found === null || job.tag !== this.#job?.tag) {
      return this.exit ?? null;
    }
    if (found === undefined) {
      await this.ended({ ...cancelled, cause: 'unknown', message: 'It was never submitted.' });
    } else if (found.exit !== null) {
      await this.ended(found.exit);
    } else if (job.id === undefined) {
      this.#set({ tag: found.tag, id: found.id });
    }
    return this.exit ?? null;
  }

  stop(how: StopOptions = {}): Promise<void> {
    this.stops.push(how);
    return this.runStop(async () => {
      try {
        await this.#cancel();
      } catch (cause) {
        throw new StopError('The job could not be cancelled.', { cause, retryable: true });
      }
    });
  }

  override async survey(): Promise<readonly MarkedServer[] | undefined> {
    const hubId = hubIdOf(this.context);
    if (hubId === undefined) {
      return [];
    }
    try {
      await this.cluster.asked('survey');
    } catch {
      return undefined;
    }
    const list = this.cluster.alive.flatMap(({ id, tag, account }) => {
      const server = serverOf(tag, hubId);
      const state = { version: 1, spawner: ClusterSpawner.kind, tag, id, account } as const;
      return server === undefined ? [] : [{ ...server, id, tag, state }];
    });
    return this.cluster.shared(list);
  }

  protected override async awaitServer(start: StartScope): Promise<ServerAddress> {
    for (;;) {
      await unlessAborted(start.signal, () => this.poll());
      if (this.#job?.id !== undefined) {
        return this.#untilReady(start, this.#job.id);
      }
      if (this.#job === undefined) {
        throw new StartError('The job has ended, or there was none.');
      }
      await sleep(1000, start.signal);
    }
  }

  protected override async answers(): Promise<boolean> {
    try {
      await this.cluster.asked('answer');
    } catch {
      return false;
    }
    return this.cluster.answers;
  }

  protected override saveFields(): Record<string, Json> {
    return this.#job === undefined ? {} : { ...this.#job, account: this.account };
  }

  protected override loadFields({ tag, id, account }: Readonly<Record<string, unknown>>): void {
    if (tag === undefined) {
      return;
    }
    if (typeof tag !== 'string' || (id !== undefined && typeof id !== 'string')) {
      throw new StateError('The saved state has no job.');
    }
    if (account !== this.account) {
      throw new StateError(`The job belongs to ${account}.`);
    }
    this.#job = { tag, ...(id !== undefined && { id }) };
  }

  protected override clearFields(): void {
    this.#job = undefined;
  }

  async #untilReady(start: StartScope, id: string): Promise<ServerAddress> {
    const exit = await start.step('queue', null, (signal) =>
      unlessAborted(signal, () => this.cluster.untilRun(id)),
    );
    if (exit !== null) {
      await this.ended(exit);
      throw new StartError(exit.message, { exit });
    }
    this.announce('running', { host: 'node1' });
    start.report(50, 'Running');
    return this.waitUntilReady(start, this.setAddress('node1', 4000), async (signal) => {
      for (;;) {
        await sleep(1000, signal);
        await unlessAborted(signal, () => this.poll());
        if (this.#job === undefined) {
          throw new StartError('It has ended.', { ...(this.exit && { exit: this.exit }) });
        }
      }
    });
  }

  async #cancel(): Promise<void> {
    if (this.#job !== undefined) {
      await this.cluster.cancel(this.#job.tag);
      await this.ended(cancelled);
    }
  }

  #set(job: Mark | undefined): void {
    this.#job = job;
    this.stateChanged();
  }
}
