import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { assert } from 'chai';
import { endpointHandler } from '../../../lib/endpoint/handler.ts';
import type { SupervisorPolicies } from '../../../lib/generated/options.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../../../lib/runners/runner.ts';
import type { SupervisorEvents } from '../../../lib/supervisor/events.ts';
import { FileStore } from '../../../lib/supervisor/file-store.ts';
import type { RestoreReport, ServerName } from '../../../lib/supervisor/setup.ts';
import type { SupervisedServer } from '../../../lib/supervisor/supervised-server.ts';
import { Supervisor } from '../../../lib/supervisor/supervisor.ts';
import { command } from './slurm.ts';

/**
 * In Perl, since a hundred of it run here at once: answers every request with its process, account
 * and name. One request at a time.
 */
const server = `
use Socket;
socket(my $listener, PF_INET, SOCK_STREAM, 0) or die $!;
setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
bind($listener, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die $!;
listen($listener, 128) or die $!;
while (accept(my $client, $listener)) {
  sysread($client, my $request, 65536);
  my $who = getpwuid($>);
  syswrite($client, "HTTP/1.0 200 OK\\r\\n\\r\\n$$ $who $ENV{JUPYTERHUB_SERVER_NAME}");
  close($client);
}
`;

/** What a server of `SupervisedHub` says of itself. */
interface Identity {
  readonly pid: number;
  readonly account: string;
  readonly serverName: string;
}

/** Asks a server of `SupervisedHub` who it is. */
export async function identityOf({ url }: { readonly url: string }): Promise<Identity> {
  const answer = await (await fetch(url)).text();
  const [pid, account = '', serverName = ''] = answer.split(' ');
  return { pid: Number(pid), account, serverName };
}

/** How tests speak of a server, as in `alice/lab`. */
export function nameOf({ user, serverName }: ServerName): string {
  return `${user.name}/${serverName}`;
}

/** An event of a supervisor. */
export interface Told {
  readonly event: keyof SupervisorEvents;
  /** See `nameOf`; '' where it is about none. */
  readonly name: string;
  /** What came with it beside the server. */
  readonly detail: unknown;
  /** In ms of `performance.now()`. */
  readonly at: number;
}

/** A command that was run. */
interface Ran {
  /** The name of the program. */
  readonly program: string;
  /** When it began, in ms of `performance.now()`. */
  readonly at: number;
}

/** Notes which commands are run. */
class NotingRunner implements CommandRunner {
  readonly ran: Ran[] = [];
  readonly #runner: CommandRunner;

  constructor(runner: CommandRunner) {
    this.#runner = runner;
  }

  run(argv: readonly string[], options?: RunOptions): Promise<CommandResult> {
    this.ran.push({ program: basename(argv[0] ?? ''), at: performance.now() });
    return this.#runner.run(argv, options);
  }
}

const noted = ['submitted', 'ready', 'moved', 'failed', 'exited', 'removed', 'unhealthy'] as const;

/**
 * A hub on loopback that is root, keeps the servers of alice and bob by a supervisor, and may be
 * restarted with what its store has.
 */
export class SupervisedHub {
  /** Has one directory for each account, which only that may enter. */
  readonly scratch = mkdtempSync(join(tmpdir(), 'hubspawner-live-'));
  /** What the supervisors of this hub have told. */
  readonly told: Told[] = [];
  readonly #runner: NotingRunner;
  readonly #policies: Partial<SupervisorPolicies>;
  readonly #register: (supervisor: Supervisor, hub: SupervisedHub) => void;
  readonly #server: Server;
  readonly #tokens = new Map<string, string>();
  #store: FileStore | undefined;
  #supervisor: Supervisor | undefined;
  #isUp = false;

  /** @param register says to each of its supervisors which kinds of spawners there are */
  static async open(
    runner: CommandRunner,
    policies: Partial<SupervisorPolicies>,
    register: (supervisor: Supervisor, hub: SupervisedHub) => void,
  ): Promise<SupervisedHub> {
    const hub = new SupervisedHub(runner, policies, register);
    chmodSync(hub.scratch, 0o755);
    for (const account of ['alice', 'bob']) {
      await command(['install', '-d', '-m', '0700', '-o', account, join(hub.scratch, account)]);
    }
    await new Promise<void>((resolve) => hub.#server.listen(0, '127.0.0.1', resolve));
    await hub.restore();
    return hub;
  }

  private constructor(
    runner: CommandRunner,
    policies: Partial<SupervisorPolicies>,
    register: (supervisor: Supervisor, hub: SupervisedHub) => void,
  ) {
    this.#runner = new NotingRunner(runner);
    this.#policies = policies;
    this.#register = register;
    const endpoint = endpointHandler(() => this.supervisor.spawners);
    this.#server = createServer((req, res) => {
      if (this.#isUp) {
        endpoint.node(req, res);
      } else {
        res.writeHead(503).end();
      }
    });
  }

  get supervisor(): Supervisor {
    assert(this.#supervisor);
    return this.#supervisor;
  }

  /** The commands that were run so far. */
  get ran(): readonly Ran[] {
    return this.#runner.ran;
  }

  /** Options of spawners with which servers start and log where the tests want it. */
  get options() {
    return {
      cmd: ['perl', '-e', server, '{port}'],
      logFile: join(this.scratch, '{{username}}', '{{jobName}}.log'),
    };
  }

  /** The names of the servers that the store has. */
  async stored(): Promise<string[]> {
    const names: string[] = [];
    for await (const [key] of this.#store?.iterator() ?? []) {
      const [user, serverName] = JSON.parse(key.slice(key.indexOf('[')));
      names.push(`${user}/${serverName}`);
    }
    return names;
  }

  /** Ends the hub, whose servers live on. */
  async end(): Promise<void> {
    this.#isUp = false;
    await this.#supervisor?.close({ servers: 'keep' });
    await this.#store?.disconnect();
  }

  /** Begins as a hub does. */
  async restore(): Promise<RestoreReport> {
    const address = this.#server.address();
    assert(typeof address === 'object' && address !== null);
    this.#store = new FileStore(join(this.scratch, 'store'));
    const supervisor = new Supervisor({
      ...this.#policies,
      store: this.#store,
      hub: { apiUrl: `http://127.0.0.1:${address.port}/hub/api` },
      runner: this.#runner,
      apiToken: (which) => this.#tokenOf(nameOf(which)),
    });
    this.#register(supervisor, this);
    this.#note(supervisor);
    this.#supervisor = supervisor;
    const report = await supervisor.restore();
    this.#isUp = true;
    return report;
  }

  /** Stops all servers, and ends for good. */
  async close(): Promise<void> {
    try {
      await this.#supervisor?.close({ servers: 'stop' });
      await this.#store?.disconnect();
    } finally {
      this.#server.closeAllConnections();
      this.#server.close();
      rmSync(this.scratch, { recursive: true });
    }
  }

  #tokenOf(name: string): string {
    const token = this.#tokens.get(name) ?? randomBytes(16).toString('hex');
    this.#tokens.set(name, token);
    return token;
  }

  #note(supervisor: Supervisor): void {
    const note = (event: Told['event'], of?: SupervisedServer, detail?: unknown) =>
      this.told.push({ event, name: of ? nameOf(of) : '', detail, at: performance.now() });
    for (const event of noted) {
      supervisor.on(event, (of: SupervisedServer, detail?: unknown) => note(event, of, detail));
    }
    supervisor.on('warning', (warning, of) => note('warning', of, warning));
    supervisor.on('stray', (stray) => note('stray', undefined, stray));
  }
}
