import { hostname } from 'node:os';
import type { Ability, LogOptions, ServerUsage } from '../abilities.ts';
import { throwIfAborted, unlessAborted } from '../abort.ts';
import { reachableHost } from '../address.ts';
import type { SpawnerContext } from '../context.ts';
import { messageOf, StartError, StateError, unlessFailed } from '../errors.ts';
import type { ExitStatus, ServerAddress } from '../events.ts';
import type { LocalProcessOptions } from '../generated/options.ts';
import { endOfLog } from '../runners/log-tail.ts';
import { sleep } from '../sleep.ts';
import type { StopOptions } from '../spawner.ts';
import { Spawner } from '../spawner.ts';
import type { StartScope } from '../start.ts';
import { endedEarly } from '../start.ts';
import type { Json } from '../state.ts';
import type { Account } from './account.ts';
import { findAccount } from './account.ts';
import type { Launch } from './launch.ts';
import { handedOver, launch } from './launch.ts';
import { logFile } from './log-file.ts';
import { reservePort } from './port.ts';
import type { ProcessIdentity, ProcessTable } from './process.ts';
import { processTable } from './process.ts';
import { isOver, LocalServer } from './server.ts';
import { usageOf } from './usage.ts';

/** In ms: how often is looked whether a server has ended that is no child of this process. */
const lookInterval = 250;

/** What is known of the end of a server that was no child of this process. */
const unseenEnd: ExitStatus = {
  code: null,
  signal: null,
  cause: 'unknown',
  message:
    'The process of the server has ended. It was started before the hub, which was not told how.',
};

/**
 * Runs the server as a process of this machine.
 *
 * The server leads a session and process group of its own, so that it survives the hub: a Ctrl-C in
 * the hub's terminal, and its restart. (Where the hub is a systemd service, that takes
 * `KillMode=process` in its unit.) It starts in the home directory of its account. It gets
 * `environment()`, and HOME, LOGNAME, SHELL and USER of the account where the option `environment`
 * does not name them; nothing else of the hub's. Its output goes to the file `logFile`.
 *
 * A hub that is root runs each server as the account of its user, with all its groups; that takes
 * Linux, and setpriv of util-linux. Any other hub runs servers as its own account.
 *
 * `memLimit` and `cpuLimit` are told to the server, and not enforced.
 */
export class LocalProcessSpawner extends Spawner<LocalProcessOptions> {
  static override readonly schema = 'local-process.json';
  static override readonly kind = 'local-process';

  readonly #processes: ProcessTable;
  #server: LocalServer | undefined;
  #port: number | undefined;
  /** A start or a stop is at work, and will say itself that the server has ended. */
  #atWork = false;
  /** `stop({ now: true })` was called. */
  #now = false;
  #statusKnown = true;
  /** The process that was launched goes on to become the server. */
  #handedOver = false;

  /** @throws OptionsError if the context or an option is not what it must be */
  constructor(context: SpawnerContext, options: Partial<LocalProcessOptions> = {}) {
    super(context, options);
    this.#processes = processTable(this.runner);
    logFile(this.context, this.options, '/');
  }

  /** See `Spawner`. A StartError also says that the account, the program or the port is not there. */
  override start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, (start) => this.#start(start));
  }

  override get abilities(): readonly Ability[] {
    return ['usage', 'logs'];
  }

  /** What the server and all that it has started use; memory that they share counts more than once. */
  override async usage(): Promise<ServerUsage | null> {
    const server = this.#server;
    // There may be no ps.
    return unlessFailed(async () => {
      const lives = server !== undefined && (await server.status()) === 'alive';
      return lives ? usageOf(this.runner, server.identity.pid) : null;
    }, null);
  }

  /** The end of `logFile`, which has no times: `since` is not heeded. */
  override async logs({ lines = 100 }: LogOptions = {}): Promise<string | null> {
    if (this.#server === undefined) {
      return null;
    }
    const { home, prefix } = await findAccount(this.account, this.runner);
    const file = logFile(this.context, this.options, home);
    const options = { timeout: 5000 };
    return (await endOfLog(this.runner, prefix, file, this.apiToken, options, lines)) ?? null;
  }

  override async poll(): Promise<ExitStatus | null> {
    const server = this.#server;
    if (server === undefined || this.#atWork) {
      return this.exit ?? null;
    }
    if (server.exit !== undefined) {
      await this.ended(server.exit);
      return this.exit ?? null;
    }
    const status = await server.status();
    if (this.#server === server && !this.#atWork) {
      this.#tellWhetherKnown(status !== 'unknown', server);
      if (status === 'ended' || status === 'replaced') {
        await this.ended(server.exit ?? unseenEnd);
      }
    }
    return this.exit ?? null;
  }

  /**
   * See `Spawner`. The process group of the server gets SIGINT, SIGTERM and SIGKILL in turn, until
   * nothing of it is left; with `now` SIGKILL at once, even where a stop is under way already.
   */
  override stop(how: StopOptions = {}): Promise<void> {
    this.#now ||= how.now === true;
    return this.runStop(() => this.#stop()).finally(() => {
      this.#now = false;
    });
  }

  protected override portText(): string {
    return this.#port === undefined ? super.portText() : String(this.#port);
  }

  protected override saveFields(): Record<string, Json> {
    return { ...this.#server?.identity };
  }

  protected override loadFields(fields: Readonly<Record<string, unknown>>): void {
    const { pid, started, bootId, host } = fields;
    if (pid === undefined && host === undefined) {
      return;
    }
    // The group 1 would be taken for all processes there are.
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 2) {
      throw new StateError('The pid of the saved state is not the number of a process.');
    }
    if (typeof started !== 'string' || (bootId !== undefined && typeof bootId !== 'string')) {
      throw new StateError('The saved state does not say when its process was started.');
    }
    const identity: ProcessIdentity = { pid, started, ...(bootId !== undefined && { bootId }) };
    this.#server = new LocalServer(identity, this.#processes);
  }

  /** Forgets the process. */
  protected override clearFields(): void {
    this.#server = undefined;
    this.#port = undefined;
    this.#statusKnown = true;
  }

  async #start(start: StartScope): Promise<ServerAddress> {
    const { port, release } = await reservePort(this.options.ip, this.options.port);
    this.#port = port;
    this.#atWork = true;
    this.#handedOver = false;
    try {
      return await this.#bringUp(start, port);
    } catch (error) {
      if (!(this.detached && this.#handedOver)) {
        await this.#endFailed(error);
      }
      throw error;
    } finally {
      this.#atWork = false;
      release();
    }
  }

  async #bringUp(start: StartScope, port: number): Promise<ServerAddress> {
    const { plan, server, address } = await start.step(
      'launch',
      this.options.startTimeout,
      (signal) => this.#launch(start, port, signal),
    );
    const ready = await this.waitUntilReady(start, address, async (signal) => {
      await server.untilEnd(signal);
      throw await this.#endedEarly(server, plan);
    });
    if (server.exit !== undefined) {
      throw await this.#endedEarly(server, plan);
    }
    return ready;
  }

  protected override async awaitServer(start: StartScope): Promise<ServerAddress> {
    const { address } = this;
    const server = this.#server;
    if (server === undefined || address === undefined) {
      throw new StartError('The hub ended before it knew where the server listens.');
    }
    return this.waitUntilReady(start, address, async (signal) => {
      while (!isOver(await server.status())) {
        await sleep(lookInterval, signal);
        throwIfAborted(signal);
      }
      const exit = server.exit ?? unseenEnd;
      await this.ended(exit);
      throw new StartError(`The server ended before it answered: ${exit.message}`, { exit });
    });
  }

  async #launch(start: StartScope, port: number, signal: AbortSignal) {
    const account = await findAccount(this.account, this.runner, signal);
    const { cmd, args, ip } = this.options;
    const plan: Launch = {
      account,
      argv: [...cmd, ...args].map((word) => word.replaceAll('{port}', String(port))),
      environment: this.#environmentOf(account),
      logFile: logFile(this.context, this.options, account.home),
    };
    throwIfAborted(signal);
    start.report(20, `Starting ${plan.argv[0]} as the account ${account.name}`);
    const launched = await launch(plan);
    const { process } = launched;
    const identity = { pid: process.pid ?? 0, started: '' };
    const server = new LocalServer(identity, this.#processes, process);
    this.#server = server;
    process.once('exit', () => {
      void this.poll();
    });
    await server.identify();
    const address = this.setAddress(reachableHost(ip), port);
    await this.untilSaved();
    launched.goOn();
    this.#handedOver = true;
    await unlessAborted(signal, () => handedOver(launched, plan));
    const { pid } = server.identity;
    this.log('server of %s: process %d', this.context.user.name, pid);
    this.announce('submitted', { id: String(pid) });
    this.announce('running', { host: hostname() });
    start.report(50, `The server runs as the process ${pid}`);
    return { plan, server, address };
  }

  async #endedEarly(server: LocalServer, plan: Launch): Promise<StartError> {
    const exit = server.exit;
    // As the account whose log it is: that may have made it a symbolic link.
    const { prefix } = plan.account;
    const log = await endOfLog(this.runner, prefix, plan.logFile, this.apiToken, { timeout: 5000 });
    const why = exit?.message.replace(/\.$/, '') ?? 'The server ended';
    return endedEarly(`${why} before it answered; its output is in ${plan.logFile}.`, exit, log);
  }

  /** Leaves nothing of a server whose start has failed. */
  async #endFailed(error: unknown): Promise<void> {
    const server = this.#server;
    if (server === undefined) {
      this.#port = undefined;
      return;
    }
    try {
      await this.#end(server);
    } catch (cause) {
      this.announce('warning', {
        code: 'command-failed',
        message: `The start failed, and so did the end of what was started: ${messageOf(cause)}`,
        cause,
      });
      return;
    }
    await this.ended(
      error instanceof StartError
        ? (error.exit ?? { code: null, signal: null, cause: 'failed', message: error.message })
        : server.cancelled,
    );
  }

  async #stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) {
      return;
    }
    this.#atWork = true;
    try {
      const stopped = await this.#end(server);
      await this.ended(stopped ? server.cancelled : unseenEnd);
    } finally {
      this.#atWork = false;
    }
  }

  #end(server: LocalServer): Promise<boolean> {
    const { interruptTimeout, terminateTimeout, killTimeout } = this.options;
    return server.end(
      [
        ['SIGINT', interruptTimeout],
        ['SIGTERM', terminateTimeout],
        ['SIGKILL', killTimeout],
      ],
      () => this.#now,
    );
  }

  #tellWhetherKnown(known: boolean, { identity: { pid } }: LocalServer): void {
    if (known === this.#statusKnown) {
      return;
    }
    this.#statusKnown = known;
    this.announce(
      'warning',
      known
        ? { code: 'status-known', message: `The process ${pid} can be looked up again.` }
        : { code: 'status-unknown', message: `The process ${pid} can't be looked up.` },
    );
  }

  #environmentOf({ name, home, shell }: Account): Record<string, string> {
    const facts = { HOME: home, LOGNAME: name, SHELL: shell, USER: name };
    const named = this.options.environment;
    return {
      ...this.environment(),
      ...Object.fromEntries(Object.entries(facts).filter(([variable]) => !(variable in named))),
    };
  }
}
