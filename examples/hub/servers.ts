import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import type { ExitStatus, Spawner } from 'hubspawner';
import { StartError } from 'hubspawner';
import type { Choices, Kind, Program } from './kinds.ts';
import { kinds } from './kinds.ts';
import { logFileOf, tailOf } from './log.ts';
import { readServers, saveServers } from './state.ts';
import type { Server, Status } from './status.ts';
import { isAlive, serverPath } from './status.ts';

/** What the servers of a hub have in common. */
export interface ServersOptions {
  /** The hub's interface, as seen from the servers. */
  readonly apiUrl: string;
  readonly program: Program;
  /** What is left in it by an earlier hub is taken over. */
  readonly stateFile: string;
}

/** The servers of all people; emits `change` with the server that has changed or was removed. */
export class Servers extends EventEmitter<{ change: [Server] }> {
  readonly #options: ServersOptions;
  readonly #servers = new Map<string, Server>();
  readonly #account = userInfo().username;
  #revision = 0;
  #closed = false;

  constructor(options: ServersOptions) {
    super();
    this.#options = options;
    mkdirSync(dirname(options.stateFile), { recursive: true, mode: 0o700 });
    // One listener for each page that is open.
    this.setMaxListeners(0);
    for (const saved of readServers(options.stateFile)) {
      const { user, name, choices, token, state } = saved;
      const kind = kinds.find((one) => one.name === saved.kind);
      if (kind === undefined) {
        throw new Error(
          `${options.stateFile} has a server of the kind ${JSON.stringify(saved.kind)}, which this hub does not know.`,
        );
      }
      const server = this.#create(user, name, kind, choices, token);
      this.#servers.set(serverPath(user, name), server);
      this.#restore(server, state);
    }
  }

  /** Those of one person. */
  of(user: string): Server[] {
    return [...this.#servers.values()].filter((server) => server.user === user);
  }

  find(user: string, name: string): Server | undefined {
    return this.#servers.get(serverPath(user, name));
  }

  spawners(): Spawner[] {
    return [...this.#servers.values()].map(({ spawner }) => spawner);
  }

  /** How many servers would outlive the hub. */
  get alive(): number {
    return [...this.#servers.values()].filter(isAlive).length;
  }

  /**
   * Starts a server, unless there is one of that name already. Comes back at once: what becomes of
   * it is told by `change`.
   *
   * @throws OptionsError if a choice is not what it must be
   */
  start(user: string, name: string, kind: Kind, choices: Choices): void {
    const old = this.find(user, name);
    if (old !== undefined && isAlive(old)) {
      return;
    }
    const server = this.#create(user, name, kind, choices, randomBytes(32).toString('base64url'));
    old?.spawner.removeAllListeners();
    this.#servers.set(serverPath(user, name), server);
    const started = server.spawner.start();
    this.#set(server, { is: 'starting' });
    started.then(
      () => {
        if (server.status.is === 'starting') {
          this.#set(server, { is: 'running' });
        }
      },
      (error: unknown) => this.#startFailed(server, error),
    );
  }

  /** Stops a server, also during its start. Comes back at once, like `start`. */
  stop(server: Server): void {
    if (!isAlive(server) || server.status.is === 'stopping') {
      return;
    }
    this.#set(server, { is: 'stopping' });
    server.spawner.stop().then(
      () => this.#set(server, { is: 'ended', why: 'It was stopped.', log: undefined }),
      (error: unknown) => this.#set(server, { is: 'unusable', why: messageOf(error) }),
    );
  }

  /** Forgets a server that has ended. */
  remove(server: Server): void {
    if (!isAlive(server)) {
      this.#servers.delete(serverPath(server.user, server.name));
      this.#changed(server);
    }
  }

  /** Looks whether a server has ended. */
  async poll(server: Server): Promise<void> {
    const exit = await server.spawner.poll();
    if (exit !== null) {
      this.#ended(server, exit);
    }
  }

  /** Lets go of all servers: they run on, and a later hub finds them in the state file. */
  close(): void {
    for (const spawner of this.spawners()) {
      spawner.removeAllListeners();
    }
    this.#closed = true;
    this.removeAllListeners();
  }

  #create(user: string, name: string, kind: Kind, choices: Choices, token: string): Server {
    const { apiUrl, program, stateFile } = this.#options;
    // People log in under names that no account needs to have: all servers run as the hub does.
    const context = {
      user: { name: user, account: this.#account },
      serverName: name,
      hub: { apiUrl, baseUrl: '/' },
      apiToken: token,
    };
    const path = serverPath(user, name);
    const logFile = logFileOf(path, dirname(stateFile));
    const spawner = kind.create(context, program, path, choices, logFile);
    const server: Server = {
      user,
      name,
      kind,
      choices,
      logFile,
      spawner,
      status: { is: 'starting' },
      progress: undefined,
      notice: undefined,
      revision: this.#nextRevision(),
    };
    spawner.on('state', () => this.#save());
    spawner.on('progress', (event) => {
      server.progress = event;
    });
    spawner.on('warning', ({ code, message }) => {
      server.notice = code === 'status-known' ? undefined : message;
      this.#changed(server);
    });
    spawner.on('exited', (exit) => this.#ended(server, exit));
    return server;
  }

  #restore(server: Server, state: unknown): void {
    const { spawner } = server;
    try {
      spawner.loadState(state);
    } catch (error) {
      server.status = { is: 'failed', why: messageOf(error), log: undefined };
      return;
    }
    server.status =
      spawner.address === undefined
        ? { is: 'unusable', why: 'The hub was ended while this server was starting.' }
        : { is: 'running' };
    this.poll(server).catch((error: unknown) => {
      server.notice = messageOf(error);
      this.#changed(server);
    });
  }

  async #startFailed(server: Server, error: unknown): Promise<void> {
    if (server.status.is === 'stopping') {
      return;
    }
    const why = messageOf(error);
    const left = (await server.spawner.poll()) === null;
    const log = error instanceof StartError ? error.log : undefined;
    this.#set(server, left ? { is: 'unusable', why } : { is: 'failed', why, log });
  }

  #ended(server: Server, { message }: ExitStatus): void {
    // While it starts or stops, the end of that says more.
    if (server.status.is === 'running' || server.status.is === 'unusable') {
      this.#set(server, { is: 'ended', why: message, log: tailOf(server.logFile) });
    }
  }

  #set(server: Server, status: Status): void {
    if (this.#closed) {
      return;
    }
    server.status = status;
    this.#save();
    this.#changed(server);
  }

  #changed(server: Server): void {
    server.revision = this.#nextRevision();
    this.emit('change', server);
  }

  #nextRevision(): number {
    this.#revision += 1;
    return this.#revision;
  }

  #save(): void {
    const { stateFile } = this.#options;
    try {
      const alive = [...this.#servers.values()].filter(isAlive);
      saveServers(
        stateFile,
        alive.map(({ user, name, kind, choices, spawner }) => ({
          user,
          name,
          kind: kind.name,
          choices,
          token: spawner.apiToken ?? '',
          state: spawner.getState(),
        })),
      );
    } catch (error) {
      console.error(`The servers could not be saved in ${stateFile}: ${messageOf(error)}`);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
