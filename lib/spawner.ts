import { inspect } from 'node:util';
import type { Ability, LogOptions, ServerUsage } from './abilities.ts';
import { firstOf, throwIfAborted, unlessAborted, withSignal } from './abort.ts';
import { addressIn, serverAddress } from './address.ts';
import { Announcer } from './announcer.ts';
import type { SpawnerContext } from './context.ts';
import { checkContext } from './context.ts';
import { chosenEnvironment, serverEnvironment } from './environment.ts';
import { AbortError, messageOf, StartError, StateError } from './errors.ts';
import type { ExitStatus, ServerAddress, SpawnerEvents } from './events.ts';
import type { SpawnerOptions } from './generated/options.ts';
import { createLog } from './log.ts';
import type { MarkedServer } from './mark.ts';
import type { OptionsSchema } from './options.ts';
import { checkOptions } from './options.ts';
import { Poller } from './poller.ts';
import type { ProgressEvent } from './progress.ts';
import { noProgress, ProgressLog } from './progress.ts';
import { answersHttp, untilTrue } from './readiness.ts';
import { localRunner } from './runners/local.ts';
import type { CommandRunner } from './runners/runner.ts';
import { sleep } from './sleep.ts';
import type { StartScope } from './start.ts';
import { runStep } from './start.ts';
import type { Json, SpawnerState } from './state.ts';
import { checkState } from './state.ts';

/** What `stop()` may be told. */
export interface StopOptions {
  /** Whether the server gets no time to end by itself. Default: false. */
  readonly now?: boolean;
}

/** A start that is under way. */
interface Starting {
  readonly signal: AbortSignal;
  readonly abort: (reason: unknown) => void;
  readonly settled: Promise<void>;
}

const neverStarted: ExitStatus = {
  code: null,
  signal: null,
  cause: 'unknown',
  message: 'The server has not been started.',
};

/** In ms: between two polls while a start is gone on with. */
const resumeInterval = 1000;

/**
 * Starts one single-user server, says whether it lives, and stops it.
 *
 * One spawner stands for one server of one person. It may be started again after its server has
 * ended. After a restart of the hub, a new spawner with the same context and options takes over
 * the server by `loadState()`.
 *
 * A class that extends it gives `start`, `poll` and `stop`; `runStart`, `runStop` and `ended` do
 * what all kinds of spawners have in common. A class that keeps more than an address gives
 * `saveFields`, `loadFields` and `clearFields` too, and calls `untilSaved` before it makes a job or
 * process. One whose `poll` says nothing during a start gives `awaitServer`, and one that has marks
 * gives `tag` and `survey`.
 */
export abstract class Spawner<
  O extends SpawnerOptions = SpawnerOptions,
> extends Announcer<SpawnerEvents> {
  /** The JSON Schema of the options: the name of a file in schemas/, or a schema that refers to them. */
  static get schema(): OptionsSchema {
    return 'spawner.json';
  }
  /** Names this kind of spawner in saved states. It must never change. */
  static get kind(): string {
    return 'spawner';
  }

  /** What the hub said. The token is not enumerable, so that it is not printed by accident. */
  readonly context: SpawnerContext;
  /** Checked, completed with defaults, and frozen. */
  readonly options: O;
  /** Where commands are run. */
  protected readonly runner: CommandRunner;
  /** Debug output under `DEBUG=hubspawner:spawner`. It takes no secrets. */
  protected readonly log = createLog('spawner');

  readonly #kind: string;
  #address: ServerAddress | undefined;
  #exit: ExitStatus = neverStarted;
  #progress: ProgressLog | undefined;
  #starting: Starting | undefined;
  #stopping: Promise<void> | undefined;
  /** Aborted by `detach()`. */
  #letGo = new AbortController();
  /** What the listeners of the last `state` have returned, where that was a promise. */
  #saves: readonly Promise<unknown>[] = [];
  /** The end of the server is being told, and its hook called. */
  #ending: Promise<void> | undefined;
  readonly #poller: Poller;

  /**
   * @throws OptionsError if the context or an option is not what it must be
   */
  constructor(context: SpawnerContext, options: Partial<O> = {}) {
    super();
    this.context = checkContext(context);
    this.options = checkOptions<O>(new.target.schema, options);
    this.#kind = new.target.kind;
    this.runner = context.runner ?? localRunner;
    this.#poller = new Poller(
      this.options.pollInterval,
      () => this.#mayHaveServer(),
      () => this.#pollOnce(),
    );
    // A template that can't be filled in is found here, and not when someone waits for a server.
    serverEnvironment(this.context, this.options, '');
  }

  /**
   * Starts the server and waits until it answers.
   *
   * @param signal aborts the start; what was started is stopped before the promise rejects
   * @throws StartError if it ended before it answered, or if there is a server already
   * @throws StartTimeoutError, AbortError, CommandError, OptionsError
   */
  abstract start(signal?: AbortSignal): Promise<ServerAddress>;

  /**
   * Goes on with a start that the end of a hub has cut off: to be called after `loadState()`, of a
   * spawner with the same context and options. Resolves when the server answers; one that answers
   * already is no error. The hook `preSpawn` is not called again.
   *
   * @param signal aborts the start; what was started is stopped before the promise rejects
   * @throws StartError if there is nothing to go on with, or the server has ended
   * @throws StartTimeoutError, AbortError
   */
  async resume(signal?: AbortSignal): Promise<ServerAddress> {
    try {
      return await this.#run(signal, (start) => {
        if (!this.#mayHaveServer()) {
          throw new StartError('There is no start to go on with.');
        }
        return this.awaitServer(start);
      });
    } catch (error) {
      if (this.#mayHaveServer() && !this.detached && !this.#isBusy) {
        await this.#stopFailed();
      }
      throw error;
    }
  }

  /**
   * Says whether the server has ended: null while it lives, and also while nothing says that it
   * has ended. Legal at any time. It does not throw because a question could not be answered.
   */
  abstract poll(): Promise<ExitStatus | null>;

  /**
   * Stops the server, and resolves when it has ended. May be called at any time: during a start,
   * twice, and without a server.
   *
   * @throws StopError if the end could not be confirmed; it can then be called again
   */
  abstract stop(how?: StopOptions): Promise<void>;

  /**
   * Lets go of the server, without stopping it: a start that is under way rejects with an
   * `AbortError`, and leaves what it has started; so does a stop that waits for a batch system. For a
   * hub that ends while its servers live on; the last state is what the next hub loads. Resolves when
   * nothing is under way any more.
   */
  async detach(): Promise<void> {
    this.#letGo.abort(new AbortError('The hub has let go of the server.'));
    this.#poller.stop();
    this.#starting?.abort(new AbortError('The hub has let go of the server while it was started.'));
    await this.settled();
  }

  /** Resolves when no start, no stop and no `postStop` hook is under way. */
  async settled(): Promise<void> {
    while (this.#isBusy || this.#ending !== undefined) {
      await Promise.allSettled([this.#starting?.settled, this.#stopping, this.#ending]);
    }
  }

  /**
   * Resolves when the listeners of `state` have saved the last one, or failed to, as far as they return
   * promises.
   */
  async saved(): Promise<void> {
    await Promise.allSettled(this.#saves);
  }

  /** Whether the server answers HTTP now, within 5 s; null where nobody knows where it listens. */
  async responds(): Promise<boolean | null> {
    const { address } = this;
    return address === undefined
      ? null
      : withSignal(undefined, (signal) => this.answers(address, signal));
  }

  /**
   * Lists what runs of this hub, whoever's it is: the jobs or units that live and carry its mark.
   * Undefined where there is no usable answer; empty too where this kind of spawner has no such
   * list, and without `context.hub`. Lists with marks and owners have systemd, Slurm, HTCondor and LSF;
   * with those of Grid Engine, PBS, Torque, Moab, Flux and OAR a lost job can't be told from those of
   * other hubs. Spawners that ask the same share one command, and get the same object.
   *
   * @param _since the list is one that was asked for then or later, in ms of `performance.now()`.
   *   Default: now
   */
  survey(_since?: number): Promise<readonly MarkedServer[] | undefined> {
    return Promise.resolve([]);
  }

  /** What this kind of spawner can say of its server: whether `usage` and `logs` give anything. */
  get abilities(): readonly Ability[] {
    return [];
  }

  /** What the server uses now; null without a server, without the ability, and where nobody can say. */
  usage(): Promise<ServerUsage | null> {
    return Promise.resolve(null);
  }

  /**
   * The end of what the server has printed, without its token; null without a server, without the
   * ability, and where it can't be read.
   */
  logs(_options: LogOptions = {}): Promise<string | null> {
    return Promise.resolve(null);
  }

  /** The server's own secret. */
  get apiToken(): string | undefined {
    return this.context.apiToken;
  }

  /** The name of the server; '' is the one without a name. */
  get serverName(): string {
    return this.context.serverName ?? '';
  }

  /** The operating system's account that the server runs as. */
  get account(): string {
    return this.context.user.account ?? this.context.user.name;
  }

  /** Whether there is a server, or may be one: as long as nothing says that it has ended. */
  get hasServer(): boolean {
    return this.#mayHaveServer();
  }

  /**
   * The mark of the job or unit of the server, where it has one; see `survey()`. A spawner that passes
   * its work on to another one passes this on too, and all else that says what there is.
   */
  get tag(): string | undefined {
    return undefined;
  }

  /** Where the server listens, once it is known. */
  get address(): ServerAddress | undefined {
    return this.#address;
  }

  /** What the hub saves; see `SpawnerState`. */
  getState(): SpawnerState {
    const { host, port } = this.#address ?? {};
    return {
      version: 1,
      spawner: this.#kind,
      ...(host !== undefined && port !== undefined && { host, port }),
      ...this.saveFields(),
    };
  }

  /**
   * Takes over what `getState()` of an earlier spawner gave.
   *
   * @throws StateError if it is no such state; the spawner is then without a server, and usable
   */
  loadState(state: unknown): void {
    if (this.#isBusy) {
      throw new StateError('A state can be loaded only while no start and no stop is under way.');
    }
    this.#clear();
    this.#letGo = new AbortController();
    try {
      const fields = checkState(state, this.#kind);
      this.loadFields(fields);
      this.#address = addressIn(fields, this.context) ?? this.addressKnown();
    } catch (error) {
      this.#clear();
      throw error instanceof StateError
        ? error
        : new StateError('The saved state can not be read.', { cause: error });
    }
    this.#poller.restart();
  }

  /**
   * Forgets the server, without stopping it.
   *
   * @throws StateError while a start or a stop is under way, which would lose what it has made
   */
  clearState(): void {
    if (this.#isBusy) {
      throw new StateError('A state can be cleared only while no start and no stop is under way.');
    }
    this.#clear();
  }

  #clear(): void {
    this.#poller.stop();
    this.#address = undefined;
    this.#exit = neverStarted;
    this.clearFields();
  }

  /**
   * The environment of the server: names that are kept of the hub's own, what a JupyterHub-like
   * hub tells its servers, limits, and the option `environment`. It holds the server's token.
   *
   * @throws OptionsError if a function of the option `environment` throws or returns no text
   */
  environment(): Record<string, string> {
    return {
      ...serverEnvironment(this.context, this.options, this.portText()),
      ...chosenEnvironment(this),
    };
  }

  /**
   * Follows the start that is under way, or the last one, from its beginning; ends with it. Any
   * number of readers may follow at once. Before the first start there is nothing to follow.
   */
  progress(): AsyncIterable<ProgressEvent> {
    return (this.#progress ?? noProgress).follow();
  }

  /**
   * Takes the port that a server has reported by `endpointHandler`. The same port may be reported
   * again, by a server that did not hear that it was taken.
   *
   * @returns whether it was waited for, or is the one that was taken before
   */
  acceptPort(_port: number): boolean {
    return false;
  }

  /**
   * The port that its server has reported, as long as it may not listen there yet: until then
   * `endpointHandler` lets no other server have it, since both may be on one node.
   */
  get awaitedPort(): number | undefined {
    return undefined;
  }

  /** What `JSON.stringify` makes of it: its state. */
  toJSON(): SpawnerState {
    return this.getState();
  }

  /** How it is printed: never with its context or options. */
  [inspect.custom](): string {
    return `${this.constructor.name} { ${JSON.stringify(`${this.context.user.name}/${this.serverName}`)} }`;
  }

  /** How the port stands in `environment()`. */
  protected portText(): string {
    return String(this.#address?.port ?? this.options.port);
  }

  /** The fields of the state beside the address; none says that there is no server. */
  protected saveFields(): Record<string, Json> {
    return {};
  }

  /** Takes over what `saveFields()` gave. Throws a `StateError` where a field is not right. */
  protected loadFields(_fields: Readonly<Record<string, unknown>>): void {}

  /** Where a server listens whose saved state does not say it, where that is certain all the same. */
  protected addressKnown(): ServerAddress | undefined {
    return undefined;
  }

  /** Forgets all that `saveFields()` gives, and what belongs to it. */
  protected clearFields(): void {}

  /** How the server ended; undefined while it lives or may live. */
  protected get exit(): ExitStatus | undefined {
    return this.#mayHaveServer() || this.#starting !== undefined ? undefined : this.#exit;
  }

  /** A listener that throws gives a `warning`. */
  protected override listenerFailed(event: keyof SpawnerEvents, cause: unknown): void {
    const name = cause instanceof Error ? cause.name : 'no Error';
    this.log('a listener of %s threw: %s', event, name);
    if (event !== 'warning') {
      this.announce('warning', {
        code: 'listener-failed',
        message: `A listener of the event '${event}' threw an error.`,
        cause,
      });
    }
  }

  /** Emits `state`: to be called after each change of what `saveFields()` gives. */
  protected stateChanged(): void {
    this.#saves = this.announced('state', this.getState());
  }

  /**
   * Waits until the listeners of `state` have saved the last one, as far as they return promises: to
   * be called before a job or process is made, so that no end of the hub can lose it.
   *
   * @throws StartError where one of them has failed; AbortError where the start is aborted meanwhile
   */
  protected async untilSaved(): Promise<void> {
    const signal = this.#starting?.signal;
    const saved = async () => {
      try {
        await Promise.all(this.#saves);
      } catch (cause) {
        throw new StartError(
          `The state of the server could not be saved, so that it is not started: ${messageOf(cause)}`,
          { retryable: true, cause },
        );
      }
    };
    await (signal === undefined ? saved() : unlessAborted(signal, saved));
  }

  /**
   * The body of `resume()`: waits from what `loadState()` gave to a server that answers. What there
   * is here asks `poll()`; a class whose `poll()` says nothing during a start has to replace it.
   */
  protected async awaitServer(start: StartScope): Promise<ServerAddress> {
    const poll = async (signal: AbortSignal) => {
      await unlessAborted(signal, () => this.poll());
      throwIfAborted(signal);
      this.#refuseEnded();
    };
    const address = await start.step('launch', this.options.startTimeout, async (signal) => {
      for (;;) {
        await poll(signal);
        if (this.#address !== undefined) {
          return this.#address;
        }
        await sleep(resumeInterval, signal);
      }
    });
    return this.waitUntilReady(start, address, async (signal) => {
      for (;;) {
        await poll(signal);
        await sleep(resumeInterval, signal);
      }
    });
  }

  /** Sets the address of the server, and emits `state` if it is a new one. */
  protected setAddress(host: string, port: number): ServerAddress {
    const address = serverAddress(this.context, host, port);
    if (address.url !== this.#address?.url) {
      this.#address = address;
      this.stateChanged();
    }
    return address;
  }

  /** Forgets where the server listens, because it is about to listen elsewhere. */
  protected clearAddress(): void {
    this.#address = undefined;
    this.stateChanged();
  }

  /** Whether a start is under way. */
  protected get starting(): boolean {
    return this.#starting !== undefined;
  }

  /** Whether `detach()` was called: what a start has made is to be left then. */
  protected get detached(): boolean {
    return this.#letGo.signal.aborted;
  }

  /** Aborted by `detach()`: for what takes long, and is for the next hub to go on with. */
  protected get lettingGo(): AbortSignal {
    return this.#letGo.signal;
  }

  get #isBusy(): boolean {
    return this.#starting !== undefined || this.#stopping !== undefined;
  }

  /**
   * Does what every start has in common: one at a time, the hook, the progress, the abort by the
   * signal or by `stop()`.
   *
   * @param launch gets the server to run and to answer. When it throws, nothing of the server may
   *   be left, or `saveFields()` must say what is; where the spawner is `detached`, all may.
   */
  protected runStart(
    signal: AbortSignal | undefined,
    launch: (start: StartScope) => Promise<ServerAddress>,
  ): Promise<ServerAddress> {
    return this.#run(signal, async (start) => {
      await this.#prepareStart(start);
      return launch(start);
    });
  }

  async #run(
    signal: AbortSignal | undefined,
    launch: (start: StartScope) => Promise<ServerAddress>,
  ): Promise<ServerAddress> {
    if (this.#starting !== undefined) {
      throw new StartError('The server is being started already.');
    }
    if (this.#stopping !== undefined) {
      throw new StartError('The server is being stopped; start it when that is done.', {
        retryable: true,
      });
    }
    return withSignal(signal, async (inner, abort) => {
      const progress = new ProgressLog();
      this.#progress = progress;
      let settle = () => {};
      const settled = new Promise<void>((resolve) => {
        settle = resolve;
      });
      this.#starting = { signal: inner, abort, settled };
      this.#letGo = new AbortController();
      try {
        return await this.#attempt(inner, progress, launch);
      } finally {
        this.#starting = undefined;
        if (!this.detached) {
          this.#poller.restart();
        }
        progress.end();
        settle();
      }
    });
  }

  async #attempt(
    signal: AbortSignal,
    progress: ProgressLog,
    launch: (start: StartScope) => Promise<ServerAddress>,
  ): Promise<ServerAddress> {
    const tell = (event: ProgressEvent) => {
      progress.add(event);
      this.announce('progress', event);
    };
    const start: StartScope = {
      signal,
      step: (step, timeout, run, trouble) => runStep(signal, step, timeout, run, trouble),
      report: (percent, message, estimatedStart) =>
        tell({
          progress: Math.max(percent, progress.last?.progress ?? 0),
          message,
          outcome: 'starting',
          ...(estimatedStart && { estimatedStart }),
        }),
    };
    try {
      throwIfAborted(signal);
      const address = await launch(start);
      this.#refuseEnded();
      const event = await this.#readyEvent(start, address);
      this.#refuseEnded();
      tell(event);
      this.announce('ready', address);
      return address;
    } catch (error) {
      const message = messageOf(error);
      tell({ progress: 100, message, outcome: 'failed' });
      throw error;
    }
  }

  async #prepareStart(start: StartScope): Promise<void> {
    const { signal } = start;
    const unclear =
      this.#mayHaveServer() && (await unlessAborted(signal, () => this.poll())) === null;
    // A poll that finds the end of the server still says null, because of this start.
    if (unclear && this.#mayHaveServer()) {
      throw new StartError(
        'There is a server already, or nothing says that it has ended. Stop it first.',
        { retryable: true },
      );
    }
    const { preSpawn } = this.options.hooks;
    if (preSpawn !== undefined) {
      await start.step('preSpawn', this.options.startTimeout, (inner) =>
        unlessAborted(inner, async () => preSpawn(this)),
      );
    }
    throwIfAborted(signal);
    this.#exit = neverStarted;
  }

  /** After a start that was gone on with, and has failed: nothing of it may stay. */
  async #stopFailed(): Promise<void> {
    try {
      await this.stop();
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `After a start that failed: ${messageOf(cause)}`,
        cause,
      });
    }
  }

  /** The server is ready, so that no failure of the hook, nor an abort during it, is one of the start. */
  async #readyEvent(start: StartScope, { url }: ServerAddress): Promise<ProgressEvent> {
    const event: ProgressEvent = {
      progress: 100,
      message: `The server is ready at ${url}`,
      outcome: 'ready',
    };
    const { progressReady } = this.options.hooks;
    if (progressReady === undefined) {
      return event;
    }
    try {
      const made = await start.step('progressReady', this.options.startTimeout, (inner) =>
        unlessAborted(inner, async () => progressReady(this, event)),
      );
      // A hook in JavaScript may return nothing.
      return made ?? event;
    } catch (cause) {
      this.#hookFailed('progressReady', cause);
      return event;
    }
  }

  /** What has answered is not the server if that has ended meanwhile. */
  #refuseEnded(): void {
    if (this.#exit !== neverStarted) {
      const { message } = this.#exit;
      throw new StartError(`The server ended while it was being started: ${message}`, {
        exit: this.#exit,
      });
    }
  }

  #hookFailed(hook: 'postStop' | 'progressReady', cause: unknown): void {
    this.announce('warning', {
      code: 'hook-failed',
      message: `The hook ${hook} failed: ${messageOf(cause)}`,
      cause,
    });
  }

  /**
   * Does what every stop has in common: it ends a start that is under way, and is done once for
   * all who ask.
   *
   * @param terminate ends the server and resolves when it has ended. It is called only where
   *   there is, or may be, one; it calls `ended`.
   */
  protected runStop(terminate: () => Promise<void>): Promise<void> {
    // The server has ended, and only the hook is left, which may be the one that asks.
    if (this.#stopping !== undefined && this.exit !== undefined) {
      return Promise.resolve();
    }
    this.#stopping ??= this.#stop(terminate).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  async #stop(terminate: () => Promise<void>): Promise<void> {
    if (this.detached) {
      this.#letGo = new AbortController();
    }
    const starting = this.#starting;
    starting?.abort(new AbortError('The server was stopped while it was being started.'));
    // Awaited even if there is none: whoever `terminate` calls has to find a stop under way.
    await starting?.settled;
    if (this.#mayHaveServer()) {
      await terminate();
    }
  }

  /**
   * To be called once by a spawner when it knows that its server has ended: forgets it, emits
   * `exited` and `state`, and calls the hook.
   */
  protected async ended(exit: ExitStatus): Promise<void> {
    if (!this.#mayHaveServer()) {
      return;
    }
    let over = () => {};
    this.#ending = new Promise((resolve) => {
      over = resolve;
    });
    this.#clear();
    this.#exit = exit;
    this.log('server of %s ended: %s', this.context.user.name, exit.cause);
    this.announce('exited', exit);
    this.stateChanged();
    const { hooks, startTimeout } = this.options;
    const limit = new AbortController();
    try {
      if (hooks.postStop !== undefined) {
        const late = sleep(startTimeout, limit.signal).then(() => {
          throw new Error(`It took longer than startTimeout (${startTimeout / 1000} s).`);
        });
        await Promise.race([hooks.postStop(this), late]);
      }
    } catch (cause) {
      this.#hookFailed('postStop', cause);
    } finally {
      limit.abort();
      this.#ending = undefined;
      over();
    }
  }

  /**
   * Waits until the server answers, within `httpTimeout`.
   *
   * @param address where it listens
   * @param untilDeath rejects when the server has ended; is told to end by its signal
   */
  protected async waitUntilReady(
    start: StartScope,
    address: ServerAddress,
    untilDeath: (signal: AbortSignal) => Promise<never>,
  ): Promise<ServerAddress> {
    start.report(80, `The server listens at ${address.url}; waiting for its first answer`);
    return start.step('readiness', this.options.httpTimeout, (signal) =>
      firstOf<ServerAddress>(
        signal,
        async (inner) => {
          await untilTrue(() => this.answers(address, inner), inner);
          return address;
        },
        untilDeath,
      ),
    );
  }

  /** Whether the server answers HTTP. */
  protected answers(address: ServerAddress, signal: AbortSignal): Promise<boolean> {
    return answersHttp(address.url, { signal });
  }

  #mayHaveServer(): boolean {
    return this.#address !== undefined || Object.keys(this.saveFields()).length > 0;
  }

  async #pollOnce(): Promise<void> {
    try {
      await this.poll();
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `The server could not be polled: ${messageOf(cause)}`,
        cause,
      });
    }
  }
}
