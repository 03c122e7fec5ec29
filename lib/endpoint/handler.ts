import { Buffer } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isShunned } from '../address.ts';
import { OptionsError } from '../errors.ts';
import { createLog } from '../log.ts';
import { atMost } from '../sleep.ts';

const log = createLog('endpoint');
const maxBodyBytes = 4096;
const bodyTimeoutMs = 10_000;
const savingTimeoutMs = 5000;

/** What the handler needs of a spawner. */
export interface EndpointTarget {
  /** The server's own token; undefined where it has none, and then nothing is accepted for it. */
  readonly apiToken: string | undefined;
  /**
   * Takes the port, 1 to 65535, on which the server will listen. A call whose answer was lost is
   * repeated with the same port.
   *
   * @returns whether the server has a job that may report one; else nothing has changed
   */
  acceptPort(port: number): boolean;
  /** The port that it has reported, as long as it may not listen there yet. */
  readonly awaitedPort?: number | undefined;
  /**
   * Resolves when the hub has saved that, as far as it says so: the server, which is told only then,
   * repeats its report to a hub that has crashed meanwhile.
   */
  saved?(): Promise<void>;
}

/** The handler in the two forms that frameworks ask for; both behave the same. */
export interface EndpointHandler {
  /**
   * For `node:http`, Express, Connect and Fastify's raw objects. Answers every request. Where the
   * framework has read the body already, as `express.json()` does, its `req.body` is taken.
   */
  readonly node: (req: IncomingMessage, res: ServerResponse) => void;
  /** For frameworks on WHATWG `Request` and `Response`. Never rejects. */
  readonly fetch: (request: Request) => Promise<Response>;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A request as both forms give it. */
interface Call {
  readonly method: string;
  readonly authorization: string | undefined;
  readonly contentLength: string | undefined;
  readonly prefer: string | undefined;
  /** Called once, and not before the token is known. */
  readonly body: () => { readonly parsed: unknown } | AsyncChunks;
}

interface AsyncChunks {
  readonly next: () => Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** Called where the rest of the body is not wanted. */
  readonly cancel: () => void;
}

/** Thrown on the way to an answer that is not 201. */
class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/**
 * Makes the part of the hub's web API that a starting server calls to say on which port it will
 * listen: `POST {"port": 41234}`, authenticated by the server's own token. Mount it at the path
 * `batchspawner` below the `apiUrl` of the spawners' context (`/hub/api/batchspawner`), where our
 * wrapper and Python's `batchspawner-singleuser` look for it, and, after a restart of the hub, not
 * before the servers are loaded: a job that gets 403 in between gives up, one that gets 503 waits.
 *
 * It answers 201, or an error as `{"status": 403, "message": "…"}`: 400 for a body that is not one
 * valid port, 401 without a token, 403 for a token of no server, 405 for other methods than POST,
 * 408 for a body that takes longer than 10 s, 409 for a server that has no job, 413 for a body
 * over 4 KiB, and 500 where the spawner throws. Without a valid token the body is not read.
 *
 * Jobs that start on one node at the same time may find the same port free. Where a request has the
 * header `Prefer: another-port`, as that of our wrapper does, it gets 423 for the port of a server
 * that is about to listen, and for one to which no browser goes, and the job reports another.
 *
 * @example
 * const endpoint = endpointHandler(() => servers.values());
 * createServer((req, res) => {
 *   if (req.url === '/hub/api/batchspawner') endpoint.node(req, res);
 *   else hub(req, res);
 * });
 *
 * @example
 * app.all('/hub/api/batchspawner', (context) => endpoint.fetch(context.request)); // WHATWG
 *
 * @param spawners those that may be called, read anew at every request
 * @throws OptionsError for an iterator, as `map.values()` returns: it can be read only once
 */
export function endpointHandler(
  spawners: Iterable<EndpointTarget> | (() => Iterable<EndpointTarget>),
): EndpointHandler {
  if (typeof spawners !== 'function' && (spawners[Symbol.iterator]() as unknown) === spawners) {
    throw new OptionsError(
      'spawners',
      'an array, a Set, or a function that returns the spawners, as in () => map.values()',
    );
  }
  const list = typeof spawners === 'function' ? spawners : () => spawners;
  const find = tokenFinder(list);

  const answer = async (call: Call): Promise<Answer> => {
    try {
      if (call.method !== 'POST') {
        throw new Refusal(405, 'Only POST is allowed here.', { allow: 'POST' });
      }
      const targets = find(readToken(call.authorization));
      const port = readPort(await readBody(call));
      if (call.prefer === 'another-port') {
        const others = [...list()].filter((target) => !targets.includes(target));
        if (others.some(({ awaitedPort }) => awaitedPort === port)) {
          throw new Refusal(423, `Another server is about to take the port ${port}.`);
        }
        if (isShunned(port)) {
          throw new Refusal(423, `Browsers refuse to go to the port ${port}.`);
        }
      }
      // After a hand-over there may be two of the same server, of which one waits.
      const taker = targets.find((target) => target.acceptPort(port));
      if (taker === undefined) {
        throw new Refusal(409, 'This server has no job that could report a port now.');
      }
      // A store that does not answer keeps no server from going on.
      await atMost(savingTimeoutMs, taker.saved?.());
      return { status: 201, body: { port } };
    } catch (error) {
      if (error instanceof Refusal) {
        const { status, headers, message } = error;
        log('refused a port: %d', status);
        return { status, headers, body: { status, message } };
      }
      log('failed to take a port: %s', String(error));
      return { status: 500, body: { status: 500, message: 'The hub failed to take the port.' } };
    }
  };

  return {
    node(req, res) {
      answer(nodeCall(req))
        .then((given) => sendNode(req, res, given))
        .catch((error) => log('failed to answer: %s', String(error)));
    },
    async fetch(request) {
      const { status, headers, body } = await answer(fetchCall(request));
      return new Response(JSON.stringify(body), {
        status,
        headers: { ...jsonHeaders, ...headers },
      });
    },
  };
}

/** Looks at every target however early one fits, so that the time taken tells nothing. */
function tokenFinder(
  list: () => Iterable<EndpointTarget>,
): (token: string) => readonly EndpointTarget[] {
  const digests = new WeakMap<
    EndpointTarget,
    { readonly token: string; readonly digest: Buffer }
  >();
  const digestOf = (target: EndpointTarget, token: string): Buffer => {
    const known = digests.get(target);
    if (known?.token === token) return known.digest;
    const digest = sha256(token);
    digests.set(target, { token, digest });
    return digest;
  };
  return (token) => {
    const digest = sha256(token);
    const found: EndpointTarget[] = [];
    for (const target of list()) {
      const { apiToken } = target;
      if (typeof apiToken !== 'string') continue;
      if (timingSafeEqual(digestOf(target, apiToken), digest)) found.push(target);
    }
    if (found.length === 0) throw new Refusal(403, 'This token belongs to no server of this hub.');
    return found;
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function readToken(authorization: string | undefined): string {
  const token = /^(?:token|bearer) +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) {
    throw new Refusal(401, "The server's own token is needed: Authorization: token <it>.", {
      'www-authenticate': 'Bearer',
    });
  }
  return token;
}

async function readBody(call: Call): Promise<unknown> {
  if (Number(call.contentLength ?? 0) > maxBodyBytes) throw tooLarge();
  const body = call.body();
  if ('parsed' in body) return body.parsed;
  const text = await readText(body);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'The body is not JSON. {"port": 41234} is expected.');
  }
}

function tooLarge(): Refusal {
  return new Refusal(413, `The body is longer than ${maxBodyBytes} bytes.`);
}

async function readText(chunks: AsyncChunks): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, bodyTimeoutMs, 'late');
  });
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const next = await Promise.race([chunks.next().catch(() => 'lost' as const), late]);
      if (next === 'late') {
        throw new Refusal(408, `The body was not complete after ${bodyTimeoutMs / 1000} s.`);
      }
      if (next === 'lost') throw new Refusal(400, 'The connection ended within the body.');
      if (next.done) return Buffer.concat(parts).toString('utf8');
      const part = typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
      if (!(part instanceof Uint8Array)) throw new TypeError('The body is no stream of bytes.');
      size += part.length;
      if (size > maxBodyBytes) throw tooLarge();
      parts.push(part);
    }
  } catch (error) {
    chunks.cancel();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Messages name no key and no text of the body: it could be the token in the wrong place. */
function readPort(body: unknown): number {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal(400, 'The body is no JSON object. {"port": 41234} is expected.');
  }
  if (!Object.hasOwn(body, 'port')) throw new Refusal(400, 'The body has no "port".');
  if (Object.keys(body).length !== 1) {
    throw new Refusal(400, 'The body has other keys than "port".');
  }
  const { port } = body as { readonly port: unknown };
  if (typeof port !== 'number') {
    throw new Refusal(400, `The port must be an integer, but is a JSON ${jsonType(port)}.`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Refusal(400, `The port must be an integer from 1 to 65535, but is ${port}.`);
  }
  return port;
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

const jsonHeaders = { 'content-type': 'application/json', 'cache-control': 'no-store' };

function nodeCall(req: IncomingMessage & { readonly body?: unknown }): Call {
  return {
    method: req.method ?? '',
    authorization: req.headers.authorization,
    contentLength: req.headers['content-length'],
    prefer: req.headers['prefer']?.toString(),
    body() {
      if (req.readableDidRead && req.body !== undefined) return { parsed: req.body };
      const chunks = req[Symbol.asyncIterator]();
      // Destroying the request would take the connection away from the answer.
      return { next: () => chunks.next(), cancel: () => {} };
    },
  };
}

function sendNode(req: IncomingMessage, res: ServerResponse, answer: Answer): void {
  if (res.destroyed || res.headersSent) return;
  const text = JSON.stringify(answer.body);
  res.writeHead(answer.status, {
    ...jsonHeaders,
    'content-length': Buffer.byteLength(text),
    // The rest of a body that nobody wants is not waited for.
    ...(req.complete ? {} : { connection: 'close' }),
    ...answer.headers,
  });
  res.end(text);
}

function fetchCall(request: Request): Call {
  return {
    method: request.method,
    authorization: request.headers.get('authorization') ?? undefined,
    contentLength: request.headers.get('content-length') ?? undefined,
    prefer: request.headers.get('prefer') ?? undefined,
    body() {
      const reader = request.body?.getReader();
      return {
        next: async () => (reader ? reader.read() : { done: true }),
        cancel() {
          reader?.cancel().catch(() => {});
        },
      };
    },
  };
}
