import { hostname } from 'node:os';
import type { Ability, LogOptions, ServerUsage } from '../abilities.ts';
import { throwIfAborted, unlessAborted } from '../abort.ts';
import { reachableHost, serverAddress } from '../address.ts';
import { JobMonitor } from '../batch/monitor.ts';
import type { JobStatus } from '../batch/scheduler.ts';
import { Shared } from '../batch/shared-query.ts';
import type { SpawnerContext } from '../context.ts';
import { kept } from '../environment.ts';
import {
  messageOf,
  OptionsError,
  SpawnerError,
  StartError,
  StateError,
  StopError,
  unlessFailed,
} from '../errors.ts';
import type { ExitStatus, ServerAddress } from '../events.ts';
import type { SystemdOptions } from '../generated/options.ts';
import { insist } from '../insist.ts';
import type { ReservedPort } from '../local/port.ts';
import { reservePort } from '../local/port.ts';
import type { MarkedServer } from '../mark.ts';
import { hubIdOf, newMark, serverOf } from '../mark.ts';
import { withoutSecret } from '../runners/log-tail.ts';
import { passwdEntry } from '../runners/passwd.ts';
import { sleep } from '../sleep.ts';
import type { StopOptions } from '../spawner.ts';
import { Spawner } from '../spawner.ts';
import type { StartScope } from '../start.ts';
import { endedEarly } from '../start.ts';
import type { Json } from '../state.ts';
import { exitOfService } from './exit.ts';
import { Manager } from './manager.ts';
import { RuntimeDirectory } from './runtime-directory.ts';
import { Service } from './service.ts';
import { defaultPath, UnitSettings } from './settings.ts';
import { directoryName, unitFacts, unitPattern } from './unit-name.ts';
import { descriptionOf, listUnits, parseUnits, serversIn, states } from './units.ts';

/** The unit that a spawner has started or taken over. */
interface RunningUnit {
  readonly service: Service;
  /** Of the unit, by which it is told from another of the same name. */
  readonly description: string;
  /** Of the account whose systemd runs it; undefined is that of the machine. */
  readonly uid: number | undefined;
  /** When it was started, in ms of `Date.now()`: its journal begins there. */
  readonly startedAt: number;
}

/** How a unit has ended. */
interface UnitEnd {
  readonly exit: ExitStatus;
  /** Whether another start has the name now, and with it the directory. */
  readonly isReplaced: boolean;
}

/**
 * Runs the server as a transient service of systemd, with the limits and the isolation that its
 * options say. Its output goes to the journal.
 *
 * Where `scope` is `system`, its commands are run as root: by a hub that is root, or by a
 * `SudoRunner`. A rule that allows systemd-run allows everything, so such a hub is as good as root.
 *
 * The option `hardened` sets these properties of systemd.exec(5), with which a Jupyter server can live:
 *
 * - `NoNewPrivileges=yes`: nothing becomes another user; sudo and su fail.
 * - `CapabilityBoundingSet=`, `AmbientCapabilities=`: none of root's capabilities is left.
 * - `PrivateTmp=yes`: a /tmp and /var/tmp of its own.
 * - `PrivateDevices=yes`: no disks and no other hardware; graphics processors come back by `DeviceAllow`.
 * - `ProtectSystem=full`: /usr, /boot and /etc are read-only; home and data directories are not.
 * - `ProtectKernelTunables=yes`, `ProtectKernelModules=yes`, `ProtectKernelLogs=yes`,
 *   `ProtectControlGroups=yes`, `ProtectClock=yes`, `ProtectHostname=yes`: nothing of the kernel is
 *   changed, its log is not read.
 * - `RestrictSUIDSGID=yes`: no setuid programs are made.
 * - `RestrictRealtime=yes`: no real-time scheduling freezes the machine.
 * - `LockPersonality=yes`: no emulation of other systems.
 * - `RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK`: no raw packets.
 * - `RemoveIPC=yes`: shared memory and message queues go with the last unit that runs as the account,
 *   so they stay while another server of it or a systemd of its own is there. It does nothing where
 *   `scope` is `user`.
 *
 * Left out are MemoryDenyWriteExecute, RestrictNamespaces and SystemCallFilter, which kernels, browsers
 * and compilers need, ProtectHome, since the notebooks are there, and PrivateNetwork.
 */
export class SystemdSpawner extends Spawner<SystemdOptions> {
  static override readonly schema = 'systemd.json';
  static override readonly kind = 'systemd';

  readonly #settings: UnitSettings;
  #running: RunningUnit | undefined;
  /** All who see the same end share it: a late removal would take the directory of the next start. */
  readonly #ends = new WeakMap<RunningUnit, Promise<void>>();
  #port: number | undefined;
  #statusKnown = true;
  /** In ms of `performance.now()`: lists that are older do not know the unit. */
  #listedSince = 0;
  /** An earlier hub has left the unit, and nobody has seen it since: it may be about to start. */
  #isUnseen = false;

  /** @throws OptionsError if the context or an option is not what it must be */
  constructor(context: SpawnerContext, options: Partial<SystemdOptions> = {}) {
    super(context, options);
    this.#settings = new UnitSettings(this.options, unitFacts(this.context, this.account));
  }

  override start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, (start) => this.#launch(start));
  }

  override get tag(): string | undefined {
    return this.#running && tagIn(this.#running.description);
  }

  override get abilities(): readonly Ability[] {
    return ['usage', 'logs'];
  }

  override async usage(): Promise<ServerUsage | null> {
    const service = this.#running?.service;
    const facts = await unlessFailed(async () => service?.cgroup(), undefined);
    return facts === undefined
      ? null
      : { memory: facts.memory, cpu: facts.cpu, tasks: facts.tasks };
  }

  /** The end of the journal of the unit, by default of this run of it. */
  override logs(options: LogOptions = {}): Promise<string | null> {
    return this.#journal(options);
  }

  async #journal({
    lines = 100,
    since,
    hasEnded = false,
  }: LogOptions & { hasEnded?: boolean }): Promise<string | null> {
    const { service, startedAt = 0 } = this.#running ?? {};
    const text = await service?.journal({ lines, since: since ?? new Date(startedAt), hasEnded });
    return text === undefined ? null : withoutSecret(text, this.apiToken);
  }

  override async poll(): Promise<ExitStatus | null> {
    const running = this.#running;
    if (this.exit !== undefined || running === undefined || this.starting) {
      return this.exit ?? null;
    }
    const end = await this.#endOf(running, this.#listedSince);
    if (end !== undefined && !this.starting) {
      await this.#end(running, end);
    }
    return this.exit ?? null;
  }

  /** Nothing where `scope` is `user`: each account has a systemd of its own. */
  override async survey(
    since = performance.now() + 1,
  ): Promise<readonly MarkedServer[] | undefined> {
    const hubId = hubIdOf(this.context);
    const { scope, runtimeDir = systemDirectory } = this.options;
    if (hubId === undefined || scope === 'user') {
      return [];
    }
    const units = await this.#monitor(this.#manager(undefined)).all(since);
    return (
      units &&
      surveys.of(units, JSON.stringify([hubId, runtimeDir]), () =>
        serversIn(units, hubId, runtimeDir),
      )
    );
  }

  /** See `Spawner`. With `now` all processes get SIGKILL at once, also in a stop that is under way. */
  override stop(how: StopOptions = {}): Promise<void> {
    const running = this.#running;
    if (how.now === true && running !== undefined) {
      // What it can't do is done by the stop, with more time.
      this.#kill(running).catch(() => {});
    }
    return this.runStop(() => this.#terminate());
  }

  protected override portText(): string {
    return this.#port === undefined ? super.portText() : String(this.#port);
  }

  protected override saveFields(): Record<string, Json> {
    if (this.#running === undefined) {
      return {};
    }
    const { service, description } = this.#running;
    const { uid, startedAt } = this.#running;
    return {
      unit: service.unit,
      directory: service.directory.path,
      description,
      startedAt: new Date(startedAt).toISOString(),
      ...(uid !== undefined && { uid }),
    };
  }

  protected override loadFields(fields: Readonly<Record<string, unknown>>): void {
    const { unit, directory, description, uid, startedAt, host } = fields;
    if (unit === undefined && host === undefined) {
      return;
    }
    if (typeof unit !== 'string' || !/^[\w:.\\@-]+\.service$/.test(unit) || unit.startsWith('-')) {
      throw new StateError('The unit of the saved state is not the name of a service.');
    }
    // It is removed by root.
    if (
      typeof directory !== 'string' ||
      !/^\/[^/]/.test(directory) ||
      !directory.endsWith(`/${directoryName(unit)}`)
    ) {
      throw new StateError('The directory of the saved state is not one of its unit.');
    }
    if (typeof description !== 'string' || description === '') {
      throw new StateError('The saved state does not say how its unit is described.');
    }
    if (uid !== undefined && (typeof uid !== 'number' || !Number.isSafeInteger(uid) || uid < 0)) {
      throw new StateError('The uid of the saved state is not the number of an account.');
    }
    const started = typeof startedAt === 'string' ? Date.parse(startedAt) : Number.NaN;
    if (Number.isNaN(started)) {
      throw new StateError('The saved state does not say when its unit was started.');
    }
    if ((uid !== undefined) !== (this.options.scope === 'user')) {
      const scope = uid === undefined ? 'system' : 'user';
      throw new StateError(
        `The saved state is of a unit whose scope is '${scope}', which the systemd of another scope does not know: set the option scope to '${scope}' until that server was stopped.`,
      );
    }
    const manager = this.#manager(uid);
    const service = new Service(manager, unit, new RuntimeDirectory(manager, directory));
    this.#running = { service, description, uid, startedAt: started };
    this.#isUnseen = true;
  }

  /** The hub may have ended between the start of the unit and that of its server. */
  protected override addressKnown(): ServerAddress | undefined {
    const { port } = descriptionOf(this.#running?.description ?? '') ?? {};
    return port === undefined
      ? undefined
      : serverAddress(this.context, reachableHost(this.options.ip), port);
  }

  /** Forgets the unit. */
  protected override clearFields(): void {
    this.#running = undefined;
    this.#port = undefined;
    this.#statusKnown = true;
    this.#listedSince = 0;
    this.#isUnseen = false;
  }

  async #launch(start: StartScope): Promise<ServerAddress> {
    const { startTimeout, httpTimeout, scope } = this.options;
    const { entry, service, uid, release } = await start.step('launch', startTimeout, (signal) =>
      unlessAborted(signal, () => this.#prepare()),
    );
    const tag = this.#newTag();
    let reserved: ReservedPort | undefined;
    let isFree = false;
    let launched = false;
    try {
      // Saved before the directory is taken, so that no end of the hub keeps others from it.
      await this.#take({ service, description: tag, uid }, undefined);
      throwIfAborted(start.signal);
      await service.directory.begin(tag, (startTimeout + httpTimeout) / 1000);
      const adopted = await this.#leftover(service);
      isFree = true;
      if (adopted !== undefined) {
        const { description, port } = adopted;
        await this.#take({ service, description, uid }, port);
      } else {
        reserved = await reservePort(this.options.ip, this.options.port);
        const { port } = reserved;
        const description = `${tag} port ${port}`;
        await this.#take({ service, description, uid }, port);
        throwIfAborted(start.signal);
        start.report(20, `Starting the unit ${service.unit}`);
        await start.step('launch', startTimeout, async () => {
          const environment = this.environment();
          const launch = { description, entry, release, port, environment, secret: this.apiToken };
          await service.start(this.#settings.plan(service, launch));
          launched = true;
        });
      }
      launched = true;
      this.#listedSince = performance.now();
      this.log('server of %s: %s unit %s', this.context.user.name, scope, service.unit);
      return await this.#untilReady(start);
    } catch (error) {
      if (!isFree) {
        // The directory, or the unit, may be that of another start.
        this.#forget();
      } else if (!(this.detached && launched)) {
        await this.#endFailed(error, service, launched);
      }
      throw error;
    } finally {
      reserved?.release();
      await this.#settle(service);
    }
  }

  /** Takes a unit, and waits until it is saved. */
  async #take(unit: Omit<RunningUnit, 'startedAt'>, port: number | undefined): Promise<void> {
    this.#running = { ...unit, startedAt: Date.now() };
    this.#port = port;
    this.stateChanged();
    await this.untilSaved();
  }

  #forget(): void {
    this.#running = undefined;
    this.#port = undefined;
    this.stateChanged();
  }

  /** What fails here is not the start: others wait until the time of this one is over. */
  async #settle({ directory }: Service): Promise<void> {
    try {
      await insist(() => directory.settle());
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `Until its time is over nobody else can start this server: ${messageOf(cause)}`,
        cause,
      });
    }
  }

  protected override async awaitServer(start: StartScope): Promise<ServerAddress> {
    const { address } = this;
    const running = this.#running;
    if (running === undefined || address === undefined) {
      throw new StartError('The hub ended before the unit was started.', { retryable: true });
    }
    return this.#untilAnswer(start, running, address);
  }

  async #untilReady(start: StartScope): Promise<ServerAddress> {
    const running = this.#running;
    if (running === undefined) {
      throw new StartError('The unit was forgotten while it was started.');
    }
    const { service } = running;
    this.announce('submitted', { id: service.unit });
    this.announce('running', { host: hostname() });
    await this.#checkLimits(service);
    const { ip, port } = this.options;
    const address = this.setAddress(reachableHost(ip), this.#port ?? port);
    return this.#untilAnswer(start, running, address);
  }

  #untilAnswer(
    start: StartScope,
    running: RunningUnit,
    address: ServerAddress,
  ): Promise<ServerAddress> {
    const { service } = running;
    start.report(50, `The server runs as the unit ${service.unit}`);
    return this.waitUntilReady(start, address, async (signal) => {
      for (let since = performance.now(); ; since = performance.now()) {
        throwIfAborted(signal);
        const { exit } = (await unlessAborted(signal, () => this.#endOf(running, since))) ?? {};
        if (exit !== undefined && exit.cause === 'unknown' && this.#isUnseen) {
          throw new StartError(
            `The hub ended while the unit ${service.unit} was started, and there is none.`,
            { exit, retryable: true },
          );
        }
        if (exit !== undefined) {
          const log = await this.#journal({ lines: 20, hasEnded: true });
          throw endedEarly(
            `The unit ${service.unit} ended before its server answered: ${exit.message}${log ? ` The end of its journal:\n${log}` : ''}`,
            exit,
            log,
          );
        }
        await sleep(this.options.queryInterval, signal);
      }
    });
  }

  /** Account, manager and directory of the unit that is to be started. */
  async #prepare() {
    const { scope, dynamicUsers, commandTimeout, runtimeDir } = this.options;
    const entry = dynamicUsers
      ? undefined
      : await passwdEntry(this.runner, this.#settings.account, {
          env: commandEnvironment(),
          timeout: commandTimeout,
        });
    if (entry?.uid === 0 && this.options.usernameTemplate !== entry.name) {
      throw new StartError(
        `A server of the account ${entry.name} could do everything on this machine. If that is what you want, set usernameTemplate to '${entry.name}', without {{ }}.`,
      );
    }
    const uid = scope === 'user' ? entry?.uid : undefined;
    const manager = this.#manager(uid);
    const release = await this.#checkRelease(manager);
    if (uid !== undefined) {
      await this.#checkUserManager(manager);
    }
    const parent =
      runtimeDir ?? (uid === undefined ? systemDirectory : `/run/user/${uid}/hubspawner`);
    const directory = new RuntimeDirectory(
      manager,
      `${parent}/${directoryName(this.#settings.unit)}`,
    );
    return { entry, uid, release, service: new Service(manager, this.#settings.unit, directory) };
  }

  #manager(uid: number | undefined): Manager {
    const { scope, commandAccount, commandTimeout } = this.options;
    const user = scope === 'user' ? this.#settings.account : commandAccount;
    const bus = {
      XDG_RUNTIME_DIR: `/run/user/${uid}`,
      DBUS_SESSION_BUS_ADDRESS: `unix:path=/run/user/${uid}/bus`,
    };
    return new Manager(this.runner, {
      scope,
      run: {
        ...(user !== null && { user }),
        env: { ...commandEnvironment(), ...(scope === 'user' && bus) },
        timeout: commandTimeout,
      },
    });
  }

  /** @throws StartError where the systemd of the account does not run */
  async #checkUserManager(manager: Manager): Promise<void> {
    const argv = [...manager.command('systemctl'), 'show', '--property=Version'];
    const { exitCode, stderr } = await manager.run(argv);
    if (exitCode !== 0 && /Failed to connect to bus/.test(stderr)) {
      const account = this.#settings.account;
      throw new StartError(
        `The systemd of the account '${account}' does not run (${stderr.trim()}). It has to run without a login: loginctl enable-linger ${account}`,
        { retryable: true },
      );
    }
  }

  /** @throws OptionsError for an option that this release of systemd does not have */
  async #checkRelease(manager: Manager): Promise<number> {
    const release = await manager.release();
    const needed = [
      { option: 'SystemdSpawner', name: 'type exec of services', since: 240 },
      ...(this.options.dynamicUsers
        ? [{ option: 'dynamicUsers', name: 'DynamicUser', since: 235 }]
        : []),
      ...this.#settings.properties,
    ];
    const missing = needed.find(({ since }) => since > release);
    if (missing !== undefined) {
      const { option, name, since } = missing;
      throw new OptionsError(
        option,
        `left out where systemd is older than ${since}`,
        `The option ${option} needs systemd ${since} or later (${name}); this machine has ${release}.`,
      );
    }
    return release;
  }

  /** What is there of a unit of the same name: taken over, or ended. */
  async #leftover(service: Service): Promise<AdoptedUnit | undefined> {
    const { activeState, description, isPermanent } = await service.status();
    if (isPermanent) {
      throw new StartError(
        `The unit ${service.unit} belongs to this machine, whose systemd has a file for it: set a unitNameTemplate that makes other names.`,
      );
    }
    if (activeState === 'inactive') {
      return undefined;
    }
    if (activeState !== 'failed' && description.startsWith('hubspawner:')) {
      this.#refuseOther(service.unit, tagIn(description));
    }
    const { port } = descriptionOf(description) ?? {};
    if (this.options.existingUnit === 'adopt' && activeState === 'active' && port !== undefined) {
      return { port, description };
    }
    this.log('the unit %s is there already, and is replaced', service.unit);
    const problem = await service.stop(this.options.stopTimeout + this.options.commandTimeout);
    if (problem !== undefined) {
      throw new StartError(`There is a unit of the same name that can't be replaced: ${problem}`, {
        retryable: true,
      });
    }
    await service.reset();
    return undefined;
  }

  /** @throws StartError where the tag of a unit is not of this hub, this person and this server */
  #refuseOther(unit: string, tag: string): void {
    const hub = hubOf(this.#newTag()) ?? '';
    if (hubOf(tag) !== hub) {
      throw new StartError(
        `The unit ${unit} is a server of another hub, or of this one when its apiUrl was another: give each hub a unitNameTemplate of its own, or stop the unit.`,
      );
    }
    const { user, serverName } = serverOf(tag, hub) ?? {};
    if (user !== this.context.user.name || serverName !== this.serverName) {
      throw new StartError(
        `The unit ${unit} is another server of this hub, whose person and name stand in its description: give the hub a unitNameTemplate that tells all servers apart, or stop that one.`,
      );
    }
  }

  #newTag(): string {
    return newMark(this.context, 90).tag;
  }

  /** A limit that was accepted, and that nothing enforces, is no limit. */
  async #checkLimits(service: Service): Promise<void> {
    const asked = limits.filter(([option]) => this.options[option] !== undefined);
    // No answer is no reason to end a server.
    const unenforced = await unlessFailed(() => this.#unenforced(service, asked), []);
    for (const [option] of unenforced) {
      this.announce('warning', {
        code: 'limit-not-enforced',
        message: `The option ${option} was set for ${service.unit}, but the kernel does not enforce it: its control group, or a slice around it, has nothing of the kind.`,
      });
    }
  }

  async #unenforced(
    service: Service,
    asked: readonly (typeof limits)[number][],
  ): Promise<readonly (typeof limits)[number][]> {
    if (asked.length === 0) {
      return [];
    }
    const facts = await service.cgroup();
    const unenforced = asked.filter(([, fact]) => facts?.[fact] === null);
    // A unit that has ended meanwhile has no control group.
    return unenforced.length > 0 && (await service.status()).activeState === 'active'
      ? unenforced
      : [];
  }

  /** How the unit has ended; undefined while it lives, and while nothing says that it has ended. */
  async #endOf(running: RunningUnit, since: number): Promise<UnitEnd | undefined> {
    const { service, description, uid } = running;
    const manager = this.#manager(uid);
    const sighting = await this.#monitor(manager).look(service.unit, since);
    if (sighting.kind === 'unknown' && (await this.#isManagerGone(uid))) {
      return { exit: await this.#exitOf(running), isReplaced: false };
    }
    this.#tellWhetherKnown(sighting.kind === 'unknown' ? sighting.problem : undefined, service);
    if (sighting.kind === 'unknown') {
      return undefined;
    }
    if (
      sighting.kind === 'listed' &&
      sighting.status.state !== 'ended' &&
      sighting.status.reason === description
    ) {
      this.#isUnseen = false;
      return undefined;
    }
    // The list says that something has changed; the unit itself says what.
    return this.#endNow(running);
  }

  #monitor(manager: Manager): JobMonitor {
    return JobMonitor.of(this.runner, {
      scheduler: { name: 'systemd', parseQuery: parseUnits, patterns: noPatterns, states },
      argv: listUnits(manager.command('systemctl'), unitPattern(this.options.unitNameTemplate)),
      options: manager.runOptions,
      interval: this.options.queryInterval,
    });
  }

  /** The same, asked of the unit alone. */
  async #endNow(running: RunningUnit): Promise<UnitEnd | undefined> {
    const { service, description, uid } = running;
    try {
      const { activeState, description: now } = await service.status();
      const isReplaced = activeState !== 'inactive' && now !== description;
      const isOver = activeState === 'inactive' || activeState === 'failed' || isReplaced;
      return isOver ? { exit: await this.#exitOf(running, isReplaced), isReplaced } : undefined;
    } catch (error) {
      if (error instanceof SpawnerError) {
        if (await this.#isManagerGone(uid)) {
          return { exit: await this.#exitOf(running), isReplaced: false };
        }
        this.#tellWhetherKnown(error.message, service);
        return undefined;
      }
      throw error;
    }
  }

  /** How a unit that is over has ended. */
  async #exitOf(
    { service, description, startedAt }: RunningUnit,
    isReplaced = false,
  ): Promise<ExitStatus> {
    return exitOfService(await service.end(description, new Date(startedAt), isReplaced), {
      memory: this.options.memLimit !== undefined,
      runtime: this.#settings.given('RuntimeMaxSec') !== undefined,
    });
  }

  /** Whether the systemd that ran the unit has ended: it never answers again. */
  async #isManagerGone(uid: number | undefined): Promise<boolean> {
    return uid !== undefined && unlessFailed(() => this.#manager(uid).isGone(uid), false);
  }

  #tellWhetherKnown(problem: string | undefined, { unit }: Service): void {
    const known = problem === undefined;
    if (known === this.#statusKnown) {
      return;
    }
    this.#statusKnown = known;
    this.announce(
      'warning',
      known
        ? { code: 'status-known', message: `systemd answers again about ${unit}.` }
        : {
            code: 'status-unknown',
            message: `The state of ${unit} is unknown; it counts as alive. ${problem}`,
          },
    );
  }

  async #terminate(): Promise<void> {
    const running = this.#running;
    if (running === undefined) {
      return;
    }
    const { service, uid } = running;
    const problem = await this.#stopUnit(running);
    const end =
      problem === undefined || (await this.#isManagerGone(uid))
        ? await this.#endNow(running)
        : undefined;
    if (end === undefined) {
      throw new StopError(
        `The unit ${service.unit} could not be ended: ${problem ?? 'systemd still lists it, or does not say'}. Stop it again later.`,
        { retryable: true },
      );
    }
    const { exit, isReplaced } = end;
    const stopped = { ...exit, cause: 'cancelled' as const, message: 'The server was stopped.' };
    await this.#end(running, isReplaced ? end : { exit: stopped, isReplaced });
  }

  /** Whether the unit is that of another start by now, which is none of ours to end. */
  async #isReplaced({ service, description }: RunningUnit): Promise<boolean> {
    const { activeState, description: now } = await service.status();
    return activeState !== 'inactive' && now !== description;
  }

  /** Returns why the unit may still run, if it may. */
  async #stopUnit(running: RunningUnit): Promise<string | undefined> {
    const timeout = this.options.stopTimeout + this.options.commandTimeout;
    try {
      const { activeState, description } = await running.service.status();
      // One that is not there needs no stop, which a rule of polkit may refuse.
      return activeState === 'inactive' || description !== running.description
        ? undefined
        : await running.service.stop(timeout);
    } catch (error) {
      if (error instanceof SpawnerError) {
        return error.message;
      }
      throw error;
    }
  }

  async #kill(running: RunningUnit): Promise<void> {
    if (!(await this.#isReplaced(running))) {
      await running.service.kill();
    }
  }

  #end(running: RunningUnit, end: UnitEnd): Promise<void> {
    let shared = this.#ends.get(running);
    if (shared === undefined) {
      shared = this.#endOnce(running, end);
      this.#ends.set(running, shared);
    }
    return shared;
  }

  async #endOnce(running: RunningUnit, { exit, isReplaced }: UnitEnd): Promise<void> {
    if (this.#running !== running) {
      return;
    }
    const { directory, unit } = running.service;
    try {
      if (!isReplaced) {
        await insist(() => directory.remove(tagIn(running.description)));
      }
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `The directory ${directory.path} of ${unit} is left: ${messageOf(cause)}`,
        cause,
      });
    }
    // Without its directory it can't start any more, but it may have done so just before.
    const problem = this.#isUnseen ? await this.#stopUnit(running) : undefined;
    if (problem !== undefined) {
      this.announce('warning', {
        code: 'command-failed',
        message: `${unit} may have started after its end was known: ${problem}`,
      });
    }
    if (this.#running === running) {
      await this.ended(exit);
    }
  }

  /** Leaves nothing of a unit whose start has failed. */
  async #endFailed(error: unknown, service: Service, launched: boolean): Promise<void> {
    const running = this.#running;
    try {
      if (running === undefined) {
        return;
      }
      const problem = await this.#stopUnit(running);
      if (problem !== undefined) {
        throw new StopError(problem);
      }
      if (!launched) {
        await insist(() => service.directory.remove(tagIn(running.description)));
        this.#forget();
        return;
      }
      const failed = error instanceof StartError ? error.exit : undefined;
      const exit = failed ?? {
        ...(await this.#exitOf(running)),
        cause: 'cancelled' as const,
      };
      const isReplaced = await this.#isReplaced(running);
      if (!isReplaced) {
        await service.reset();
      }
      await this.#end(running, { exit, isReplaced });
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `After a start that failed: ${messageOf(cause)}`,
        cause,
      });
    }
  }
}

/** A unit that is taken over. */
interface AdoptedUnit {
  readonly port: number;
  readonly description: string;
}

/** The tag in a description. */
function tagIn(description: string): string {
  return description.split(' ')[0] ?? '';
}

/** Of a tag: which hub has started the unit. */
function hubOf(tag: string): string | undefined {
  return tag.split(':')[1];
}

/** Options, and what the kernel says of them. */
const limits = [
  ['memLimit', 'memoryMax'],
  ['memHigh', 'memoryHigh'],
  ['memGuarantee', 'memoryLow'],
  ['swapMax', 'swapMax'],
  ['cpuLimit', 'cpuMax'],
  ['cpuWeight', 'cpuWeight'],
  ['tasksMax', 'tasksMax'],
] as const;

/** Where `runtimeDir` does not say another. */
const systemDirectory = '/run/hubspawner';

/** By list, and by hub and directory. */
const surveys = new Shared<ReadonlyMap<string, JobStatus>, readonly MarkedServer[]>();

/** Errors are known by exit codes. */
const noPatterns = {
  jobId: /(?!)/,
  outage: /(?!)/,
  notFound: /(?!)/,
  transient: /(?!)/,
};

function commandEnvironment(): Record<string, string> {
  return { PATH: defaultPath, ...kept(['PATH']), LC_ALL: 'C', TZ: 'UTC', SYSTEMD_COLORS: '0' };
}
