import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { GridEngineSpawner } from '../../../lib/batch/grid-engine.ts';
import type { SpawnerContext } from '../../../lib/context.ts';
import { endpointHandler } from '../../../lib/endpoint/handler.ts';
import type { GridEngineOptions } from '../../../lib/generated/options.ts';
import { SudoRunner } from '../../../lib/runners/sudo.ts';
import type { GridJob } from '../../engines/grid-engine.ts';
import { cancelAll, jobs, startGridEngine, stopGridEngine } from '../../engines/grid-engine.ts';
import { command } from './slurm.ts';

const sudo = new SudoRunner();

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

/** What the server of `GridHub` says of itself. */
export interface ServerReport {
  readonly account: string;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Asks a server of `GridHub`. */
export async function report({ url }: { readonly url: string }): Promise<ServerReport> {
  const response = await fetch(url);
  const answer: ServerReport = JSON.parse(await response.text());
  return answer;
}

/** A hub on loopback that is root and gives alice and bob servers as jobs of the test cluster. */
export class GridHub {
  /** Has one directory for each account, which only that may enter. */
  readonly scratch = mkdtempSync(join(tmpdir(), 'hubspawner-live-'));
  readonly #spawners = new Set<GridEngineSpawner>();
  readonly #server: Server;

  static async open(): Promise<GridHub> {
    const hub = new GridHub();
    chmodSync(hub.scratch, 0o755);
    for (const account of ['alice', 'bob']) {
      await command(['install', '-d', '-m', '0700', '-o', account, join(hub.scratch, account)]);
    }
    await new Promise<void>((resolve) => hub.#server.listen(0, '127.0.0.1', resolve));
    return hub;
  }

  private constructor() {
    this.#server = createServer(endpointHandler(() => this.#spawners).node);
  }

  /** Options with which servers start, log and get their environment where the tests want it. */
  get options(): Partial<GridEngineOptions> {
    return {
      cmd: ['python3', '-c', server, '{port}'],
      logFile: join(this.scratch, '{{username}}', '{{jobName}}.log'),
      environmentFile: join(this.scratch, '{{username}}', '.{{jobName}}.env'),
      queryInterval: 400,
      pollInterval: 0,
    };
  }

  /** A context in which everything is given; the user is alice, and the token a random one. */
  context(given: Partial<SpawnerContext> = {}): SpawnerContext {
    const address = this.#server.address();
    assert(typeof address === 'object' && address !== null);
    return {
      user: { name: 'alice' },
      hub: { apiUrl: `http://127.0.0.1:${address.port}/hub/api` },
      apiToken: randomBytes(16).toString('hex'),
      runner: sudo,
      ...given,
    };
  }

  /** A spawner that the hub knows. Its server answers with what it was given unless `cmd` is. */
  create(
    options: Partial<GridEngineOptions> = {},
    context: Partial<SpawnerContext> = {},
  ): GridEngineSpawner {
    const spawner = new GridEngineSpawner(this.context(context), { ...this.options, ...options });
    this.#spawners.add(spawner);
    return spawner;
  }

  /** Stops all servers. */
  async release(): Promise<void> {
    await Promise.all([...this.#spawners].map((spawner) => spawner.stop({ now: true })));
    this.#spawners.clear();
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.scratch, { recursive: true });
  }
}

/** The job of a spawner in the list, or undefined. */
export async function jobOf(spawner: GridEngineSpawner): Promise<GridJob | undefined> {
  const { jobName } = spawner.getState();
  return (await jobs()).find(({ name }) => name === jobName);
}

/** The id that a spawner has for its job. */
export function idOf(spawner: GridEngineSpawner): string {
  return String(spawner.getState()['jobId']);
}

/** A hub for the tests of the surrounding `describe`; each of them has to leave no job and no file. */
export function useGridHub(kind: Parameters<typeof startGridEngine>[0] = {}): () => GridHub {
  let hub: GridHub | undefined;
  before(async () => {
    await startGridEngine(kind);
    hub = await GridHub.open();
  });
  afterEach(async () => {
    await hub?.release();
    assert.deepEqual(await jobs(), [], 'a job is left');
    const files = await command(['find', hub?.scratch ?? '', '-name', '*.env']);
    assert.equal(files, '', 'an environment is left');
  });
  after(async () => {
    hub?.close();
    await cancelAll();
  });
  return () => {
    assert(hub);
    return hub;
  };
}

// For all test files of the run together.
after(() => stopGridEngine());
