import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { assert } from 'chai';
import type { SpawnerContext } from '../../../lib/context.ts';
import type { SystemdOptions } from '../../../lib/generated/options.ts';
import type { Spawner } from '../../../lib/spawner.ts';
import { SystemdSpawner } from '../../../lib/systemd/spawner.ts';
import type { SystemdKind } from '../../engines/systemd.ts';
import { inside, runner, shell, units, useSystemd } from './systemd.ts';

/**
 * In Python: a GET is answered with what the server was given, a POST with what a shell script, its
 * body, gives when the server runs it. The body of a PUT is printed; after a DELETE the server takes
 * ever more memory.
 */
const server = `
import http.server, json, os, pwd, socket, subprocess, sys, time

def account():
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({
            'account': account(),
            'directory': os.getcwd(),
            'arguments': sys.argv[3:],
            'environment': dict(os.environ),
            'pid': os.getpid(),
        })

    def do_POST(self):
        script = self.rfile.read(int(self.headers['content-length'])).decode()
        done = subprocess.run(['bash', '-c', script], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.answer({'status': done.returncode, 'output': done.stdout.decode()})

    def do_PUT(self):
        print(self.rfile.read(int(self.headers['content-length'])).decode(), flush=True)
        self.answer({})

    def do_DELETE(self):
        self.answer({})
        self.wfile.flush()
        taken = []
        while True:
            taken.append(b'x' * 1000000)
            time.sleep(0.001)

    def answer(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

print('the server begins', flush=True)
Server((sys.argv[2], int(sys.argv[1])), Handler).serve_forever()
`;

/** What the server says of itself. */
export interface ServiceReport {
  readonly account: string;
  readonly directory: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly pid: number;
}

/** What a script has given. */
export interface ScriptResult {
  readonly status: number;
  /** Standard output and standard error. */
  readonly output: string;
}

/** The command of the server: nothing of it has to be a file that its account can read. */
export const serverCommand: readonly string[] = ['python3', '-c', server, '{port}', '127.0.0.1'];

/** Calls a server, whatever its port; `fetch` refuses some. Rejects where it closes the connection. */
async function call(spawner: SystemdSpawner, method: string, body = ''): Promise<string> {
  const { url } = spawner.address ?? {};
  assert(url !== undefined, 'the server has no address');
  const headers = { 'content-length': Buffer.byteLength(body) };
  const outgoing = request(url, { method, headers, agent: false }).end(body);
  const [incoming] = await once(outgoing, 'response');
  return text(incoming);
}

/** Asks a server what it was given. */
export async function report(spawner: SystemdSpawner): Promise<ServiceReport> {
  const answer: ServiceReport = JSON.parse(await call(spawner, 'GET'));
  return answer;
}

/** Has the server run a shell script, and gives what it printed. */
export async function script(spawner: SystemdSpawner, body: string): Promise<ScriptResult> {
  const answer: ScriptResult = JSON.parse(await call(spawner, 'POST', body));
  return answer;
}

/** Has the server print a text. */
export async function print(spawner: SystemdSpawner, body: string): Promise<void> {
  await call(spawner, 'PUT', body);
}

/** Has the server take ever more memory. */
export async function gorge(spawner: SystemdSpawner): Promise<void> {
  await call(spawner, 'DELETE');
}

/** As `script`, for one that must succeed. */
export async function said(spawner: SystemdSpawner, text: string): Promise<string> {
  const { status, output } = await script(spawner, text);
  assert.equal(status, 0, output);
  return output.trimEnd();
}

/** As `script`, for one that must fail. */
export async function refused(spawner: SystemdSpawner, text: string): Promise<string> {
  const { status, output } = await script(spawner, text);
  assert.notEqual(status, 0, `it succeeded: ${text}: ${output}`);
  return output.trimEnd();
}

/** The name of the unit of a spawner that has started one. */
export function unitOf(spawner: Spawner): string {
  return String(spawner.getState()['unit']);
}

/** The warnings that it gives, from now on. */
export function warningsOf(spawner: SystemdSpawner): { code: string; message: string }[] {
  const warnings: { code: string; message: string }[] = [];
  spawner.on('warning', ({ code, message }) => warnings.push({ code, message }));
  return warnings;
}

/** Makes spawners whose servers run on the real systemd. */
export type CreateService = (
  options?: Partial<SystemdOptions>,
  context?: Partial<SpawnerContext>,
) => SystemdSpawner;

/** What the spawners of the tests have in common. */
export const serviceOptions: Partial<SystemdOptions> = {
  cmd: serverCommand,
  queryInterval: 100,
  pollInterval: 0,
  stopTimeout: 5000,
  commandTimeout: 10_000,
};

/** What the hub says of a server of alice's. */
export function serviceContext(): SpawnerContext {
  return {
    user: { name: 'alice' },
    hub: { apiUrl: 'http://127.0.0.1:8081/hub/api' },
    apiToken: randomBytes(24).toString('hex'),
    runner,
  };
}

/** What is there of any server: files below /run/hubspawner, and units. */
export async function remains(): Promise<string[]> {
  const files = await shell('find /run/hubspawner 2>/dev/null || true');
  // A slice stays for the next server.
  const loaded = (await units('jupyter-*')).filter(({ unit }) => !unit.endsWith('.slice'));
  return [...files.split('\n').filter(Boolean), ...loaded.map(({ unit }) => unit)];
}

/**
 * Runs systemd for the tests of the surrounding `describe`. What a test has started is stopped after
 * it, and nothing may be left of it then.
 */
export function useServices(kind: SystemdKind = {}): CreateService {
  useSystemd(kind);
  let spawners: SystemdSpawner[] = [];
  afterEach(async () => {
    const started = spawners;
    spawners = [];
    await Promise.all(started.map((spawner) => spawner.stop({ now: true })));
    assert.deepEqual(await remains(), []);
  });
  return (options = {}, context = {}) => {
    const spawner = new SystemdSpawner(
      { ...serviceContext(), ...context },
      { ...serviceOptions, ...options },
    );
    spawners.push(spawner);
    return spawner;
  };
}

/** Kills the processes of a unit behind everybody's back. */
export async function killUnit(unit: string): Promise<void> {
  await inside(['systemctl', 'kill', '--signal=SIGKILL', '--', unit]);
}
