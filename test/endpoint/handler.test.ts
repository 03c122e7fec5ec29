import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { useFakeTimers } from 'sinon';
import type { EndpointTarget } from '../../lib/endpoint/handler.ts';
import { endpointHandler } from '../../lib/endpoint/handler.ts';
import { OptionsError } from '../../lib/errors.ts';

class Target implements EndpointTarget {
  readonly apiToken: string | undefined;
  readonly ports: number[] = [];
  awaitedPort: number | undefined;
  starting = true;

  constructor(apiToken: string | undefined) {
    this.apiToken = apiToken;
  }

  acceptPort(port: number): boolean {
    if (this.starting) this.ports.push(port);
    return this.starting;
  }
}

interface Sent {
  readonly method?: string;
  readonly authorization?: string | null;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  readonly headers?: Record<string, string>;
}

function post({ method = 'POST', authorization = 'token secret-a', ...sent }: Sent): Request {
  return new Request('http://hub.example/hub/api/batchspawner', {
    method,
    headers: { ...sent.headers, ...(authorization === null ? {} : { authorization }) },
    ...(sent.body === undefined ? {} : { body: sent.body, duplex: 'half' as const }),
  });
}

describe('endpointHandler', function () {
  this.timeout(20_000);
  let ada: Target;
  let bob: Target;
  beforeEach(() => {
    ada = new Target('secret-a');
    bob = new Target('secret-b');
  });

  async function send(
    sent: Sent,
  ): Promise<{ status: number; message: string; response: Response }> {
    const response = await endpointHandler([new Target(undefined), ada, bob]).fetch(post(sent));
    const text = await response.clone().text();
    expect(text).not.to.contain('secret');
    const body: unknown = JSON.parse(text);
    expect(body).to.be.an('object');
    if (response.status !== 201) {
      expect(body).to.have.keys('status', 'message');
      expect(body).to.have.property('status', response.status);
    }
    const { message = '' } = body as { message?: string };
    return { status: response.status, message, response };
  }

  describe('accepts', () => {
    for (const authorization of ['token secret-b', 'Bearer secret-b', 'TOKEN  secret-b']) {
      it(`a port for the server whose token comes as ${authorization.split(' ')[0]}`, async () => {
        const { status, response } = await send({ authorization, body: '{"port": 41234}' });
        expect(status).to.equal(201);
        expect(await response.json()).to.deep.equal({ port: 41234 });
        expect(response.headers.get('content-type')).to.equal('application/json');
        expect([ada.ports, bob.ports]).to.deep.equal([[], [41234]]);
      });
    }

    it('the first and the last port', async () => {
      await send({ body: '{"port":1}' });
      await send({ body: '{"port":65535}' });
      expect(ada.ports).to.deep.equal([1, 65535]);
    });

    it('servers that a function returns, as they are at the time of the call', async () => {
      const servers = new Map<string, Target>();
      const { fetch } = endpointHandler(() => servers.values());
      expect((await fetch(post({ body: '{"port":1}' }))).status).to.equal(403);
      servers.set('ada', ada);
      expect((await fetch(post({ body: '{"port":1}' }))).status).to.equal(201);
      expect((await fetch(post({ body: '{"port":2}' }))).status).to.equal(201);
    });

    it('a port, and says so when the hub has saved it, or takes too long to', async () => {
      const clock = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        let save = () => {};
        const saved = new Promise<void>((resolve) => {
          save = resolve;
        });
        const answers: number[] = [];
        const report = async (target: EndpointTarget) => {
          const response = await endpointHandler([target]).fetch(post({ body: '{"port":1}' }));
          answers.push(response.status);
        };
        const reports = [
          report(Object.assign(new Target('secret-a'), { saved: () => saved })),
          report(
            Object.assign(new Target('secret-a'), { saved: () => new Promise<void>(() => {}) }),
          ),
        ];
        await clock.tickAsync(4000);
        expect(answers).to.deep.equal([]);
        save();
        await reports[0];
        expect(answers).to.deep.equal([201]);
        await clock.tickAsync(2000);
        await reports[1];
        expect(answers).to.deep.equal([201, 201]);
      } finally {
        clock.restore();
      }
    });

    it('a new token of the same server, and then no longer the old one', async () => {
      let apiToken = 'old';
      const target = {
        get apiToken() {
          return apiToken;
        },
        acceptPort: () => true,
      };
      const { fetch } = endpointHandler([target]);
      const status = async (token: string) =>
        (await fetch(post({ authorization: `token ${token}`, body: '{"port":1}' }))).status;
      expect(await status('old')).to.equal(201);
      apiToken = 'new';
      expect([await status('old'), await status('new')]).to.deep.equal([403, 201]);
    });
  });

  describe('refuses', () => {
    it('another method with 405, whoever asks', async () => {
      for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
        const { status, response } = await send({ method, authorization: null });
        expect([status, response.headers.get('allow')]).to.deep.equal([405, 'POST']);
      }
    });

    for (const authorization of [
      null,
      '',
      'token',
      'token ',
      'Basic YTpi',
      'secret-a',
      'token a b',
    ]) {
      it(`the Authorization ${JSON.stringify(authorization)} with 401`, async () => {
        const { status, response } = await send({ authorization, body: '{"port": 1}' });
        expect(status).to.equal(401);
        expect(response.headers.get('www-authenticate')).to.be.a('string');
        expect(ada.ports).to.deep.equal([]);
      });
    }

    for (const token of ['secret', 'secret-aa', 'SECRET-A', 'undefined', 'secret-a,']) {
      it(`the token ${token} of no server with 403`, async () => {
        const { status } = await send({ authorization: `token ${token}`, body: '{"port": 1}' });
        expect(status).to.equal(403);
      });
    }

    it('a port that another server is about to take with 423, whoever can report another', async () => {
      const elsewhere = { headers: { prefer: 'another-port' } };
      ada.awaitedPort = 41234;
      const others = { ...elsewhere, authorization: 'token secret-b' };
      const { status, message } = await send({ ...others, body: '{"port": 41234}' });
      expect([status, message]).to.deep.equal([
        423,
        'Another server is about to take the port 41234.',
      ]);
      expect((await send({ ...others, body: '{"port": 41235}' })).status).to.equal(201);
      // As batchspawner-singleuser asks, which would give up.
      const { status: old } = await send({
        authorization: 'token secret-b',
        body: '{"port": 41234}',
      });
      expect(old).to.equal(201);
      // Its own, again.
      expect((await send({ ...elsewhere, body: '{"port": 41234}' })).status).to.equal(201);
      expect([ada.ports, bob.ports]).to.deep.equal([[41234], [41235, 41234]]);
    });

    it('a port to which no browser goes with 423, whoever can report another', async () => {
      const headers = { prefer: 'another-port' };
      const { status, message } = await send({ headers, body: '{"port": 6000}' });
      expect([status, message]).to.deep.equal([423, 'Browsers refuse to go to the port 6000.']);
      expect((await send({ body: '{"port": 6000}' })).status).to.equal(201);
      expect(ada.ports).to.deep.equal([6000]);
    });

    it('a caller without a valid token before it reads the body', async () => {
      for (const authorization of [null, 'token other']) {
        const request = post({ authorization, body: '{"port": 1}' });
        await endpointHandler([ada]).fetch(request);
        expect(request.bodyUsed).to.equal(false);
      }
    });

    it('a server that is not starting with 409', async () => {
      ada.starting = false;
      expect((await send({ body: '{"port": 1}' })).status).to.equal(409);
    });

    for (const [body, word] of [
      [undefined, 'JSON'],
      ['', 'JSON'],
      ['{"port": 1', 'JSON'],
      ['port=1', 'JSON'],
      ['{"port": 1} {}', 'JSON'],
      ['null', 'object'],
      ['41234', 'object'],
      ['[41234]', 'object'],
      ['{}', 'no "port"'],
      ['{"Port": 1}', 'no "port"'],
      ['{"port": 1, "host": "evil"}', 'other keys'],
      ['{"port": 1, "__proto__": {}}', 'other keys'],
      ['{"port": 1, "secret-a": 1}', 'other keys'],
      ['{"port": "secret-a"}', 'string'],
      ['{"port": "41234"}', 'string'],
      ['{"port": null}', 'null'],
      ['{"port": [1]}', 'array'],
      ['{"port": true}', 'boolean'],
      ['{"port": 0}', '65535, but is 0'],
      ['{"port": -1}', '65535, but is -1'],
      ['{"port": 65536}', '65535, but is 65536'],
      ['{"port": 1.5}', '65535, but is 1.5'],
      ['{"port": 1e999}', '65535, but is Infinity'],
    ] as const) {
      it(`the body ${body ?? '(none)'} with 400 and the reason`, async () => {
        const { status, message } = await send(body === undefined ? {} : { body });
        expect(status).to.equal(400);
        expect(message).to.contain(word);
        expect(ada.ports).to.deep.equal([]);
      });
    }

    it('a body over 4 KiB by its Content-Length, unread', async () => {
      const request = post({ body: '{"port": 1}', headers: { 'content-length': '4097' } });
      expect((await endpointHandler([ada]).fetch(request)).status).to.equal(413);
      expect(request.bodyUsed).to.equal(false);
    });

    it('a body over 4 KiB while it reads, and reads no further', async () => {
      let pulled = 0;
      let cancelled = false;
      const body = new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            pulled += 1;
            controller.enqueue(new Uint8Array(1000).fill(0x20));
          },
          cancel() {
            cancelled = true;
          },
        },
        { highWaterMark: 0 },
      );
      expect((await send({ body })).status).to.equal(413);
      expect([pulled, cancelled]).to.deep.equal([5, true]);
    });

    it('no body of exactly 4 KiB, but one of a byte more', async () => {
      expect((await send({ body: '{"port": 1}'.padEnd(4096) })).status).to.equal(201);
      expect((await send({ body: '{"port": 1}'.padEnd(4097) })).status).to.equal(413);
    });

    it('a body that does not come to its end within 10 s with 408', async () => {
      const clock = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        let cancelled = false;
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => controller.enqueue(Buffer.from('{"port"')),
          cancel() {
            cancelled = true;
          },
        });
        let status: number | undefined;
        const sent = send({ body }).then((answer) => {
          status = answer.status;
        });
        await clock.tickAsync(9999);
        expect(status).to.equal(undefined);
        await clock.tickAsync(1);
        await sent;
        expect([status, cancelled, clock.countTimers()]).to.deep.equal([408, true, 0]);
      } finally {
        clock.restore();
      }
    });

    it('no later request: the timer ends with the body', async () => {
      const clock = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        expect((await send({ body: '{"port": 1}' })).status).to.equal(201);
        expect(clock.countTimers()).to.equal(0);
      } finally {
        clock.restore();
      }
    });

    it('a body that breaks off with 400', async () => {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.error(new Error('connection lost')),
      });
      expect((await send({ body })).status).to.equal(400);
    });

    it('with 500 where the spawner or the list throws', async () => {
      ada.acceptPort = () => {
        throw new Error('secret-a');
      };
      expect((await send({ body: '{"port": 1}' })).status).to.equal(500);
      const broken = endpointHandler(() => {
        throw new Error('no list');
      });
      expect((await broken.fetch(post({ body: '{"port": 1}' }))).status).to.equal(500);
    });

    it('an iterator instead of a list, which a second request would find empty', () => {
      const servers = new Map([['ada', ada]]);
      expect(() => endpointHandler(servers.values())).to.throw(OptionsError, 'spawners');
    });
  });

  it('gives 4xx to any bytes, and accepts nothing but one valid port', async () => {
    const value = fc.oneof(
      fc.integer({ min: -9, max: 70_000 }),
      fc.double(),
      fc.jsonValue(),
      fc.constant('41234'),
    );
    const nearly = fc
      .tuple(fc.constantFrom('port', 'Port', 'host', ''), value, fc.jsonValue())
      .map(([key, port, more]) => JSON.stringify({ [key]: port, ...(more as object) }));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 5000, size: 'max' }),
      nearly.map((text) => new TextEncoder().encode(text)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (body) => {
        const { status } = await send({ body });
        const accepted = ada.ports.splice(0);
        const text = Buffer.from(body).toString();
        const valid = /^\{"port":(\d+)\}$/.exec(text)?.[1];
        if (valid !== undefined && Number(valid) >= 1 && Number(valid) <= 65535) {
          expect([status, accepted]).to.deep.equal([201, [Number(valid)]]);
        } else {
          expect(status).to.be.within(400, 499);
          expect(accepted).to.deep.equal([]);
        }
      }),
      { numRuns: 200 },
    );
  });

  describe('as a node:http handler', () => {
    /** Sends raw bytes and returns all that comes back until the hub closes the connection. */
    async function raw(
      bytes: string,
      { before = async (_req: IncomingMessage) => {}, close = false, timers = 0 } = {},
    ): Promise<string> {
      const { node } = endpointHandler([ada]);
      const server = createServer((req, res) => {
        before(req).then(
          () => node(req, res),
          () => res.destroy(),
        );
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', () => {});
      const closed = once(socket, 'close');
      socket.write(bytes);
      if (timers > 0) await new Promise((resolve) => setTimeout(resolve, timers));
      if (close) socket.destroy();
      await closed;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      return text;
    }
    const head = (length: number, more = '') =>
      `POST /x HTTP/1.1\r\nHost: hub\r\nAuthorization: token secret-a\r\n${more}Content-Length: ${length}\r\n\r\n`;
    const last = (body: string) => `${head(body.length, 'Connection: close\r\n')}${body}`;

    it('accepts a port', async () => {
      const text = await raw(last('{"port": 41234}'));
      expect(text).to.match(/^HTTP\/1\.1 201 Created\r\n/);
      expect(text).to.match(/\r\n\r\n\{"port":41234\}$/);
      expect(ada.ports).to.deep.equal([41234]);
    });

    it('keeps the connection for the next call where the body was read', async () => {
      await raw(`${head(11)}{"port": 1}${last('{"port": 2}')}`);
      expect(ada.ports).to.deep.equal([1, 2]);
    });

    it('takes the body that a framework has parsed already', async () => {
      const before = async (req: IncomingMessage & { body?: unknown }) => {
        let text = '';
        for await (const chunk of req) text += String(chunk);
        req.body = JSON.parse(text);
      };
      expect(await raw(last('{"port": 7}'), { before })).to.match(/^HTTP\/1\.1 201 /);
      expect(await raw(last('{"port": "7"}'), { before })).to.match(/^HTTP\/1\.1 400 /);
      expect(ada.ports).to.deep.equal([7]);
    });

    it('reads the body itself where a framework set an empty one without reading', async () => {
      const before = async (req: IncomingMessage & { body?: unknown }) => {
        req.body = {};
      };
      await raw(last('{"port": 7}'), { before });
      expect(ada.ports).to.deep.equal([7]);
    });

    it('closes the connection of a caller without a token, whose body it does not await', async () => {
      const text = await raw('POST /x HTTP/1.1\r\nHost: hub\r\nContent-Length: 4000\r\n\r\n{');
      expect(text).to.match(/^HTTP\/1\.1 401 .*connection: close/is);
    });

    it('answers 413 while a long body still comes', async () => {
      const chunked = head(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked');
      const text = await raw(`${chunked}2000\r\n${' '.repeat(8192)}\r\n`);
      expect(text).to.match(/^HTTP\/1\.1 413 /);
      expect(await raw(head(4097))).to.match(/^HTTP\/1\.1 413 /);
    });

    it('answers 408 to a body that never ends, and closes the connection', async () => {
      const clock = useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        const sent = raw(`${head(11)}{"port"`, {
          before: async () => {
            setImmediate(() => setImmediate(() => clock.tickAsync(10_000)));
          },
        });
        expect(await sent).to.match(/^HTTP\/1\.1 408 /);
      } finally {
        clock.restore();
      }
    });

    it('survives a caller that goes away', async () => {
      expect(await raw(`${head(11)}{"port"`, { close: true, timers: 50 })).to.equal('');
      expect(await raw(last('{"port": 1}'))).to.match(/^HTTP\/1\.1 201 /);
    });
  });
});
