import { EventEmitter } from 'node:events';
import { userInfo } from 'node:os';
import type { ProgressEvent, SupervisedServer, Supervisor, SupervisorWarning } from 'hubspawner';
import { AbortError, StartError, servicePrefix } from 'hubspawner';
import type { Choices, Kind, Program } from './kinds.ts';
import { logFileOf, tailOf } from './log.ts';

/** How a server came to its end. */
interface End {
  readonly is: 'ended' | 'failed';
  readonly why: string;
  readonly log?: string | undefined;
}

const stopped: End = { is: 'ended', why: 'It was stopped.' };

/** What the page shows under one name: a server, or the end of the last one. */
export interface Server {
  readonly user: string;
  /** '' is the one without a name. */
  readonly name: string;
  /** The name of its kind. */
  kind: string;
  /** What was asked for last, as far as this run of the hub knows. */
  choices: Choices;
  /** While the supervisor has one. */
  current: SupervisedServer | undefined;
  end: End | undefined;
  /** How far the start has come. */
  progress: ProgressEvent | undefined;
  /** Something that went wrong and that the server survives. */
  notice: string | undefined;
  /** Counts the changes. */
  revision: number;
}

/** What the servers of a hub have in common. */
export interface ServersOptions {
  readonly program: Program;
  /** For their logs. */
  readonly folder: string;
}

/**
 * The servers of all people, as pages show them; emits `change` with the one that has changed or was
 * removed. The supervisor knows those that there are. What is kept here is what a page says besides.
 */
export class Servers extends EventEmitter<{ change: [Server] }> {
  readonly #supervisor: Supervisor;
  readonly #options: ServersOptions;
  readonly #servers = new Map<string, Server>();
  readonly #account = userInfo().username;
  #revision = 0;

  /** Before the supervisor restores what there was, so that nothing of it is missed. */
  constructor(supervisor: Supervisor, options: ServersOptions) {
    super();
    this.#supervisor = supervisor;
    this.#options = options;
    // One listener for each page that is open.
    this.setMaxListeners(0);
    supervisor
      .on('status', (current) => this.#began(current))
      .on('progress', (current, event) => {
        this.#of(current).progress = event;
      })
      .on('failed', (current, error) => {
        this.#ended(current, error instanceof AbortError ? stopped : failure(error));
      })
      .on('exited', (current, { message }) => {
        const log = tailOf(this.#logFile(current.user.name, current.serverName));
        const itself = { is: 'ended', why: message, log } as const;
        this.#ended(current, current.status === 'stopping' ? stopped : itself);
      })
      .on('removed', (current) => this.#ended(current, this.#of(current).end ?? stopped))
      .on('stray', ({ user, id, fate, reason }) => {
        console.error(`The job ${id} of ${user} was ${fate}: ${reason}.`);
      })
      .on('warning', (warning, current) => this.#warned(warning, current));
  }

  /** Those of one person. */
  of(user: string): Server[] {
    return [...this.#servers.values()].filter((server) => server.user === user);
  }

  find(user: string, name: string): Server | undefined {
    return this.#servers.get(serverPath(user, name));
  }

  /**
   * Starts a server, unless there is one of that name already. What becomes of it is told by `change`.
   *
   * @throws OptionsError if a choice is not what it must be
   * @throws StartError if it is refused
   */
  async start(user: string, name: string, kind: Kind, choices: Choices): Promise<void> {
    const started = this.#supervisor.start({
      // People log in under names that no account needs to have: all servers run as the hub does.
      user: { name: user, account: this.#account },
      serverName: name,
      spawner: kind.name,
      options: {
        cmd: this.#options.program.argv(kind.ip, serverPath(user, name)),
        logFile: this.#logFile(user, name),
        ...kind.optionsOf(choices),
      },
    });
    started.catch(() => {});
    // A refusal comes at once. For all else a page need not wait.
    await Promise.race([started, new Promise((resolve) => setImmediate(resolve))]);
    const server = this.find(user, name);
    if (server !== undefined) {
      server.choices = choices;
    }
  }

  /** Stops a server, also during its start. Comes back at once, and is tried again until it is done. */
  stop(server: Server): void {
    this.#supervisor.stop(server.user, server.name).catch(() => this.#changed(server));
  }

  /** Forgets a server that has ended. */
  remove(server: Server): void {
    if (server.current === undefined) {
      this.#servers.delete(serverPath(server.user, server.name));
      this.#changed(server);
    }
  }

  #began(current: SupervisedServer): void {
    const server = this.#of(current);
    if (server.current !== current) {
      server.kind = current.spawnerName;
      server.current = current;
      server.end = undefined;
      server.progress = undefined;
      server.notice = undefined;
    }
    this.#changed(server);
  }

  #ended(current: SupervisedServer, end: End): void {
    const server = this.#of(current);
    server.current = this.#supervisor.find(server.user, server.name);
    server.end = end;
    this.#changed(server);
  }

  #warned({ code, message }: SupervisorWarning, current: SupervisedServer | undefined): void {
    if (current === undefined) {
      console.error(message);
      return;
    }
    const server = this.#of(current);
    server.notice = code === 'status-known' ? undefined : message;
    this.#changed(server);
  }

  #of({ user, serverName, spawnerName }: SupervisedServer): Server {
    const path = serverPath(user.name, serverName);
    const server: Server = this.#servers.get(path) ?? {
      user: user.name,
      name: serverName,
      kind: spawnerName,
      choices: {},
      current: undefined,
      end: undefined,
      progress: undefined,
      notice: undefined,
      revision: 0,
    };
    this.#servers.set(path, server);
    return server;
  }

  #changed(server: Server): void {
    this.#revision += 1;
    server.revision = this.#revision;
    this.emit('change', server);
  }

  #logFile(user: string, name: string): string {
    return logFileOf(serverPath(user, name), this.#options.folder);
  }
}

/** The path below which a server answers. */
export function serverPath(user: string, name: string): string {
  return servicePrefix({ user: { name: user }, serverName: name, hub: { baseUrl: '/' } });
}

function failure(error: unknown): End {
  return {
    is: 'failed',
    why: error instanceof Error ? error.message : String(error),
    log: error instanceof StartError ? error.log : undefined,
  };
}
