import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import type { Hub } from '../../examples/hub/hub.ts';
import { createHub } from '../../examples/hub/hub.ts';
import type { Program } from '../../examples/hub/kinds.ts';
import { builtIn } from '../../examples/hub/kinds.ts';
import type { SupervisorPolicies } from '../../lib/index.ts';
import { sleep } from '../../lib/sleep.ts';

/** Prints the headers that it gets, and takes WebSockets. */
const echo: Program = {
  name: 'an echo',
  argv: () => [
    process.execPath,
    '--eval',
    `const server = require('node:http').createServer((req, res) => {
      res.end(JSON.stringify({ ...req.headers, url: req.url }));
    });
    server.on('upgrade', (req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: upgrade\\r\\n\\r\\n');
      socket.pipe(socket);
    });
    server.listen({port}, '127.0.0.1');`,
  ],
};

/** Ends before it answers. */
const broken: Program = {
  name: 'a broken server',
  argv: () => [process.execPath, '--eval', 'console.error("No <licence> found"); process.exit(3);'],
};

/** Answers nobody for a while, when it is asked for /off. */
const onOff: Program = {
  name: 'a server with pauses',
  argv: () => [
    process.execPath,
    '--eval',
    `const listen = () => server.listen({port}, '127.0.0.1');
    const server = require('node:http').createServer((req, res) => {
      res.end('Here I am.');
      if (req.url.endsWith('/off')) {
        server.close(() => setTimeout(listen, 1000));
        server.closeIdleConnections();
        setImmediate(() => server.closeAllConnections());
      }
    });
    listen();`,
  ],
};

/** Answers from when there is a file. */
function late(file: string): string {
  return `const server = require('node:http').createServer((_, res) => res.end('Here I am.'));
    setInterval(() => {
      if (!server.listening && require('node:fs').existsSync(${JSON.stringify(file)})) {
        server.listen({port}, '127.0.0.1');
      }
    }, 20);`;
}

describe('The hub in examples/', function () {
  this.timeout(10_000);

  let folder: string;
  let state: string;
  let hub: Hub;
  const path = process.env['PATH'];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hub-test-'));
    state = join(folder, 'state');
    // A Slurm that does not answer, whatever this machine has.
    for (const command of ['sbatch', 'squeue']) {
      writeFileSync(join(folder, command), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    }
    process.env['PATH'] = `${folder}${delimiter}${path}`;
  });

  afterEach(async () => {
    for (const { user, serverName } of saved()) {
      await (await login(user.name)).post('/stop', { name: serverName });
    }
    await until(() => hub.alive === 0);
    await hub.close();
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true });
  });

  it('starts a server, shows its progress, opens it for its owner, and stops it', async () => {
    await run(builtIn);
    const ann = await login("Ann O'Hara <ann@example.org>");
    expect((await ann.get('/')).text)
      .to.contain('not started')
      .and.to.contain('&#60;ann@');
    await ann.post('/start', { name: '', kind: 'local' });
    const [first, second] = await Promise.all([ann.steps(), ann.steps()]);
    expect(first.at(-1)?.progress).to.equal(100);
    expect(first.at(-1)?.message).to.contain('ready');
    expect(second, 'the same in a second tab').to.deep.equal(first);

    const home = await ann.get('/');
    expect(home.text).to.contain('running');
    const { status, text } = await ann.get(linkIn(home.text));
    expect(status).to.equal(200);
    expect(text).to.contain('It works, Ann O&#39;Hara &#60;ann@example.org&#62;.');

    await ann.post('/stop', { name: '' });
    await until(() => hub.alive === 0);
    expect((await ann.get('/')).text).to.contain('It was stopped.');
    expect((await ann.get(linkIn(home.text))).status).to.equal(503);
  });

  it('lets nobody else in', async () => {
    await run(builtIn);
    const ann = await login('ann');
    await ann.start();
    const bob = await login('bob');
    expect((await bob.get('/user/ann/')).status).to.equal(403);
    expect((await visitor('').get('/user/ann/')).status).to.equal(403);
    expect((await bob.get('/')).text).not.to.contain('running');
    expect((await bob.post('/stop', { name: '' })).status).to.equal(404);
    expect((await visitor('').post('/start', { name: '', kind: 'local' })).status).to.equal(403);
    const [server] = saved();
    const direct = await fetch(`http://127.0.0.1:${server?.state.port}/user/ann/`);
    expect(direct.status, 'without the hub').to.equal(403);
    expect(hub.alive).to.equal(1);
  });

  it('refuses what comes from other web pages', async () => {
    await run(builtIn);
    const ann = await login('ann');
    const foreign = { origin: 'http://127.0.0.1:1' };
    const form = { name: '', kind: 'local' };
    expect((await ann.post('/start', form, foreign)).status).to.equal(403);
    expect((await ann.post('/start', form, { host: 'rebound.example.org' })).status).to.equal(403);
    expect(hub.alive).to.equal(0);
    const cookie = (await fetchLogin('ann')).headers.get('set-cookie');
    expect(cookie).to.match(/; HttpOnly; SameSite=Strict$/);
  });

  it('gives the server its token, and keeps the cookie of the hub', async () => {
    await run(echo);
    const ann = await login('ann');
    await ann.start();
    const { text } = await ann.get('/user/ann/tree?page=2', { authorization: 'token of-my-own' });
    const got = JSON.parse(text);
    expect(got.url).to.equal('/user/ann/tree?page=2');
    const [, token = ''] = /^token (\S{43})$/.exec(got.authorization) ?? [];
    expect(token).not.to.equal('');
    expect(JSON.stringify(saved())).not.to.contain(token);
    expect(got.cookie).to.equal('theme=dark');
  });

  it('passes WebSockets on, for the owner alone', async () => {
    await run(echo);
    const ann = await login('ann');
    await ann.start();
    expect(await upgrade(ann.cookie)).to.equal('pong');
    expect(await upgrade((await login('bob')).cookie)).to.equal(403);
    expect(await upgrade(ann.cookie, { origin: 'http://example.org' })).to.equal(403);
  });

  it('runs several servers of one person', async () => {
    await run(builtIn);
    const ann = await login('ann');
    await ann.start();
    await ann.start('gpu');
    const processes = await Promise.all(
      ['/user/ann/', '/user/ann/gpu/'].map(async (path) => processIn((await ann.get(path)).text)),
    );
    expect(new Set(processes).size).to.equal(2);
    await ann.post('/stop', { name: 'gpu' });
    await until(() => hub.alive === 1);
    await ann.post('/remove', { name: 'gpu' });
    expect((await ann.get('/')).text).not.to.contain('gpu');
    expect((await ann.get('/user/ann/')).status).to.equal(200);
  });

  it('says why a server did not start, with the end of its log', async () => {
    await run(broken);
    const ann = await login('ann');
    await ann.post('/start', { name: '', kind: 'local' });
    await until(() => hub.alive === 0);
    const { text } = await ann.get('/');
    expect(text)
      .to.contain('failed')
      .and.to.contain('3')
      .and.to.contain('No &#60;licence&#62; found');
  });

  it('says that a server has ended', async () => {
    await run(builtIn);
    const ann = await login('ann');
    await ann.start();
    process.kill(processIn((await ann.get('/user/ann/')).text), 'SIGKILL');
    await until(async () => (await ann.get('/user/ann/')).status !== 200);
    await until(() => hub.alive === 0);
    expect((await ann.get('/')).text)
      .to.contain('SIGKILL')
      .and.to.contain('Listening on');
  });

  it('shows what is wrong with a request, next to what was filled in', async () => {
    await run(builtIn);
    const ann = await login('ann');
    const form = { name: '', kind: 'slurm', partition: '', runtime: 'a "while"' };
    const { status, text } = await ann.post('/start', form);
    expect(status).to.equal(400);
    expect(text).to.contain('value="a &#34;while&#34;"').and.to.contain('request.runtime');
    expect(hub.alive).to.equal(0);
  });

  it('finds its servers again after a restart', async () => {
    await run(builtIn);
    const ann = await login('ann');
    await ann.start();
    const before = processIn((await ann.get('/user/ann/')).text);
    expect(statSync(join(state, 'secret')).mode & 0o777).to.equal(0o600);
    await hub.close();
    expect(() => process.kill(before, 0), 'it runs without the hub').not.to.throw();

    await run(builtIn);
    const again = await login('ann');
    expect((await again.get('/')).text).to.contain('running');
    expect(processIn((await again.get('/user/ann/')).text)).to.equal(before);
  });

  it('goes on with a start that its end has cut off', async () => {
    const go = join(folder, 'go');
    await run({ name: 'a slow server', argv: () => [process.execPath, '--eval', late(go)] });
    const ann = await login('ann');
    await ann.post('/start', { name: '', kind: 'local' });
    await until(async () => (await ann.get('/')).text.includes('waiting for its first answer'));
    await hub.close();

    await run(builtIn);
    const again = await login('ann');
    expect((await again.get('/')).text).to.contain('starting');
    writeFileSync(go, '');
    await until(async () => (await again.get('/')).text.includes('running'));
    expect((await again.get('/user/ann/')).text).to.equal('Here I am.');
  });

  it('says that a server no longer answers, until it does', async () => {
    await run(onOff, { healthInterval: 20 });
    const ann = await login('ann');
    await ann.start();
    await ann.get('/user/ann/off');
    await until(async () => (await ann.get('/')).text.includes('unhealthy'));
    expect((await ann.get('/')).text).to.contain('does not answer');
    await until(async () => (await ann.get('/')).text.includes('running'));
    expect((await ann.get('/')).text).not.to.contain('does not answer');
  });

  it('refuses one server too many, and shows the reason', async () => {
    await run(builtIn, { userLimit: 1 });
    const ann = await login('ann');
    await ann.start();
    const { status, text } = await ann.post('/start', { another: 'yes', name: 'b', kind: 'local' });
    expect(status).to.equal(400);
    expect(text).to.contain('as many servers as may be (1)').and.to.contain('value="b"');
    expect(hub.alive).to.equal(1);
  });

  it('refuses for a while to start what has failed again and again', async () => {
    await run(broken, { failureLimit: 1 });
    const ann = await login('ann');
    await ann.post('/start', { name: '', kind: 'local' });
    await until(async () => (await ann.get('/')).text.includes('licence'));
    const { text } = await ann.post('/start', { name: '', kind: 'local' });
    expect(text).to.contain('the next is possible in 60 s');
  });

  it('has metrics for Prometheus, in which nobody is named', async () => {
    await run(builtIn);
    const ann = await login('ann');
    await ann.start();
    const { text } = await visitor('').get('/metrics');
    expect(text).to.match(/^hubspawner_servers\{status="ready"\} 1$/m);
    expect(text).not.to.contain('ann');
  });

  it('leaves its folder to one hub', async () => {
    await run(builtIn);
    const error = await createHub({ port: 0, folder: state, program: builtIn }).catch((e) => e);
    expect(error).to.be.an('error').with.property('message').that.contains(state);
    expect((await fetch(hub.url)).status).to.equal(200);
  });

  it('takes no file for its secret that is none', async () => {
    await run(builtIn);
    await hub.close();
    writeFileSync(join(state, 'secret'), '');
    const error = await createHub({ port: 0, folder: state, program: builtIn }).catch((e) => e);
    expect(error).to.be.an('error').with.property('message').that.contains('secret');
  });

  async function run(program: Program, policies: Partial<SupervisorPolicies> = {}): Promise<void> {
    hub = await createHub({ port: 0, folder: state, program, policies });
  }

  /** What the hub remembers. */
  function saved(): readonly SavedServer[] {
    const servers = join(state, 'servers');
    return readdirSync(servers)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(servers, name), 'utf8')).value);
  }

  async function fetchLogin(name: string): Promise<Response> {
    const body = new URLSearchParams({ name });
    return fetch(`${hub.url}login`, { method: 'POST', body, redirect: 'manual' });
  }

  async function login(name: string): Promise<Visitor> {
    const response = await fetchLogin(name);
    expect(response.status).to.equal(303);
    return visitor(response.headers.get('set-cookie')?.split(';')[0] ?? '');
  }

  function visitor(cookie: string): Visitor {
    const get = (path: string, headers = {}) =>
      ask(new URL(path, hub.url), { cookie: `theme=dark; ${cookie}`, ...headers });
    const post = (path: string, form: Readonly<Record<string, string>>, headers = {}) =>
      ask(new URL(path, hub.url), { cookie, ...headers }, new URLSearchParams(form).toString());
    return {
      cookie,
      get,
      post,
      async start(name = '') {
        const alive = hub.alive;
        expect((await post('/start', { name, kind: 'local' })).status).to.equal(303);
        const path = name === '' ? '' : `${name}/`;
        await until(
          async () => (await get(`/user/${user(await get('/'))}/${path}`)).status === 200,
        );
        expect(hub.alive).to.equal(alive + 1);
      },
      async steps() {
        const response = await fetch(`${hub.url}events`, { headers: { cookie } });
        const steps: Step[] = [];
        let text = '';
        for await (const chunk of response.body ?? []) {
          text += Buffer.from(chunk).toString();
          steps.splice(0);
          for (const [, data = ''] of text.matchAll(/^event: progress\ndata: (.*)\n\n/gm)) {
            steps.push(JSON.parse(data));
          }
          if (steps.at(-1)?.progress === 100) {
            break;
          }
        }
        return steps;
      },
    };
  }

  function upgrade(cookie: string, headers = {}): Promise<string | number | undefined> {
    return new Promise((resolve, reject) => {
      const key = randomBytes(16).toString('base64');
      request(new URL('/user/ann/api/kernels/1/channels', hub.url), {
        headers: {
          cookie,
          upgrade: 'websocket',
          connection: 'upgrade',
          'sec-websocket-key': key,
          ...headers,
        },
      })
        .on('upgrade', (_response, socket) => {
          socket.on('data', (data) => {
            socket.destroy();
            resolve(String(data));
          });
          socket.write('pong');
        })
        .on('response', (response) => resolve(response.statusCode))
        .on('error', reject)
        .end();
    });
  }
});

interface SavedServer {
  readonly user: { readonly name: string };
  readonly serverName: string;
  readonly state: { readonly port: number };
}

interface Step {
  readonly progress: number;
  readonly message: string;
}

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

/** A person with a browser. */
interface Visitor {
  readonly cookie: string;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  post(
    path: string,
    form: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  /** Starts a server on this machine, and comes back when it can be opened. */
  start(name?: string): Promise<void>;
  /** What the page is told of a start that is under way. */
  steps(): Promise<readonly Step[]>;
}

function ask(url: URL, headers: Readonly<Record<string, string>>, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    request(url, { method, headers, agent: false })
      .on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode, text }));
      })
      .on('error', reject)
      .end(body);
  });
}

/** Who is logged in, as the page says it. */
function user({ text }: Answer): string {
  return /<span class="who">([^<]*)/.exec(text)?.[1] ?? '';
}

function linkIn(page: string): string {
  const [, link = ''] = /href="(\/user\/[^"]*)"/.exec(page) ?? [];
  return link.replace(/&#(\d+);/g, (_match, code) => String.fromCharCode(Number(code)));
}

/** The number of the process that the page of the built-in server names. */
function processIn(page: string): number {
  return Number(/Process<dd>(\d+)/.exec(page)?.[1]);
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) {
    await sleep(20);
  }
}
