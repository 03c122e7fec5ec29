import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingMessage, Server } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { endpointHandler } from '../../lib/endpoint/handler.ts';
import { callbackWrapper, portPlaceholders } from '../../lib/endpoint/wrapper.ts';
import { shellWord } from '../../lib/quote.ts';

const token = 'secret-0123456789abcdef';
const interpreters = ['python3', 'node', 'perl'] as const;
const shells = { dash: which('dash'), bash: which('bash') };

/** The program itself: a manager of versions puts a script of its own in PATH that needs more of it. */
function which(program: string): string {
  if (program === 'node') return process.execPath;
  const print = ['-c', 'import sys; print(sys.executable)'];
  return program === 'python3'
    ? execFileSync(program, print, { encoding: 'utf8' }).trim()
    : execFileSync('sh', ['-c', 'command -v "$0"', program], { encoding: 'utf8' }).trim();
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

type Answer = readonly [status: number, body?: string, headers?: Record<string, string>];

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Whether something listened on the port when the hub was told of it. */
  readonly taken: boolean;
}

async function isTaken(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe('the wrapper in the job script', function () {
  this.timeout(60_000);
  let dir: string;
  const servers: Server[] = [];

  /** A PATH with one interpreter at most, and a `sleep` that takes no time and notes its argument. */
  function makePath(name: string, programs: Record<string, string>): void {
    mkdirSync(join(dir, name));
    for (const [program, file] of Object.entries(programs)) {
      symlinkSync(realpathSync(file), join(dir, name, program));
    }
    const sleep =
      '#!/bin/sh\necho "$1" >>"$SLEPT"\nuntil [ -e "$AWAKE" ]; do /bin/sleep 0.02; done\n';
    writeFileSync(join(dir, name, 'sleep'), sleep, { mode: 0o755 });
  }

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'wrapper-'));
    for (const name of interpreters) makePath(name, { [name]: which(name) });
    makePath('none', {});
  });
  after(() => rmSync(dir, { recursive: true }));
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function listen(server: Server, port = 0): Promise<string> {
    servers.push(server);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hub/api`;
  }

  /** A hub that gives the answers one after the other, and the last one for ever. */
  function hub(...answers: readonly Answer[]): { server: Server; asked: Asked[] } {
    const asked: Asked[] = [];
    const server = createServer((req, res) => {
      let body = '';
      req.setEncoding('utf8').on('data', (chunk) => {
        body += chunk;
      });
      req.on('end', async () => {
        const taken = await isTaken(Number.parseInt(body.replace(/\D/g, ''), 10));
        const { method, url, headers } = req;
        const [status, text = '', more = {}] = answers[asked.length] ?? answers.at(-1) ?? [500];
        asked.push({ method, url, headers, body, taken });
        res.writeHead(status, { ...more, connection: 'close' }).end(text);
      });
    });
    return { server, asked };
  }

  let runs = 0;
  /** Where a run notes its pauses, and the file that ends them: by default it is there already. */
  function pauses(awake = true) {
    runs += 1;
    const files = { SLEPT: join(dir, `slept-${runs}`), AWAKE: join(dir, `awake-${runs}`) };
    writeFileSync(files.SLEPT, '');
    const wake = () => writeFileSync(files.AWAKE, '');
    if (awake) wake();
    return {
      env: files,
      wake,
      taken: () => readFileSync(files.SLEPT, 'utf8').split('\n').slice(0, -1),
    };
  }

  async function run(
    argv: readonly [string, ...string[]],
    env: Readonly<Record<string, string>>,
    onStderr = () => {},
  ): Promise<Outcome> {
    const [program, ...args] = argv;
    // Where standard input is a socket, as a pipe of Node's is, bash reads its start-up file.
    const child = spawn(program, args, { env, cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk) => stdout.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      stderr += chunk;
      onStderr();
    });
    const [code] = await once(child, 'close');
    return { code, stdout: Buffer.concat(stdout), stderr };
  }

  const script = `set -eu
set -- first 'second one'
${callbackWrapper}
HUBSPAWNER_PORT=$(hubspawner_port) || exit 1
printf '%s' "$HUBSPAWNER_PORT $# $1 $2"
`;
  const env = (path: string, apiUrl: string, more: Record<string, string> = {}) => ({
    PATH: join(dir, path),
    JUPYTERHUB_API_URL: apiUrl,
    JUPYTERHUB_API_TOKEN: token,
    ...pauses().env,
    ...more,
  });

  for (const [shell, shellPath] of Object.entries(shells)) {
    for (const interpreter of interpreters) {
      describe(`in ${shell} with ${interpreter}`, () => {
        const job = (apiUrl: string, more: Record<string, string> = {}) =>
          run([shellPath, '-c', script], env(interpreter, apiUrl, more));

        it('posts a free port as batchspawner-singleuser does', async () => {
          const { server, asked } = hub([201, '{}']);
          const url = await listen(server);
          const { code, stdout, stderr } = await job(`${url}/`, {
            http_proxy: 'http://127.0.0.1:9',
            HTTP_PROXY: 'http://127.0.0.1:9',
            all_proxy: 'http://127.0.0.1:9',
          });
          expect([code, stderr]).to.deep.equal([0, '']);
          const [, port = ''] = /^(\d+) 2 first second one$/.exec(stdout.toString()) ?? [];
          expect(Number(port)).to.be.within(1, 65535);
          expect(asked).to.have.length(1);
          expect(asked[0]).to.include({ method: 'POST', url: '/hub/api/batchspawner' });
          expect(asked[0]?.headers).to.include({
            authorization: `token ${token}`,
            'content-type': 'application/json',
          });
          expect(JSON.parse(asked[0]?.body ?? '')).to.deep.equal({ port: Number(port) });
          expect(asked[0]?.taken).to.equal(false);
        });

        it('repeats a call with the same port while the hub answers 503, 429 or 408', async () => {
          const { server, asked } = hub([503], [429], [408, '{"message": "Too slow."}'], [201]);
          const rest = pauses();
          const { code, stdout, stderr } = await job(await listen(server), rest.env);
          expect(code).to.equal(0);
          expect(new Set(asked.map(({ body }) => body)).size).to.equal(1);
          expect(JSON.parse(asked[3]?.body ?? '')).to.deep.equal({
            port: Number.parseInt(stdout.toString(), 10),
          });
          expect(rest.taken()).to.deep.equal(['1', '2', '4']);
          expect(stderr).to.match(
            /answered 503.* in 1 s\.\n.*429.* in 2 s\.\n.*: Too slow\. .* 4 s/,
          );
          expect(stderr).not.to.contain(token);
        });

        it('looks for another port where the hub answers that one is taken', async () => {
          const message = 'Another server is about to take it.';
          const { server, asked } = hub([503], [423, JSON.stringify({ message })], [201]);
          const rest = pauses();
          const { code, stdout, stderr } = await job(await listen(server), rest.env);
          const [first, second, third] = asked.map(({ body }) => JSON.parse(body).port);
          expect(code).to.equal(0);
          expect(first).to.equal(second);
          expect(stdout.toString()).to.equal(`${third} 2 first second one`);
          expect(stderr).to.match(/answered 423 .*: Another server is about to take it\. Next try/);
          expect(rest.taken()).to.have.length(2);
        });

        it('gives up on 403 at once, and says in one line what the hub answered', async () => {
          const message = `No\nserver \u001b[31mhas ${token}, désolé.`;
          const { server, asked } = hub([403, JSON.stringify({ status: 403, message })]);
          const url = await listen(server);
          const { code, stdout, stderr } = await job(url);
          expect([code, stdout.toString(), asked.length]).to.deep.equal([1, '', 1]);
          expect(stderr).to.equal(
            `hubspawner: The hub at ${url} answered 403 Forbidden: No server [31mhas , désolé.\n`,
          );
        });

        it('follows no redirect', async () => {
          for (const status of [303, 307]) {
            const other = hub([201]);
            const { server } = hub([status, '', { location: await listen(other.server) }]);
            const { code, stderr } = await job(await listen(server));
            expect([code, other.asked.length]).to.deep.equal([1, 0]);
            expect(stderr).to.contain(`answered ${status}`);
          }
        });

        it('waits for a hub that is not there yet', async () => {
          const { server, asked } = hub([201]);
          const url = await listen(server);
          server.close();
          const rest = pauses(false);
          let starting: Promise<unknown> | undefined;
          const { code, stderr } = await run(
            [shellPath, '-c', script],
            env(interpreter, url, rest.env),
            () => {
              starting ??= listen(server, Number(new URL(url).port)).then(rest.wake);
            },
          );
          await starting;
          expect([code, asked.length, rest.taken()]).to.deep.equal([0, 1, ['1']]);
          expect(stderr).to.match(/cannot be reached: .*refused.* Next try in 1 s/i);
        });
      });
    }

    it(`pauses for two minutes in all in ${shell} before it gives up`, async () => {
      const { server, asked } = hub([502]);
      const rest = pauses();
      const { code, stdout, stderr } = await run(
        [shellPath, '-c', script],
        env('perl', await listen(server), rest.env),
      );
      const total = rest.taken().reduce((sum, pause) => sum + Number(pause), 0);
      expect([code, stdout.toString(), total]).to.deep.equal([1, '', 120]);
      expect(asked).to.have.length(rest.taken().length + 1);
      expect(stderr).to.match(/That was the last try.*\n$/);
    });

    it(`names the three programs in ${shell} if the node has none of them`, async () => {
      const { code, stderr } = await run(
        [shellPath, '-c', script],
        env('none', 'http://127.0.0.1:9'),
      );
      expect(code).to.equal(1);
      expect(stderr).to.match(/^hubspawner: .*python3, node and perl.*\n$/);
    });

    it(`reports an interpreter that does not run in ${shell}`, async () => {
      const text = '#!/bin/sh\necho "no version is chosen" >&2\nexit "$CODE"\n';
      const name = `broken-${shell}`;
      makePath(name, {});
      writeFileSync(join(dir, name, 'python3'), text, { mode: 0o755 });
      for (const CODE of ['0', '1', '75', '127']) {
        const { code, stdout, stderr } = await run(
          [shellPath, '-c', script],
          env(name, 'http://127.0.0.1:9', { CODE }),
        );
        expect([code, stdout.toString()]).to.deep.equal([1, '']);
        expect(stderr).to.match(
          new RegExp(`^no version is chosen\nhubspawner: python3 ended with exit code ${CODE} `),
        );
      }
    });

    it(`says in ${shell} what is wrong with the environment`, async () => {
      const { JUPYTERHUB_API_TOKEN: _, ...tokenless } = env('python3', 'http://127.0.0.1:9');
      const unset = await run([shellPath, '-c', script], tokenless);
      expect(unset.code).to.equal(1);
      expect(unset.stderr).to.match(/^hubspawner: JUPYTERHUB_API_TOKEN is not set.*\n$/);
      const cases: [Record<string, string>, RegExp][] = [
        [{ JUPYTERHUB_API_URL: '' }, /JUPYTERHUB_API_URL must be/],
        [{ JUPYTERHUB_API_URL: 'http+unix://hub' }, /JUPYTERHUB_API_URL must be/],
        [{ JUPYTERHUB_API_TOKEN: '' }, /JUPYTERHUB_API_TOKEN is not set/],
        [{ JUPYTERHUB_API_TOKEN: `${token}\r` }, /JUPYTERHUB_API_TOKEN holds a blank/],
      ];
      for (const [more, message] of cases) {
        const { code, stderr } = await run(
          [shellPath, '-c', script],
          env('python3', 'http://127.0.0.1:9', more),
        );
        expect(code).to.equal(1);
        expect(stderr).to.match(message);
        expect(stderr).not.to.contain(token);
      }
    });

    it(`works in ${shell} as a script on standard input, and with that closed`, async () => {
      const { server, asked } = hub([201]);
      const url = await listen(server);
      const file = join(dir, `script-${shell}`);
      writeFileSync(file, script);
      for (const interpreter of interpreters) {
        for (const start of ['exec "$0" <"$1"', 'exec "$0" "$1" <&-']) {
          const { code, stdout, stderr } = await run(
            [shellPath, '-c', start, shellPath, file],
            env(interpreter, url),
          );
          expect([code, stderr]).to.deep.equal([0, '']);
          expect(stdout.toString()).to.match(/^\d+ 2 first second one$/);
        }
      }
      expect(asked).to.have.length(6);
    });
  }

  it('is not disturbed by modules in the directory where the job starts', async () => {
    for (const name of ['json.py', 'socket.py'])
      writeFileSync(join(dir, name), 'raise SystemExit(9)');
    const { server } = hub([201]);
    const { code } = await run([shells.dash, '-c', script], env('python3', await listen(server)));
    expect(code).to.equal(0);
  });

  it('has no port that our own handler keeps for another server', async () => {
    const asked: number[] = [];
    const other = {
      apiToken: 'another',
      acceptPort: () => false,
      get awaitedPort() {
        return asked[0];
      },
    };
    const { node } = endpointHandler([
      { apiToken: token, acceptPort: (port) => port !== asked[0] },
      other,
    ]);
    const url = await listen(
      createServer((req, res) => {
        req.once('data', (chunk) => asked.push(JSON.parse(String(chunk)).port));
        node(req, res);
      }),
    );
    for (const interpreter of interpreters) {
      asked.length = 0;
      const { stdout } = await run([shells.dash, '-c', script], env(interpreter, url));
      expect(asked.length).to.be.above(1);
      expect(stdout.toString()).to.equal(`${asked.at(-1)} 2 first second one`);
      expect(asked.at(-1)).not.to.equal(asked[0]);
    }
  });

  it('is understood by our own handler', async () => {
    const ports: number[] = [];
    const accept = { apiToken: token, acceptPort: (port: number) => ports.push(port) > 0 };
    const url = await listen(createServer(endpointHandler([accept]).node));
    for (const interpreter of interpreters) {
      const { stdout } = await run([shells.dash, '-c', script], env(interpreter, url));
      expect(stdout.toString()).to.equal(`${ports.at(-1)} 2 first second one`);
    }
    expect(ports).to.have.length(3);
  });

  it('stands in a job script as it is, for people to read', () => {
    const text = callbackWrapper + portPlaceholders;
    expect(shellWord(text)).to.equal(`'${text}'`);
  });

  describe('over https', () => {
    let url: string;
    let cert: string;
    beforeEach(async () => {
      const key = join(dir, 'key.pem');
      cert = join(dir, 'cert.pem');
      if (!existsSync(cert)) {
        const names = ['-subj', '/CN=hub', '-addext', 'subjectAltName=IP:127.0.0.1'];
        const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
        const argv = [
          'req',
          '-x509',
          ...kind,
          ...names,
          '-days',
          '2',
          '-keyout',
          key,
          '-out',
          cert,
        ];
        execFileSync('openssl', argv, { stdio: 'ignore' });
      }
      const options = { key: readFileSync(key), cert: readFileSync(cert) };
      const server = createTlsServer(options, (req, res) => {
        res.writeHead(req.headers.authorization === `token ${token}` ? 201 : 401).end();
      });
      url = (await listen(server)).replace('http:', 'https:');
    });

    for (const [interpreter, variable] of [
      ['python3', 'SSL_CERT_FILE'],
      ['node', 'NODE_EXTRA_CA_CERTS'],
    ] as const) {
      it(`${interpreter} trusts the certificates in ${variable}, and no other`, async () => {
        const trusted = await run(
          [shells.dash, '-c', script],
          env(interpreter, url, { [variable]: cert }),
        );
        expect([trusted.code, trusted.stderr]).to.deep.equal([0, '']);
        const { code, stderr } = await run([shells.dash, '-c', script], env(interpreter, url));
        expect(code).to.equal(1);
        expect(stderr).to.match(/self.signed certificate/i);
      });
    }

    it('perl says which module it needs', async () => {
      mkdirSync(join(dir, 'perl5/IO/Socket'), { recursive: true });
      writeFileSync(join(dir, 'perl5/IO/Socket/SSL.pm'), 'die "not installed";');
      const { code, stderr } = await run(
        [shells.dash, '-c', script],
        env('perl', url, { PERL5LIB: join(dir, 'perl5') }),
      );
      expect(code).to.equal(1);
      expect(stderr).to.match(/^hubspawner: .*this perl has no IO::Socket::SSL.*\n$/);
    });
  });

  describe('portPlaceholders', () => {
    const quoted = (text: Uint8Array) =>
      Buffer.from(`'${Buffer.from(text).toString('latin1').replaceAll("'", "'\\''")}'`, 'latin1');
    const filled = (text: Uint8Array) =>
      Buffer.from(Buffer.from(text).toString('latin1').replaceAll('{port}', '41234'), 'latin1');

    /** Runs a script with these arguments, and returns the arguments and the URL that it ends with. */
    async function fill(
      shell: string,
      args: readonly Uint8Array[],
      url: Uint8Array,
      locale = 'C',
    ): Promise<Buffer[]> {
      const file = join(dir, 'placeholders');
      const words = args.flatMap((arg) => [Buffer.from(' '), quoted(arg)]);
      const start = Buffer.from('set -eu\nHUBSPAWNER_PORT=41234\nset --');
      const end = `\n${portPlaceholders}printf '%s\\000' "$@" "$JUPYTERHUB_SERVICE_URL"\n`;
      const before = [Buffer.from('\nexport JUPYTERHUB_SERVICE_URL='), quoted(url)];
      writeFileSync(file, Buffer.concat([start, ...words, ...before, Buffer.from(end)]));
      const { code, stdout, stderr } = await run([shell, file], { LC_ALL: locale });
      expect([code, stderr]).to.deep.equal([0, '']);
      const parts = stdout.toString('latin1').split('\0').slice(0, -1);
      return parts.map((part) => Buffer.from(part, 'latin1'));
    }

    const tricky = [
      '{port}',
      '{',
      '}',
      '{port',
      'port}',
      '\n',
      "'",
      '"',
      '`id`',
      '$(id)',
      '\\',
      '*',
    ];
    const piece = fc.oneof(
      fc.constantFrom(
        ...tricky,
        ' ',
        '',
        '~',
        '$HOME',
        '${IFS',
        '[a-z]',
        '-n',
        '?',
        '!',
        'é',
        '漢',
        '😀',
      ),
      fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
    );
    const text = fc
      .array(piece, { maxLength: 6 })
      .map((pieces) => new TextEncoder().encode(pieces.join('')));
    const bytes = fc
      .tuple(fc.uint8Array({ min: 1, maxLength: 12 }), fc.constantFrom('', '{port}'), text)
      .map(([noise, mark, rest]) => Buffer.concat([noise, Buffer.from(mark), rest]));
    const list = fc.array(fc.oneof(text, bytes), { minLength: 50, maxLength: 50 });

    for (const [shell, shellPath] of Object.entries(shells)) {
      for (const locale of ['C', 'C.UTF-8']) {
        it(`replaces {port} and nothing else in ${shell} with the locale ${locale}`, async () => {
          await fc.assert(
            fc.asyncProperty(list, text, async (args, url) => {
              const expected = [...args, url].map(filled);
              expect(await fill(shellPath, args, url, locale)).to.deep.equal(expected);
            }),
            { numRuns: 4, endOnFailure: true },
          );
        });
      }

      it(`keeps ${shell} without arguments, and an unset URL unset`, async () => {
        const { code, stdout, stderr } = await run(
          [
            shellPath,
            '-c',
            `set -eu; HUBSPAWNER_PORT=1\n${portPlaceholders}printf '%s' "$# \${JUPYTERHUB_SERVICE_URL-unset}"`,
          ],
          {},
        );
        expect([code, stdout.toString(), stderr]).to.deep.equal([0, '0 unset', '']);
      });

      it(`gives the server the address with its port in ${shell}`, async () => {
        const { stdout } = await run(
          [shellPath, '-c', `HUBSPAWNER_PORT=41234\nset -- env\n${portPlaceholders}"$@"`],
          {
            PATH: process.env['PATH'] ?? '',
            JUPYTERHUB_SERVICE_URL: 'http://0.0.0.0:{port}/u/{port}/',
          },
        );
        expect(stdout.toString().split('\n')).to.include(
          'JUPYTERHUB_SERVICE_URL=http://0.0.0.0:41234/u/41234/',
        );
      });
    }
  });
});
