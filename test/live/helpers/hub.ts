import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { SlurmSpawner } from '../../../lib/batch/slurm.ts';
import type { SpawnerContext } from '../../../lib/context.ts';
import { endpointHandler } from '../../../lib/endpoint/handler.ts';
import type { SlurmOptions } from '../../../lib/generated/options.ts';
import { SudoRunner } from '../../../lib/runners/sudo.ts';
import type { SlurmJob, SlurmKind } from '../../engines/slurm.ts';
import {
  cancelAll,
  jobs,
  slurmRoot,
  slurmRoots,
  startSlurm,
  stopSlurm,
} from '../../engines/slurm.ts';
import { ChrootRunner } from './chroot-runner.ts';
import { command } from './slurm.ts';

/** Runs the commands of all hubs here, so that they share one monitor. */
export const sudo = new SudoRunner();

/** The same for a Slurm that is not installed on this machine itself. */
const elsewhere = new ChrootRunner(slurmRoots['24.11']);

/** In Python: answers every request with what the server was given. */
const server = `
import http.server, json, os, pwd, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({
            'account': pwd.getpwuid(os.getuid()).pw_name,
            'directory': os.getcwd(),
            'environment': dict(os.environ),
        }).encode())

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
`;

/** What the server of `LiveHub` says of itself. */
export interface ServerReport {
  readonly account: string;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Asks a server of `LiveHub`. */
export async function report({ url }: { readonly url: string }): Promise<ServerReport> {
  const response = await fetch(url);
  const answer: ServerReport = JSON.parse(await response.text());
  return answer;
}

/** Whether a job lives, in Slurm's words. */
export function isAlive({ state }: SlurmJob): boolean {
  return /^(PENDING|CONFIGURING|RUNNING|SUSPENDED|COMPLETING)$/.test(state);
}

/**
 * A hub on loopback that is root and gives alice and bob servers as jobs of the test cluster. The
 * logs of their jobs are in a directory of its own.
 */
export class LiveHub {
  /** Has one directory for each account, which only that may enter. */
  readonly scratch: string;
  readonly runner = slurmRoot() === '/' ? sudo : elsewhere;
  /** While it is not, it answers all calls with 503, as what stands in front of a hub does. */
  isUp = true;
  readonly #server: Server;
  readonly #spawners = new Map<SlurmSpawner, Set<string>>();

  /** @param api answers what is not the endpoint of starting servers; default: 404 */
  static async open(api: RequestListener = (_, res) => res.writeHead(404).end()): Promise<LiveHub> {
    const scratch = mkdtempSync(join(tmpdir(), 'hubspawner-live-'));
    chmodSync(scratch, 0o755);
    await command(['install', '-d', '-m', '0700', '-o', 'alice', join(scratch, 'alice')]);
    await command(['install', '-d', '-m', '0700', '-o', 'bob', join(scratch, 'bob')]);
    return new LiveHub(scratch, api).#listen();
  }

  private constructor(scratch: string, api: RequestListener) {
    const endpoint = endpointHandler(() => this.#spawners.keys());
    this.scratch = scratch;
    this.#server = createServer((req, res) => {
      if (!this.isUp) {
        res.writeHead(503).end();
      } else if (req.url === '/hub/api/batchspawner') {
        endpoint.node(req, res);
      } else {
        api(req, res);
      }
    });
  }

  async #listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get apiUrl(): string {
    const address = this.#server.address();
    assert(typeof address === 'object' && address !== null);
    return `http://127.0.0.1:${address.port}/hub/api`;
  }

  /** Options with which servers start and log where the tests want it. */
  get options(): Partial<SlurmOptions> {
    return {
      cmd: ['python3', '-c', server, '{port}'],
      logFile: join(this.scratch, '{{username}}', '{{jobName}}.log'),
      queryInterval: 400,
      pollInterval: 0,
      held: 'wait',
    };
  }

  /** A context in which everything is given; the user is alice, and the token a random one. */
  context(given: Partial<SpawnerContext> = {}): SpawnerContext {
    const apiToken = randomBytes(16).toString('hex');
    return {
      user: { name: 'alice' },
      hub: { apiUrl: this.apiUrl },
      apiToken,
      runner: this.runner,
      ...given,
    };
  }

  /** A spawner that the hub knows. Its server answers with a `ServerReport` unless `cmd` is given. */
  create(options: Partial<SlurmOptions> = {}, context: Partial<SpawnerContext> = {}): SlurmSpawner {
    const spawner = new SlurmSpawner(this.context(context), { ...this.options, ...options });
    const names = new Set<string>();
    spawner.on('state', ({ jobName }) => names.add(String(jobName)));
    this.#spawners.set(spawner, names);
    return spawner;
  }

  /** All jobs that Slurm remembers of a spawner of this hub: one for each of its submissions. */
  async jobsOf(spawner: SlurmSpawner): Promise<SlurmJob[]> {
    const names = this.#namesOf(spawner);
    return (await jobs()).filter(({ name }) => names.has(name));
  }

  /** Stops all servers, and asserts that nothing of them is left. */
  async release(): Promise<void> {
    const all = [...this.#spawners.keys()];
    const names = new Set(all.flatMap((spawner) => [...this.#namesOf(spawner)]));
    await Promise.all(all.map((spawner) => spawner.stop({ now: true })));
    this.#spawners.clear();
    const left = (await jobs()).filter((job) => names.has(job.name) && isAlive(job));
    assert.deepEqual(left, [], 'a job is left');
  }

  #namesOf(spawner: SlurmSpawner): ReadonlySet<string> {
    const names = this.#spawners.get(spawner) ?? assert.fail('a spawner of another hub');
    // A state that was loaded has not been announced.
    return names.add(String(spawner.getState()['jobName']));
  }

  async close(): Promise<void> {
    try {
      await this.release();
    } finally {
      this.#server.closeAllConnections();
      this.#server.close();
      rmSync(this.scratch, { recursive: true });
    }
  }
}

/** A hub for the tests of the surrounding `describe`; what they start ends with each of them. */
export function useHub(kind: SlurmKind = {}, api?: RequestListener): () => LiveHub {
  let hub: LiveHub | undefined;
  before(async () => {
    await startSlurm(kind);
    hub = await LiveHub.open(api);
  });
  afterEach(() => hub?.release());
  after(async () => {
    await hub?.close();
    const left = (await jobs()).filter(isAlive);
    await cancelAll();
    assert.deepEqual(left, [], 'jobs are left');
  });
  return () => {
    assert(hub);
    return hub;
  };
}

// For all test files of the run together.
after(() => stopSlurm());
