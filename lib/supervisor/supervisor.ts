import { randomBytes } from 'node:crypto';
import type { EventEmitter } from 'eventemitter3';
import { throwIfAborted } from '../abort.ts';
import { Announcer } from '../announcer.ts';
import { JobMonitor } from '../batch/monitor.ts';
import type { SpawnerContext } from '../context.ts';
import { checkContext } from '../context.ts';
import {
  AbortError,
  messageOf,
  OptionsError,
  StartError,
  StateError,
  StopError,
  StoreError,
} from '../errors.ts';
import type { ServerAddress } from '../events.ts';
import type { SpawnerOptions, SupervisorPolicies } from '../generated/options.ts';
import { checkOptions, sharedOptions } from '../options.ts';
import type { ProgressEvent, ProgressLog } from '../progress.ts';
import { noProgress } from '../progress.ts';
import { localRunner } from '../runners/local.ts';
import type { CommandRunner } from '../runners/runner.ts';
import { atMost } from '../sleep.ts';
import type { Spawner, StopOptions } from '../spawner.ts';
import type { Json, SpawnerState } from '../state.ts';
import type { Stray, SupervisorEvents } from './events.ts';
import { Failures } from './failures.ts';
import { measured } from './measured-runner.ts';
import type { SupervisorMetrics } from './metrics.ts';
import { Metrics } from './metrics.ts';
import type { ServerRecord, ServerRequest } from './record.ts';
import { keyOf } from './record.ts';
import { Records } from './records.ts';
import { Recovery } from './recovery.ts';
import { allAtOnce, forEach, Rounds } from './rounds.ts';
import type { ServerHome } from './server.ts';
import { ManagedServer } from './server.ts';
import type {
  RestoreReport,
  ServerName,
  SpawnerClass,
  StartRequest,
  SupervisorOptions,
  SupervisorSetup,
} from './setup.ts';
import type { ServerStatus } from './status.ts';
import type { SupervisedServer } from './supervised-server.ts';
import { Turns } from './turns.ts';

/** Makes a spawner of one kind, with options of one server. */
type SpawnerFactory = (context: SpawnerContext, options: Readonly<Record<string, Json>>) => Spawner;

/** How many servers are asked at once whether they answer HTTP. */
const callsAtOnce = 50;

/** How many servers are stopped at once when the hub ends. */
const stopsAtOnce = 100;

/** Stands for anybody where a spawner starts nothing. With an id, which templates may use. */
const nobody: ServerName = { user: { name: 'user', id: '1000' }, serverName: '' };

/** In ms: how long `restore()` and `close()` wait until strays are cancelled, and `close()` until all is restored. */
const strayTime = 15_000;

/** In ms: how long `close()` waits to know what it is to stop; a batch system that hangs is asked twice. */
const restoreTime = 120_000;

/** In ms: how long the hub's own function may take to give a token. */
const tokenTime = 30_000;

/** How many records are brought back at once. */
const loadsAtOnce = 50;

/** Of how many servers that are gone the last start can be looked at. */
const mostPast = 1000;

/**
 * Keeps the servers of a hub: starts and stops them, follows them, and loses none of them over
 * crashes, outages and impatient users.
 *
 * Register the kinds of spawners, `restore()` what an earlier hub has left, and then start and stop.
 * The hub answers the calls of starting servers by `endpointHandler(() => supervisor.spawners)`, from
 * when `restore()` has resolved.
 *
 * @example
 * const supervisor = new Supervisor({ store: new FileStore('/var/lib/hub/servers'), hub, apiToken });
 * supervisor.register('slurm', SlurmSpawner, { cmd: ['jupyterhub-singleuser'] });
 * await supervisor.restore();
 * const { url } = await supervisor.start({ user: 'alice' });
 */
export class Supervisor extends Announcer<SupervisorEvents> {
  /** Checked, completed with defaults, and frozen. */
  readonly policies: SupervisorPolicies;
  readonly #setup: Pick<SupervisorSetup, 'hub' | 'apiToken'>;
  readonly #runner: CommandRunner;
  readonly #metrics = new Metrics();
  readonly #kinds = new Map<string, SpawnerFactory>();
  readonly #servers = new Map<string, ManagedServer>();
  /** The last starts of servers that are gone, for those who ask later. The oldest first. */
  readonly #past = new Map<string, ProgressLog>();
  readonly #records: Records;
  readonly #home: ServerHome;
  readonly #recovery: Recovery;
  /** Those that `restore()` finds. */
  #strays: Stray[] | undefined;
  /** Servers that are gone, and whose records the store has failed to remove. */
  readonly #unforgotten = new Map<string, ManagedServer>();
  /** Whether there may be strays, and nobody is looking for them. */
  #looksForStrays = true;
  #looking: Promise<void> | undefined;
  /** How many servers are being stopped because nobody used them, or because of their age. */
  #culling = 0;
  #restored: Promise<RestoreReport> | undefined;
  #closing: Promise<void> | undefined;
  /** What is still being brought back is the business of the next hub. */
  #isOver = false;
  /** It was closed, and servers that were to be stopped live on. */
  #hasFailedToStop = false;
  readonly #polling: Rounds;
  readonly #healthChecks: Rounds | undefined;

  /** @throws OptionsError */
  constructor(options: SupervisorOptions) {
    super();
    const { store, hub, runner = localRunner, apiToken, ...policies } = options;
    this.policies = checkOptions<SupervisorPolicies>('supervisor.json', policies);
    this.#setup = { ...(hub && { hub }), ...(apiToken && { apiToken }) };
    this.#runner = measured(runner, this.#metrics);
    if (typeof store?.set !== 'function' || typeof store.iterator !== 'function') {
      throw new OptionsError(
        'store',
        'a FileStore, a MemoryStore, or a Keyv whose storage can list what it holds (iterator)',
      );
    }
    this.#records = new Records(store, (warning) => this.announce('warning', warning));
    this.#home = {
      policies: this.policies,
      store,
      turns: new Turns(this.policies.startLimit),
      failures: new Failures(this.policies.failurePause),
      metrics: this.#metrics,
      create: (request, signal) => this.#create(request, signal),
      tell: (event, ...details) => this.announce(event, ...details),
      // The others need not wait for their round: the answer is about them as well.
      answered: () => this.#polling.hurry(),
      removed: (server) => this.#removed(server),
    };
    this.#recovery = new Recovery({
      strays: this.policies.strays,
      servers: this.#servers,
      spawnerNames: { [Symbol.iterator]: () => this.#kinds.keys() },
      doubt: (key) => this.#records.doubt(key),
      create: (kind, server = nobody) => this.#probe({ ...server, ...kind }),
      warn: (spawnerName, cause) =>
        this.announce('warning', {
          code: 'command-failed',
          message: `It can't be looked for jobs and units of ${spawnerName} that no server has, before it can be asked what there is${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
          ...(cause !== undefined && { cause }),
        }),
      tellStray: (stray) => {
        this.#strays?.push(stray);
        this.announce('stray', stray);
      },
    });
    const { pollInterval, healthInterval } = this.policies;
    this.#polling = new Rounds(pollInterval, () => this.#round());
    this.#healthChecks =
      healthInterval === 0 ? undefined : new Rounds(healthInterval, () => this.#checkHealth());
  }

  /**
   * Makes a kind of spawner known by a name, by which the store brings its servers back: a name that
   * was used may get other options, but not another class. To be called before `restore()`.
   *
   * @param options of all servers of this kind; `pollInterval` has no effect, since the supervisor polls
   * @throws OptionsError where an option or the hub's facts are not what they must be, or the name is taken
   */
  register<O extends SpawnerOptions>(
    name: string,
    spawner: SpawnerClass<O>,
    options: Partial<O> = {},
  ): this {
    if (name === '' || this.#kinds.has(name)) {
      throw new OptionsError('name', 'one under which no kind of spawner is registered yet');
    }
    const common = sharedOptions(Object.assign({}, options, { pollInterval: 0 }));
    const create: SpawnerFactory = (context, own) =>
      new spawner(
        context,
        Object.keys(own).length === 0
          ? common
          : Object.assign({}, common, own, { pollInterval: 0 }),
      );
    create(this.#probeContext(nobody), {});
    this.#kinds.set(name, create);
    return this;
  }

  /** All servers, or those of one person. */
  list({ user }: { readonly user?: string } = {}): readonly SupervisedServer[] {
    const all = [...this.#servers.values()];
    return user === undefined ? all : all.filter((server) => server.user.name === user);
  }

  /** A server; undefined where there is none. */
  find(user: string, serverName = ''): SupervisedServer | undefined {
    return this.#servers.get(keyOf(user, serverName));
  }

  /** Of all servers: for `endpointHandler`. */
  get spawners(): Iterable<Spawner> {
    const servers = this.#servers;
    return {
      *[Symbol.iterator]() {
        for (const { spawner } of servers.values()) {
          if (spawner !== undefined) {
            yield spawner;
          }
        }
      },
    };
  }

  /**
   * Starts a server, and resolves when it answers. Where it is being started already, the request joins
   * that start; where it is there, it gives its address. One that is being stopped is started anew.
   *
   * @throws StartError with the reason: the start has failed, a limit is reached, or too many starts
   *   have failed
   * @throws OptionsError, StartTimeoutError, CommandError, StoreError
   * @throws AbortError where it was stopped meanwhile, or the supervisor closed
   */
  async start(request: StartRequest): Promise<ServerAddress> {
    const full = this.#requestOf(request);
    const key = keyOf(full.user.name, full.serverName);
    let left: SpawnerState | undefined;
    for (;;) {
      await this.restore();
      await this.#loadAgain(key);
      // The usual start waits for nothing, so that it comes before a stop that is asked for after it.
      if (!this.#servers.has(key) && this.#records.mayHaveLost(key)) {
        left = await this.#claim(full);
      }
      this.#refuseClosed();
      const existing = this.#servers.get(key);
      if (existing === undefined) {
        break;
      }
      if (existing.leaving !== undefined) {
        await existing.leaving;
        continue;
      }
      if (existing.status !== 'stopping') {
        return existing.whenReady();
      }
      if (existing.isStopDue) {
        throw new StartError(
          `The server is still to be stopped: ${existing.problem ?? 'that goes on'}`,
          { retryable: true },
        );
      }
      await Promise.race([existing.gone, existing.stop().catch(() => {})]);
    }
    this.#refuse(key, full);
    // Options that are wrong are no failure of the server, nor of its kind of spawner.
    this.#probe(full);
    const before = this.#unforgotten.get(key);
    this.#unforgotten.delete(key);
    const server = new ManagedServer(this.#home, full, new Date(), before?.settled);
    this.#servers.set(key, server);
    server.start(left);
    return server.whenReady();
  }

  /**
   * What there is already of a server of which the store may have lost the record.
   *
   * @throws StartError, OptionsError, AbortError
   */
  async #claim(request: ServerRequest): Promise<SpawnerState | undefined> {
    this.#refuseClosed();
    this.#refuse(keyOf(request.user.name, request.serverName), request);
    this.#probe(request);
    return this.#recovery.claim(request);
  }

  /**
   * Stops a server, and resolves when it has ended; at once where there is none. It also ends a start.
   *
   * @throws StopError if the end could not be confirmed; it is tried again and again all the same
   * @throws AbortError where the supervisor is closed
   */
  async stop(user: string, serverName = '', how: StopOptions = {}): Promise<void> {
    this.#refuseClosed();
    await this.restore();
    const key = keyOf(user, serverName);
    await this.#loadAgain(key);
    const why = this.#records.whyUnusable(key);
    if (why !== undefined) {
      throw new StopError(why);
    }
    await this.#servers.get(key)?.stop(how);
  }

  /**
   * Says that a server was used just now, or at another time.
   *
   * @throws OptionsError for a date that is none
   */
  touch(user: string, serverName = '', at: Date = new Date()): void {
    if (Number.isNaN(at.getTime())) {
      throw new OptionsError('at', 'a date');
    }
    const server = this.#servers.get(keyOf(user, serverName));
    const now = new Date();
    const then = at < now ? at : now;
    if (server !== undefined && then > server.lastActivity) {
      server.lastActivity = then;
    }
  }

  /**
   * Follows a start that is under way, or the last one, also if it has failed, from its beginning;
   * ends with it.
   */
  progress(user: string, serverName = ''): AsyncIterable<ProgressEvent> {
    const key = keyOf(user, serverName);
    return (this.#servers.get(key)?.progressLog ?? this.#past.get(key) ?? noProgress).follow();
  }

  /**
   * Brings back what an earlier hub has left, and resolves when that is done; once for all who ask.
   * Servers that live are supervised from now on, the ends of others are told; starts and stops that
   * were cut off go on. Jobs and units of this hub that no server has are dealt with; where a batch
   * system does not answer, nothing is done before it does.
   *
   * @throws StoreError if the store can't be read; it may be called again
   * @throws AbortError if the supervisor is closed
   */
  async restore(): Promise<RestoreReport> {
    if (this.#restored === undefined) {
      this.#refuseClosed();
    }
    return this.#bringBack();
  }

  #bringBack(): Promise<RestoreReport> {
    this.#restored ??= this.#restore().catch((error: unknown) => {
      this.#restored = undefined;
      throw error;
    });
    return this.#restored;
  }

  /** What was counted, and how things stand. */
  metrics(): SupervisorMetrics {
    const servers: Record<ServerStatus, number> = {
      waiting: 0,
      starting: 0,
      ready: 0,
      unhealthy: 0,
      stopping: 0,
    };
    for (const { status } of this.#servers.values()) {
      servers[status] += 1;
    }
    return this.#metrics.snapshot(servers, JobMonitor.healthOf(this.#runner));
  }

  /**
   * Ends the supervisor, and resolves when nothing is under way any more. Whoever waits for a start gets
   * an `AbortError`.
   *
   * Calls after the first get what comes of that; but `stop` is tried again where it has failed.
   *
   * @param how `keep` (the default) lets the servers live, and starts go on, for the next hub to
   *   restore; `stop` stops them all
   * @throws StopError where servers could not be stopped, or it is not known which there are; the store
   *   still has them
   */
  close({ servers = 'keep' }: { readonly servers?: 'keep' | 'stop' } = {}): Promise<void> {
    if (this.#closing === undefined || (servers === 'stop' && this.#hasFailedToStop)) {
      this.#hasFailedToStop = false;
      this.#closing = this.#close(servers).catch((error: unknown) => {
        this.#hasFailedToStop = true;
        throw error;
      });
    }
    return this.#closing;
  }

  protected override announced<N extends keyof SupervisorEvents>(
    event: N,
    ...details: EventEmitter.EventArgs<SupervisorEvents, N>
  ): readonly Promise<unknown>[] {
    const [told] = details;
    const cause = event === 'warning' && 'cause' in told ? told.cause : undefined;
    // Another hub has the servers now.
    if (cause instanceof StoreError && cause.isLost) {
      this.close().catch(() => {});
    }
    return super.announced(event, ...details);
  }

  protected override listenerFailed(event: keyof SupervisorEvents, cause: unknown): void {
    if (event !== 'warning') {
      this.announce('warning', {
        code: 'listener-failed',
        message: `A listener of the event '${event}' threw an error.`,
        cause,
      });
    }
  }

  async #close(servers: 'keep' | 'stop'): Promise<void> {
    this.#isOver = false;
    this.#home.turns.stop();
    // What is to be stopped has to be known.
    const restored = servers === 'stop' ? this.#bringBack() : this.#restored;
    this.#polling.stop();
    this.#healthChecks?.stop();
    this.#recovery.stop();
    const unknown = await whyNot(servers === 'stop' ? restoreTime : strayTime, restored);
    await atMost(strayTime, this.#looking);
    await this.#recovery.detach();
    this.#isOver = true;
    const all = [...this.#servers.values()];
    if (servers === 'keep') {
      await Promise.all(all.map((server) => server.detach()));
    } else {
      await this.#stopAll(all, unknown);
    }
    await this.#forgetAll();
  }

  async #stopAll(all: readonly ManagedServer[], unknown: string | undefined): Promise<void> {
    for (const server of all) {
      server.halt();
    }
    const failures: string[] = [];
    await forEach(all, stopsAtOnce, (server) =>
      server.stop().catch((error: unknown) => {
        failures.push(messageOf(error));
      }),
    );
    const { unusable } = this.#records;
    const problems = [
      failures.length > 0 &&
        `${failures.length} of ${all.length} servers could not be stopped. The first: ${failures[0]}`,
      unusable > 0 &&
        `Servers whose records can't be used are left alone; there are records of ${unusable}.`,
      unknown !== undefined && `It is not known which servers an earlier hub has left: ${unknown}`,
    ].filter((problem) => problem !== false);
    if (problems.length > 0) {
      throw new StopError(problems.join(' '), { retryable: true });
    }
  }

  /** Removes the records that the store has failed to remove. */
  async #forgetAll(): Promise<void> {
    await allAtOnce([...this.#unforgotten.values()], async (server) => {
      // Its record may be that of a server which was started meanwhile.
      if (this.#unforgotten.get(server.key) !== server) {
        return;
      }
      await server.forget();
      if (server.isForgotten && this.#unforgotten.get(server.key) === server) {
        this.#unforgotten.delete(server.key);
      }
    });
  }

  async #restore(): Promise<RestoreReport> {
    const records = await this.#records.read();
    const strays: Stray[] = [];
    this.#strays = strays;
    await forEach(records, loadsAtOnce, (record) => this.#load(record), loadsAtOnce);
    this.#refuseOver();
    const loaded = [...this.#servers.values()];
    const { adopted, done } = this.#lookForStrays(true);
    await adopted;
    this.#refuseOver();
    await allAtOnce(loaded, (server) => server.recover());
    await atMost(strayTime, done);
    this.#strays = undefined;
    this.#refuseOver();
    this.#polling.start();
    this.#healthChecks?.start();
    return {
      servers: this.#servers.size,
      ended: loaded.filter(({ key }) => !this.#servers.has(key)).length,
      strays,
    };
  }

  /** @throws AbortError where it took so long to bring all back that the supervisor is closed */
  #refuseOver(): void {
    if (this.#isOver) {
      throw closed();
    }
  }

  /** Brings back the server of a record, if that can be done. */
  async #load(record: ServerRecord): Promise<ManagedServer | undefined> {
    const server = new ManagedServer(this.#home, record, record.requestedAt);
    try {
      await server.load(record);
    } catch (error) {
      // What a hub's own function throws may pass.
      const mayPass = !(error instanceof OptionsError || error instanceof StateError);
      this.#records.setAside(server.key, error, mayPass ? record : undefined);
      return undefined;
    }
    if (this.#isOver) {
      await server.detach();
      return undefined;
    }
    this.#servers.set(server.key, server);
    return server;
  }

  /** Brings back what could not be brought back at first; once for all who need it. */
  #loadAgain(key: string): Promise<void> {
    return this.#records.tryAgain(key, async (record) => {
      const server = await this.#load(record);
      await server?.recover();
      this.#looksForStrays ||= server?.isUnclear === true;
    });
  }

  /** @throws OptionsError */
  #requestOf({ user, serverName = '', spawner, options = {} }: StartRequest): ServerRequest {
    const [first] = this.#kinds.keys();
    const spawnerName = spawner ?? first;
    if (spawnerName === undefined || !this.#kinds.has(spawnerName)) {
      throw new OptionsError(
        'spawner',
        `one of those that are registered: ${[...this.#kinds.keys()].join(', ') || 'none is'}`,
      );
    }
    const whose = typeof user === 'string' ? { name: user } : user;
    checkContext({ user: whose, serverName });
    const { name, id, account } = whose;
    return {
      user: { name, ...(id !== undefined && { id }), ...(account !== undefined && { account }) },
      serverName,
      spawnerName,
      options: sharedOptions(options),
    };
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) {
      throw closed();
    }
  }

  /** @throws StartError if there is a reason not to begin a start now */
  #refuse(key: string, { user, spawnerName }: ServerRequest): void {
    const { userLimit = Number.POSITIVE_INFINITY, serverLimit = Number.POSITIVE_INFINITY } =
      this.policies;
    const why = this.#records.whyUnusable(key);
    if (why !== undefined) {
      throw new StartError(why);
    }
    // What is being stopped, or could not be, still takes its place.
    const counting = [...this.#servers.values()].filter(
      ({ status, spawner }) => status !== 'stopping' || spawner?.hasServer === true,
    );
    if (counting.length >= serverLimit) {
      throw new StartError(`There are as many servers as may be (${serverLimit}).`, {
        retryable: true,
      });
    }
    const own = counting.filter((server) => server.user.name === user.name);
    if (own.length >= userLimit) {
      const isStopping = own.some(({ status }) => status === 'stopping');
      const advice = isStopping ? 'One is still being stopped.' : 'Stop one of them first.';
      throw new StartError(`${user.name} has as many servers as may be (${userLimit}). ${advice}`, {
        retryable: true,
      });
    }
    for (const failing of [key, spawnerName]) {
      const pause = this.#home.failures.pauseOf(failing);
      if (pause !== undefined) {
        throw new StartError(`The server is not started: ${pause}`, { retryable: true });
      }
    }
  }

  async #create(
    { user, serverName, spawnerName, options }: ServerRequest,
    signal?: AbortSignal,
  ): Promise<Spawner> {
    const create = this.#kindOf(spawnerName);
    const apiToken = await inTime(this.#setup.apiToken?.({ user, serverName }), signal);
    return create(this.#context({ user, serverName }, apiToken), options);
  }

  #context(server: ServerName, apiToken: string | undefined): SpawnerContext {
    const { hub } = this.#setup;
    return {
      ...server,
      ...(hub && { hub }),
      ...(apiToken !== undefined && { apiToken }),
      runner: this.#runner,
    };
  }

  /** A spawner that starts nothing. */
  #probe({ user, serverName, spawnerName, options }: ServerRequest): Spawner {
    return this.#kindOf(spawnerName)(this.#probeContext({ user, serverName }), options);
  }

  #probeContext(server: ServerName): SpawnerContext {
    const token = this.#setup.apiToken && randomBytes(16).toString('hex');
    return this.#context(server, token);
  }

  /** @throws OptionsError */
  #kindOf(spawnerName: string): SpawnerFactory {
    const create = this.#kinds.get(spawnerName);
    if (create === undefined) {
      throw new OptionsError(
        'spawner',
        'registered',
        `No kind of spawner is registered under the name ${JSON.stringify(spawnerName)}.`,
      );
    }
    return create;
  }

  #removed(server: ManagedServer): void {
    this.#servers.delete(server.key);
    if (!server.isForgotten) {
      this.#unforgotten.set(server.key, server);
    }
    // A start that failed may have left what it has not heard of.
    if (this.#recovery.removed(server)) {
      this.#looksForStrays = true;
    }
    this.#past.delete(server.key);
    this.#past.set(server.key, server.progressLog);
    const [oldest] = this.#past.keys();
    if (oldest !== undefined && this.#past.size > mostPast) {
      this.#past.delete(oldest);
    }
  }

  /** Asks and does what is due. Does not throw. */
  async #round(): Promise<void> {
    const servers = [...this.#servers.values()];
    this.#cull(servers);
    // What may take long is not waited for: others are to be polled in time.
    if (this.#looksForStrays) {
      this.#lookForStrays();
    }
    for (const key of this.#records.pending) {
      void this.#loadAgain(key);
    }
    void this.#forgetAll();
    for (const server of servers) {
      void server.saveAgain();
      if (server.isStopDue) {
        void server.stopAgain();
      }
    }
    await allAtOnce(
      servers.filter(({ isUp }) => isUp),
      async (server) => {
        // One answer that never comes keeps nobody from the next round.
        void server.poll();
      },
    );
  }

  #checkHealth(): Promise<void> {
    const servers = [...this.#servers.values()];
    const up = servers.filter(({ isUp }) => isUp);
    return forEach(up, callsAtOnce, (server) => server.checkHealth());
  }

  #cull(servers: readonly ManagedServer[]): void {
    const { idleTimeout, maxAge } = this.policies;
    const now = Date.now();
    for (const server of servers) {
      if (!server.isUp) {
        continue;
      }
      if (this.#culling >= stopsAtOnce) {
        return;
      }
      const isOld = maxAge > 0 && now - server.requestedAt.getTime() > maxAge;
      const isIdle = idleTimeout > 0 && now - server.lastActivity.getTime() > idleTimeout;
      if (isOld || isIdle) {
        const why = isOld ? 'age' : 'idle';
        this.#metrics.culled(why);
        this.announce('culled', server, why);
        this.#culling += 1;
        void server.stopAgain().finally(() => {
          this.#culling -= 1;
        });
      }
    }
  }

  /** Resolves `adopted` when servers have what is theirs, and `done` when strays have ended. */
  #lookForStrays(isFirst = false): {
    readonly adopted: Promise<unknown>;
    readonly done: Promise<void>;
  } {
    this.#looksForStrays = false;
    const adopted = this.#recovery.look(isFirst);
    const finish = async () => {
      const { isDone } = await adopted;
      const isAllDone = await isDone;
      this.#looksForStrays ||= !isAllDone;
    };
    this.#looking = finish();
    return { adopted, done: this.#looking };
  }
}

function closed(): AbortError {
  return new AbortError('The supervisor is closed.');
}

/** Why something has not come about in so many ms; undefined where it has. */
async function whyNot(ms: number, task: Promise<unknown> | undefined): Promise<string | undefined> {
  try {
    return (await atMost(ms, task)) ? undefined : `That takes longer than ${ms / 1000} s.`;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * @param signal ends the wait
 * @throws StartError; AbortError where it was ended
 */
async function inTime(
  token: Promise<string | undefined> | string | undefined,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (await atMost(tokenTime, Promise.resolve(token), signal)) {
    return token;
  }
  if (signal !== undefined) {
    throwIfAborted(signal);
  }
  throw new StartError(
    `The hub's own function apiToken has not answered for ${tokenTime / 1000} s.`,
    { retryable: true },
  );
}
