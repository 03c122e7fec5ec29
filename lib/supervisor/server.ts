import { inspect } from 'node:util';
import type { EventEmitter } from 'eventemitter3';
import { throwIfAborted, unlessAborted } from '../abort.ts';
import type { SpawnerUser } from '../context.ts';
import {
  AbortError,
  messageOf,
  OptionsError,
  StartError,
  StopError,
  StoreError,
} from '../errors.ts';
import type { ExitStatus, ServerAddress, SpawnerWarning } from '../events.ts';
import type { ProgressEvent } from '../progress.ts';
import { ProgressLog } from '../progress.ts';
import { atMost } from '../sleep.ts';
import type { Spawner, StopOptions } from '../spawner.ts';
import type { SpawnerState } from '../state.ts';
import type { SupervisorEvents } from './events.ts';
import type { Failures } from './failures.ts';
import type { Phase, ServerRecord, ServerRequest } from './record.ts';
import { keyOf, writeRecord } from './record.ts';
import { Saver } from './saver.ts';
import type { StartHome } from './start.ts';
import { ServerStart } from './start.ts';
import type { ServerStatus } from './status.ts';
import type { ServerStore } from './store.ts';
import type { ServerSummary, SupervisedServer } from './supervised-server.ts';

/** What a server needs of its supervisor. */
export interface ServerHome extends StartHome {
  readonly store: ServerStore;
  readonly failures: Failures;
  /**
   * Makes the spawner of a server. Throws what keeps it from being made.
   *
   * @param signal aborted when it is not wanted any more
   */
  create(request: ServerRequest, signal?: AbortSignal): Promise<Spawner>;
  /** Emits an event. */
  tell<E extends keyof SupervisorEvents>(
    event: E,
    ...details: EventEmitter.EventArgs<SupervisorEvents, E>
  ): void;
  /** What could not be asked about a server for a while answers again. */
  answered(): void;
  /** The server has ended, and nothing keeps it any more. */
  removed(server: ManagedServer): void;
}

/** In ms: how long the store is waited for where all goes on without it. */
const saveTime = 5000;

/** One server from the request for it to its end. */
export class ManagedServer implements SupervisedServer {
  readonly key: string;
  readonly request: ServerRequest;
  readonly requestedAt: Date;
  lastActivity: Date;
  readonly #home: ServerHome;
  readonly #saver: Saver;
  #spawner: Spawner | undefined;
  #status: ServerStatus = 'waiting';
  #problem: string | undefined;
  /** How often in a row it did not answer. */
  #silences = 0;
  /** Of its start. */
  readonly progressLog = new ProgressLog();
  /** The start under way, or the last one. */
  #starting: Promise<ServerAddress> | undefined;
  /** It is under way, until the store has what came of it. */
  #isBeginning = false;
  #stopping: Promise<void> | undefined;
  /** Resolves when the store has that it is to be stopped. */
  #stopKept: Promise<unknown> = Promise.resolve();
  readonly #start: ServerStart;
  #isDetached = false;
  /** Nothing that becomes of it is the business of this hub any more. */
  #isLetGo = false;
  #wasReady = false;
  #isPolling = false;
  /** Its end is told, and its hook called; or it is told that its start has failed. */
  #leaving: Promise<void> | undefined;
  /** How it ended. */
  #exit: ExitStatus | undefined;
  #isRemoved = false;
  #isForgotten = false;
  #forgetting: Promise<void> | undefined;
  #leave: () => void = () => {};
  /** Resolves when the server has ended, and nothing keeps it any more. */
  readonly gone = new Promise<void>((resolve) => {
    this.#leave = resolve;
  });

  /** @param before its record is not written until that has resolved */
  constructor(
    home: ServerHome,
    request: ServerRequest,
    requestedAt = new Date(),
    before?: Promise<void>,
  ) {
    this.#home = home;
    this.request = request;
    this.requestedAt = requestedAt;
    this.lastActivity = requestedAt;
    this.key = keyOf(request.user.name, request.serverName);
    this.#start = new ServerStart(home, request.user.name, {
      setStatus: (status) => this.#setStatus(status),
      tell: (event) => this.#tellProgress(event),
    });
    this.#saver = new Saver(home.store, this.key, () => writeRecord(this.#record()), before);
  }

  get user(): SpawnerUser {
    return this.request.user;
  }

  get serverName(): string {
    return this.request.serverName;
  }

  get spawnerName(): string {
    return this.request.spawnerName;
  }

  get options(): ServerRequest['options'] {
    return this.request.options;
  }

  get status(): ServerStatus {
    return this.#status;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  get address(): ServerAddress | undefined {
    return this.#spawner?.address;
  }

  get spawner(): Spawner | undefined {
    return this.#spawner;
  }

  /** Whether it is ready, healthy or not, and nobody stops it. */
  get isUp(): boolean {
    return this.#status === 'ready' || this.#status === 'unhealthy';
  }

  /** Whether a stop was asked for that has failed, and that nobody is trying just now. */
  get isStopDue(): boolean {
    return this.#status === 'stopping' && this.#stopping === undefined && !this.#isRemoved;
  }

  /**
   * Resolves when it is removed, where it has ended by itself or its start has failed; undefined where
   * that is not so.
   */
  get leaving(): Promise<void> | undefined {
    return this.#leaving;
  }

  progress(): AsyncIterable<ProgressEvent> {
    return this.progressLog.follow();
  }

  toJSON(): ServerSummary {
    const { user, serverName, spawnerName, options } = this;
    const { status, problem, address, requestedAt, lastActivity } = this;
    return {
      ...{ user, serverName, spawnerName, options },
      ...{ status, problem, address, requestedAt, lastActivity },
    };
  }

  [inspect.custom](): ServerSummary {
    return this.toJSON();
  }

  /** Resolves when it is ready, for all who ask; rejects as its start does. */
  async whenReady(): Promise<ServerAddress> {
    if (this.#starting !== undefined && (this.#isBeginning || !this.isUp)) {
      return this.#starting;
    }
    if (this.address === undefined) {
      throw new StartError('The server is there already, and about to move to another host.', {
        retryable: true,
      });
    }
    return this.address;
  }

  /**
   * Begins to start it.
   *
   * @param left a job or unit that carries its mark, to go on with
   */
  start(left?: SpawnerState): void {
    this.#begin(async () => {
      this.#home.tell('status', this);
      const { signal } = this.#start;
      await unlessAborted(signal, () => this.#saver.save());
      throwIfAborted(signal);
      const spawner = await unlessAborted(signal, () => this.#home.create(this.request, signal));
      throwIfAborted(signal);
      this.#watch(spawner);
      if (left !== undefined) {
        this.#setStatus('starting');
        this.adopt(left);
        return this.#start.goOn(spawner);
      }
      return this.#start.begin(spawner);
    });
  }

  /**
   * Takes over what the store says of it, without asking anybody.
   *
   * @throws what keeps the spawner from being made, or StateError
   */
  async load({ state, phase }: ServerRecord): Promise<void> {
    const spawner = await this.#home.create(this.request);
    if (state !== undefined) {
      spawner.loadState(state);
    }
    this.#watch(spawner);
    this.#status = phase;
    if (phase === 'starting' && !spawner.hasServer) {
      this.#start.doubt();
    }
    this.#wasReady = phase !== 'starting';
    if (this.#wasReady) {
      this.progressLog.end();
    }
  }

  /** Finds out what became of it while the hub was away, and goes on with what was under way. */
  async recover(): Promise<void> {
    if (this.#isDetached) {
      return;
    }
    this.lastActivity = new Date();
    switch (this.#status) {
      case 'ready':
        if (this.#spawner?.hasServer === true) {
          await this.poll();
          await this.#leaving;
        }
        if (this.#spawner?.hasServer === false) {
          // Its end was known already, but not its removal.
          await this.#remove();
        } else {
          this.#home.tell('status', this);
        }
        return;
      case 'stopping':
        this.#home.tell('status', this);
        void this.stopAgain();
        return;
      default:
        this.#home.tell('status', this);
        this.#goOn();
    }
  }

  /** Whether its start was cut off when nothing was known yet of a job or unit: there may be one. */
  get isUnclear(): boolean {
    return this.#start.isUnclear && this.#spawner?.hasServer === false;
  }

  /** All have answered who could know of a job or unit. */
  clarify(): void {
    this.#start.clarify();
  }

  /**
   * Takes a job or unit that carries its mark, since its own is not there: where it is unclear if there
   * is one, and before `recover()`.
   *
   * @throws StateError if it is none of this server
   */
  adopt(state: SpawnerState): void {
    const spawner = this.#spawner;
    // The list may come from another class of the same batch system.
    spawner?.loadState({ ...state, spawner: spawner.getState().spawner });
    if (this.#status === 'ready') {
      this.#status = 'starting';
    }
    this.#start.clarify();
  }

  /** Goes on with a start that was cut off, or begins it anew where nothing of it is there. */
  #goOn(): void {
    const spawner = this.#spawner;
    if (spawner !== undefined) {
      this.#begin(() => this.#start.goOn(spawner));
    }
  }

  #begin(body: () => Promise<ServerAddress>): void {
    this.#isBeginning = true;
    this.#starting = this.#outcome(body).finally(() => {
      this.#isBeginning = false;
    });
    // Whoever wants to know awaits it.
    this.#starting.catch(() => {});
  }

  async #outcome(body: () => Promise<ServerAddress>): Promise<ServerAddress> {
    const { metrics, failures, tell } = this.#home;
    try {
      let address = await body();
      if (this.#spawner?.hasServer === false) {
        // It has ended since it answered, and its hook may start it anew.
        await this.#spawner.settled();
        address = this.address ?? address;
      }
      throwIfAborted(this.#start.signal);
      this.#refuseEnded();
      this.lastActivity = new Date();
      this.#wasReady = true;
      this.#setStatus('ready');
      failures.succeeded(this.key);
      failures.succeeded(this.spawnerName);
      metrics.started(this.#start.times);
      tell('ready', this, address);
      await this.#patiently(this.#saveOrWarn());
      return address;
    } catch (error) {
      await this.#startFailed(error);
      throw error;
    } finally {
      this.progressLog.end();
    }
  }

  #refuseEnded(): void {
    if (this.#spawner?.hasServer === false) {
      const exit = this.#exit;
      throw new StartError(
        `The server ended while it was being started${exit === undefined ? '.' : `: ${exit.message}`}`,
        { ...(exit && { exit }) },
      );
    }
  }

  async #startFailed(error: unknown): Promise<void> {
    const { metrics, failures, policies, tell } = this.#home;
    const message = messageOf(error);
    this.#tellProgress({ progress: 100, message, outcome: 'failed' });
    if (error instanceof AbortError) {
      metrics.aborted();
    } else {
      metrics.failed(error);
      failures.failed(this.key, policies.failureLimit, message);
      // Nor is it the fault of the kind of spawner that one person fails again and again.
      if (!(error instanceof OptionsError || error instanceof StoreError)) {
        failures.failed(this.spawnerName, policies.spawnerFailureLimit, message, this.user.name);
      }
    }
    const isLeft = this.#spawner?.hasServer === true || error instanceof AbortError;
    if (this.#isDetached && isLeft) {
      // For the next hub to go on with.
      return;
    }
    tell('failed', this, error);
    // Whoever stops it does what is left to do.
    if (this.#status === 'stopping') {
      return;
    }
    if (this.#spawner?.hasServer === true) {
      // What the start has made could not be ended.
      this.#problem = message;
      this.#setStatus('stopping');
      await this.#patiently(this.#saveOrWarn());
      return;
    }
    // Whoever asks for it from now on wants another start.
    this.#leaving = this.#remove();
    await this.#leaving;
  }

  /**
   * Stops it, and resolves when it has ended and nothing keeps it any more.
   *
   * @throws StopError where that could not be confirmed; the status stays `stopping`, for `stopAgain`
   */
  stop(how: StopOptions = {}): Promise<void> {
    if (this.#stopping !== undefined && how.now === true) {
      // It hurries the stop that is under way, which says what comes of it, when that is in the store.
      this.#stopKept.then(() => this.#spawner?.stop(how)).catch(() => {});
    }
    this.#stopping ??= this.#stop(how).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  /** The same for those who are told by a warning that it has failed. */
  async stopAgain(): Promise<void> {
    try {
      await this.stop();
    } catch (cause) {
      if (!this.#isDetached) {
        this.#warn({ code: 'stop-failed', message: messageOf(cause), cause });
      }
    }
  }

  async #stop(how: StopOptions): Promise<void> {
    const { metrics } = this.#home;
    const wasStopping = this.#status === 'stopping';
    this.#setStatus('stopping');
    this.#start.halt(new AbortError('The server was stopped while it was being started.'));
    if (!wasStopping) {
      this.#stopKept = this.#patiently(this.#saveOrWarn());
      await this.#stopKept;
    }
    try {
      for (let round = 1; ; round += 1) {
        if (this.#isDetached) {
          throw new AbortError('The hub ends; it goes on with the stop when it is back.');
        }
        await this.#spawner?.stop(how);
        await this.#starting?.catch(() => {});
        await this.#spawner?.settled();
        if (this.#spawner?.hasServer !== true) {
          break;
        }
        if (round === 3) {
          throw new StopError('The spawner has stopped its server, and says that there is one.');
        }
      }
    } catch (error) {
      if (!this.#isDetached) {
        this.#problem = messageOf(error);
        metrics.stopped('failed');
        this.#home.tell('status', this);
      }
      throw error;
    }
    metrics.stopped('done');
    await this.#remove();
  }

  /** Lets go of it, for a hub that ends: what lives goes on to live, and stays in the store. */
  async detach(): Promise<void> {
    this.#isDetached = true;
    this.#start.halt(new AbortError('The hub ends; it goes on with the start when it is back.'));
    await this.#spawner?.detach();
    await this.#stopping?.catch(() => {});
    await this.#starting?.catch(() => {});
    await this.#spawner?.detach();
    await this.#patiently(this.#saver.settled());
    this.#isLetGo = true;
  }

  /** Where its start waits for its turn, it never has one. */
  halt(): void {
    if (this.#status === 'waiting') {
      this.#start.halt(new AbortError('The server was stopped while it was being started.'));
    }
  }

  /** Asks whether it lives. What has ended is told of, and removed. Does not throw. */
  async poll(): Promise<void> {
    const spawner = this.#spawner;
    if (this.#isPolling || spawner === undefined) {
      return;
    }
    this.#isPolling = true;
    try {
      const exit = await spawner.poll();
      const isLeft = this.#leaving === undefined && !this.#isRemoved;
      if (exit !== null && !spawner.hasServer && this.isUp && isLeft) {
        // Its end was not told of, or not in time.
        this.#exited(spawner, exit);
      }
    } catch (cause) {
      this.#warn({
        code: 'command-failed',
        message: `The server could not be polled: ${messageOf(cause)}`,
        cause,
      });
    } finally {
      this.#isPolling = false;
    }
  }

  /** Asks whether it answers HTTP. Does not throw. */
  async checkHealth(): Promise<void> {
    const answers = await this.#spawner?.responds().catch(() => false);
    if (!this.isUp) {
      return;
    }
    this.#silences = answers === false ? this.#silences + 1 : 0;
    if (this.#silences === 2) {
      this.#problem = `It does not answer at ${this.address?.url}.`;
      this.#setStatus('unhealthy');
      this.#home.tell('unhealthy', this);
    } else if (answers === true && this.#status === 'unhealthy') {
      this.#problem = undefined;
      this.#setStatus('ready');
      this.#home.tell('healthy', this);
    }
  }

  /** Saves what could not be saved when it was news. Does not throw. */
  async saveAgain(): Promise<void> {
    if (this.#saver.isBehind) {
      await this.#saveOrWarn();
    }
  }

  #watch(spawner: Spawner): void {
    const { tell } = this.#home;
    this.#spawner = spawner;
    spawner.on('state', () => (this.#isLetGo ? undefined : this.#saver.save()));
    spawner.on('progress', (event) => {
      // A start that has failed may be begun anew: who decides that tells of it.
      if (event.outcome !== 'failed') {
        this.#tellProgress(event);
      }
    });
    spawner.on('submitted', (submitted) => {
      this.#start.isSubmitted();
      tell('submitted', this, submitted);
    });
    spawner.on('running', (where) => {
      this.#start.isRunning();
      tell('running', this, where);
    });
    spawner.on('moved', (address) => tell('moved', this, address));
    spawner.on('exited', (exit) => this.#exited(spawner, exit));
    spawner.on('warning', (warning) => {
      const { cause, code } = warning;
      if (code === 'status-known') {
        this.#home.answered();
      }
      this.#warn(
        cause instanceof StoreError
          ? { code: 'store-failed', message: cause.message, cause }
          : warning,
      );
    });
  }

  #exited(spawner: Spawner, exit: ExitStatus): void {
    const { tell, metrics } = this.#home;
    this.#exit = exit;
    if (this.#isLetGo) {
      return;
    }
    // The end of a start is told by that.
    if (this.#wasReady) {
      metrics.exited(exit.cause);
      tell('exited', this, exit);
    }
    if (this.#status !== 'waiting' && this.#status !== 'starting' && this.#stopping === undefined) {
      this.#leaving = this.#removeAfter(spawner);
    }
  }

  /** When the hook of the end has been called, which may have started it anew. */
  async #removeAfter(spawner: Spawner): Promise<void> {
    await spawner.settled();
    if (!spawner.hasServer && this.#stopping === undefined) {
      await this.#remove();
    }
    this.#leaving = undefined;
  }

  async #remove(): Promise<void> {
    if (this.#isRemoved) {
      return this.gone;
    }
    this.#isRemoved = true;
    await this.forget();
    this.#home.removed(this);
    this.#home.tell('removed', this);
    this.#leave();
  }

  /** Whether the store has no record of it any more. */
  get isForgotten(): boolean {
    return this.#isForgotten;
  }

  /** Resolves when nothing is written to its record or removes it. */
  get settled(): Promise<void> {
    return this.#saver.settled();
  }

  /** Removes its record, also where that has failed before. Does not throw. */
  async forget(): Promise<void> {
    if (this.#forgetting !== undefined) {
      await atMost(saveTime, this.#forgetting);
      return;
    }
    this.#forgetting = this.#saver.remove().then(
      () => {
        this.#isForgotten = true;
      },
      (cause) => {
        this.#forgetting = undefined;
        this.#warn({ code: 'store-failed', message: messageOf(cause), cause });
      },
    );
    await this.#patiently(this.#forgetting);
  }

  /** Waits for the store. One that does not answer keeps nobody from going on. */
  async #patiently(task: Promise<void>): Promise<void> {
    if (!(await atMost(saveTime, task))) {
      const message = `The store has not answered for ${saveTime / 1000} s: it goes on without it.`;
      this.#warn({ code: 'store-failed', message });
    }
  }

  async #saveOrWarn(): Promise<void> {
    try {
      await this.#saver.save();
    } catch (cause) {
      this.#warn({ code: 'store-failed', message: messageOf(cause), cause });
    }
  }

  #record(): ServerRecord {
    const unready: Phase = this.#status === 'stopping' ? 'stopping' : 'starting';
    return {
      ...this.request,
      phase: this.isUp ? 'ready' : unready,
      requestedAt: this.requestedAt,
      state: this.#spawner?.getState(),
    };
  }

  #setStatus(status: ServerStatus): void {
    if (status !== this.#status) {
      this.#status = status;
      this.#home.tell('status', this);
    }
  }

  #tellProgress(event: ProgressEvent): void {
    const progress = Math.max(event.progress, this.progressLog.last?.progress ?? 0);
    const clamped = { ...event, progress };
    this.progressLog.add(clamped);
    this.#home.tell('progress', this, clamped);
  }

  #warn(warning: SpawnerWarning | Parameters<SupervisorEvents['warning']>[0]): void {
    this.#home.tell('warning', warning, this);
  }
}
