import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { assert } from 'chai';
import { CondorSpawner } from '../../../lib/batch/condor.ts';
import type { SpawnerContext } from '../../../lib/context.ts';
import { endpointHandler } from '../../../lib/endpoint/handler.ts';
import type { CondorOptions } from '../../../lib/generated/options.ts';
import type { CondorJob } from '../../engines/condor.ts';
import { cancelAll, condorRoot, jobs, startCondor, stopCondor } from '../../engines/condor.ts';
import { ChrootRunner } from './chroot-runner.ts';

/** Runs the commands of all hubs here, so that they share one monitor. */
const runner = new ChrootRunner(condorRoot);

const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };

/** Runs a command where HTCondor is, as root or an account, and gives what it printed; it must succeed. */
export async function command(
  argv: readonly string[],
  { user, input = '' }: { readonly user?: string; readonly input?: string } = {},
): Promise<string> {
  const options = { env, input, ...(user !== undefined && { user }) };
  const { stdout, stderr, exitCode } = await runner.run(argv, options);
  assert.equal(exitCode, 0, `${argv.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** In Python: answers every request with what the server was given; GET /stop ends it with 7. */
const server = `
import http.server, json, os, pwd, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/stop':
            os._exit(7)
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

/** What the server of `CondorHub` says of itself. */
interface ServerReport {
  readonly account: string;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Asks a server of `CondorHub`. */
export async function report({ url }: { readonly url: string }): Promise<ServerReport> {
  const response = await fetch(url);
  const answer: ServerReport = JSON.parse(await response.text());
  return answer;
}

/** A hub on loopback that is root and gives alice and bob servers as jobs of the test pool. */
export class CondorHub {
  /** Below /home, which the pool sees as well. Has one directory for each account. */
  readonly scratch: string;
  readonly #server: Server;
  /** Those that were there before: what an earlier run left is not this one's failure. */
  readonly #environmentFilesBefore: ReadonlySet<string>;
  readonly #spawners = new Map<CondorSpawner, Set<string>>();

  static async open(): Promise<CondorHub> {
    const scratch = mkdtempSync('/home/hubspawner-live-');
    chmodSync(scratch, 0o755);
    await command(['install', '-d', '-m', '0700', '-o', 'alice', `${scratch}/alice`]);
    await command(['install', '-d', '-m', '0700', '-o', 'bob', `${scratch}/bob`]);
    const hub = new CondorHub(scratch);
    await new Promise<void>((resolve) => hub.#server.listen(0, '127.0.0.1', resolve));
    return hub;
  }

  private constructor(scratch: string) {
    const endpoint = endpointHandler(() => this.#spawners.keys());
    this.scratch = scratch;
    this.#server = createServer(endpoint.node);
    this.#environmentFilesBefore = new Set(this.#allEnvironmentFiles);
  }

  get apiUrl(): string {
    const address = this.#server.address();
    assert(typeof address === 'object' && address !== null);
    return `http://127.0.0.1:${address.port}/hub/api`;
  }

  /** Options with which servers start and log where the tests want it. */
  get options(): Partial<CondorOptions> {
    return {
      cmd: ['python3', '-c', server, '{port}'],
      logFile: `${this.scratch}/{{username}}/{{jobName}}.log`,
      queryInterval: 400,
      pollInterval: 0,
      // The server is on this machine, where the name of its host means nothing.
      execHost: { replacement: '127.0.0.1' },
    };
  }

  /** A spawner that the hub knows. Its server answers with a `ServerReport` unless `cmd` is given. */
  create(options: Partial<CondorOptions> = {}, given: Partial<SpawnerContext> = {}): CondorSpawner {
    const context = {
      user: { name: 'alice' },
      hub: { apiUrl: this.apiUrl },
      apiToken: randomBytes(16).toString('hex'),
      runner,
      ...given,
    };
    const spawner = new CondorSpawner(context, { ...this.options, ...options });
    const names = new Set<string>();
    spawner.on('state', ({ jobName }) => names.add(String(jobName)));
    this.#spawners.set(spawner, names);
    return spawner;
  }

  /** The files that are there to carry an environment to a job of this hub. */
  get environmentFiles(): readonly string[] {
    return this.#allEnvironmentFiles.filter((file) => !this.#environmentFilesBefore.has(file));
  }

  get #allEnvironmentFiles(): readonly string[] {
    return ['/home/alice', '/home/bob', `${this.scratch}/alice`, `${this.scratch}/bob`].flatMap(
      (directory) =>
        readdirSync(directory)
          .filter((name) => name.endsWith('.env'))
          .map((name) => `${directory}/${name}`),
    );
  }

  /** All jobs that the queue has of a spawner of this hub. */
  async jobsOf(spawner: CondorSpawner): Promise<CondorJob[]> {
    const names = this.#spawners.get(spawner) ?? assert.fail('a spawner of another hub');
    return (await jobs()).filter(({ name }) => names.has(name));
  }

  /** Stops all servers, and asserts that nothing of them is left. */
  async release(): Promise<void> {
    const all = [...this.#spawners];
    await Promise.all(all.map(([spawner]) => spawner.stop({ now: true })));
    this.#spawners.clear();
    const names = new Set(all.flatMap(([, ofOne]) => [...ofOne]));
    const left = (await jobs()).filter(({ name }) => names.has(name));
    assert.deepEqual(left, [], 'a job is left');
    assert.deepEqual(this.environmentFiles, [], 'an environment is left');
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
export function useCondor(): () => CondorHub {
  let hub: CondorHub | undefined;
  before(async () => {
    await startCondor();
    hub = await CondorHub.open();
  });
  afterEach(() => hub?.release());
  after(async () => {
    await hub?.close();
    const left = await jobs();
    await cancelAll();
    assert.deepEqual(left, [], 'jobs are left');
  });
  return () => {
    assert(hub);
    return hub;
  };
}

// For all test files of the run together.
after(() => stopCondor());
