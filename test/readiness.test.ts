import { execFileSync } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { answersHttp } from '../lib/readiness.ts';

describe('answersHttp', function () {
  this.timeout(10_000);
  const servers: { server: Server; sockets: Set<Socket> }[] = [];

  async function listen(server: Server): Promise<number> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket));
    servers.push({ server, sockets });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
  const web = async (listener: RequestListener) =>
    `http://127.0.0.1:${await listen(createServer(listener))}/user/ada/`;
  const tcp = async (listener: (socket: Socket) => void) =>
    `http://127.0.0.1:${await listen(createTcpServer(listener))}/`;

  afterEach(async () => {
    for (const { server, sockets } of servers.splice(0)) {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    }
  });

  for (const [status, answers] of [
    [200, true],
    [302, true],
    [403, true],
    [404, true],
    [500, false],
    [503, false],
  ] as const) {
    it(`says ${answers ? 'yes' : 'no'} to status ${status}`, async () => {
      const url = await web((_req, res) => res.writeHead(status, { location: '/' }).end('text'));
      expect(await answersHttp(url)).to.equal(answers);
    });
  }

  it('asks once, with GET at the given path, and without credentials', async () => {
    const asked: unknown[] = [];
    const url = await web((req, res) => {
      asked.push([req.method, req.url, req.headers.authorization, req.headers.cookie]);
      res.writeHead(302, { location: '/elsewhere' }).end();
    });
    expect(await answersHttp(url.replace('127.', 'ada:secret@127.'))).to.equal(true);
    expect(asked).to.deep.equal([['GET', '/user/ada/', undefined, undefined]]);
  });

  it('does not wait for the end of the body, and closes the connection', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    const url = await web((req, res) => {
      closed = once(req.socket, 'close');
      res.write('the rest never comes');
    });
    expect(await answersHttp(url)).to.equal(true);
    await closed;
  });

  it('says no where nothing listens', async () => {
    const server = createTcpServer();
    const port = await listen(server);
    servers.splice(0);
    server.close();
    await once(server, 'close');
    expect(await answersHttp(`http://127.0.0.1:${port}/`)).to.equal(false);
  });

  it('says no to a connection that is reset, or closed without an answer', async () => {
    expect(await answersHttp(await tcp((socket) => socket.resetAndDestroy()))).to.equal(false);
    expect(await answersHttp(await tcp((socket) => socket.end()))).to.equal(false);
  });

  it('says no to bytes that are no HTTP', async () => {
    expect(await answersHttp(await tcp((socket) => socket.end('SSH-2.0-x\r\n')))).to.equal(false);
  });

  it('says no when the time is over', async () => {
    const url = await web(() => {});
    expect(await answersHttp(url, { timeout: 50 })).to.equal(false);
  });

  it('says no when headers trickle for longer than the time', async () => {
    const url = await tcp((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write('x: y\r\n'), 10);
      socket.on('error', () => {}).on('close', () => clearInterval(timer));
    });
    expect(await answersHttp(url, { timeout: 100 })).to.equal(false);
  });

  it('ends early on a signal, and leaves no listener on it', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const quick = await web((_req, res) => res.end());
    expect(await answersHttp(quick, { signal })).to.equal(true);
    expect(getEventListeners(signal, 'abort')).to.have.length(0);

    const url = await web(() => controller.abort());
    expect(await answersHttp(url, { signal })).to.equal(false);
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
    expect(await answersHttp(quick, { signal }), 'after the abort').to.equal(false);
  });

  it('takes a self-signed certificate', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'readiness-'));
    try {
      const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
      const subject = ['-subj', '/CN=elsewhere', '-days', '2', '-nodes'];
      const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
      const files = ['-keyout', key, '-out', cert];
      const argv = ['req', '-x509', ...elliptic, ...subject, ...files];
      execFileSync('openssl', argv, { stdio: 'ignore' });
      const options = { key: readFileSync(key), cert: readFileSync(cert) };
      const port = await listen(createTlsServer(options, (_req, res) => res.end()));
      expect(await answersHttp(`https://127.0.0.1:${port}/`)).to.equal(true);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('rejects an address that is not of the web', async () => {
    for (const url of ['', 'somewhere', 'file:///etc/passwd', 'unix:/run/x']) {
      const error = await answersHttp(url).catch((thrown: unknown) => thrown);
      expect(error, url).to.be.instanceOf(TypeError);
    }
  });
});
