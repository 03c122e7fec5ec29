import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EndpointHandler, SupervisedServer, Supervisor } from 'hubspawner';
import { endpointHandler, OptionsError, StartError } from 'hubspawner';
import type { Registry } from 'prom-client';
import { followServers } from './events.ts';
import {
  checkOrigin,
  decoded,
  headers,
  pathOf,
  Refusal,
  readForm,
  redirect,
  send,
  sessionOf,
  setSession,
} from './http.ts';
import { kinds } from './kinds.ts';
import type { Problem } from './page.ts';
import { homePage, loginPage, messagePage } from './page.ts';
import { passOn, passOnSocket } from './proxy.ts';
import type { Server, Servers } from './servers.ts';
import { serverPath } from './servers.ts';

const files = {
  '/page.css': { type: 'text/css', text: read('page.css') },
  '/client.js': { type: 'text/javascript', text: read('client.js') },
} as const;

/**
 * What the hub answers. Of JupyterHub's REST interface there is only `/hub/api/batchspawner`, at
 * which jobs report their port: plain Jupyter servers call nothing else. What `jupyterhub-singleuser`
 * would also call, for logins and to report activity, is answered with 404.
 */
export class Site {
  readonly #servers: Servers;
  readonly #program: string;
  readonly #metrics: Registry;
  readonly #endpoint: EndpointHandler;
  /** Names by the ids of sessions. After a restart of the hub, people log in again. */
  readonly #sessions = new Map<string, string>();
  readonly #sockets = new Set<Duplex>();

  /** @param program what people get, for the page */
  constructor(servers: Servers, supervisor: Supervisor, program: string, metrics: Registry) {
    this.#servers = servers;
    this.#program = program;
    this.#metrics = metrics;
    this.#endpoint = endpointHandler(() => supervisor.spawners);
  }

  answer(req: IncomingMessage, res: ServerResponse): void {
    this.#route(req, res).catch((error: unknown) => {
      if (res.headersSent) {
        res.destroy();
      } else if (error instanceof Refusal) {
        send(res, error.status, messagePage(error.title, error.message));
      } else {
        console.error(error);
        send(res, 500, messagePage('Something went wrong', 'The hub has said more where it runs.'));
      }
    });
  }

  /** Passes WebSockets on to the servers. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    try {
      checkOrigin(req);
      const server = this.#ownServer(req);
      if (!(socket instanceof Socket)) {
        throw new TypeError('Plain HTTP comes over a net.Socket.');
      }
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      void passOnSocket(server, req, socket, head);
    } catch (error) {
      const status = error instanceof Refusal ? `${error.status} ${error.title}` : '500 Error';
      socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    }
  }

  /** Ends what is open. */
  close(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  async #route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    checkOrigin(req);
    const path = pathOf(req);
    const user = this.#user(req);
    if (path.startsWith('/user/')) {
      return this.#open(req, res);
    }
    if (path === '/hub/api/batchspawner') {
      return this.#endpoint.node(req, res);
    }
    switch (`${req.method} ${path}`) {
      case 'GET /page.css':
      case 'GET /client.js': {
        const { type, text } = files[path as keyof typeof files];
        res.writeHead(200, { ...headers, 'content-type': `${type}; charset=utf-8` }).end(text);
        return;
      }
      case 'GET /metrics':
        res.writeHead(200, { ...headers, 'content-type': this.#metrics.contentType });
        res.end(await this.#metrics.metrics());
        return;
      case 'GET /':
        return send(res, 200, user === undefined ? loginPage() : this.#home(user));
      case 'POST /login':
        return this.#login(await readForm(req), res);
    }
    if (path.startsWith('/hub/api/')) {
      throw new Refusal(404, 'Not found', 'This hub has no such interface.');
    }
    if (user === undefined) {
      throw new Refusal(403, 'You are not logged in', 'Log in at the hub, then try again.');
    }
    switch (`${req.method} ${path}`) {
      case 'GET /events':
        res.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
        return followServers(this.#servers, user, res);
      case 'POST /start':
        return this.#start(user, await readForm(req), res);
      case 'POST /stop':
        this.#servers.stop(this.#named(user, await readForm(req)));
        return redirect(res, '/');
      case 'POST /remove':
        this.#servers.remove(this.#named(user, await readForm(req)));
        return redirect(res, '/');
      case 'POST /logout':
        this.#sessions.delete(sessionOf(req));
        return redirect(res, '/');
    }
    throw new Refusal(404, 'Not found', `There is no ${path} here.`);
  }

  #user(req: IncomingMessage): string | undefined {
    return this.#sessions.get(sessionOf(req));
  }

  #home(user: string, problem?: Problem): string {
    return homePage(user, this.#servers.of(user), this.#program, problem);
  }

  #login(form: URLSearchParams, res: ServerResponse): void {
    const name = (form.get('name') ?? '').trim();
    const wrong = wrongName(name);
    if (wrong !== undefined) {
      send(res, 400, loginPage(wrong));
      return;
    }
    const session = randomBytes(32).toString('base64url');
    this.#sessions.set(session, name);
    setSession(res, session);
    redirect(res, '/');
  }

  async #start(user: string, form: URLSearchParams, res: ServerResponse): Promise<void> {
    const another = form.has('another');
    const name = (form.get('name') ?? '').trim();
    const kind = kinds.find((one) => one.name === form.get('kind') && one.offered());
    if (kind === undefined) {
      throw new Refusal(400, 'Nothing to start', 'This hub does not offer that kind of server.');
    }
    const filledIn = kind.fields.map((field) => [field.name, (form.get(field.name) ?? '').trim()]);
    const choices: Record<string, string> = Object.fromEntries(filledIn.filter(([, text]) => text));
    const refuse = (message: string, option?: string) =>
      send(
        res,
        400,
        this.#home(user, { another, name, kind: kind.name, choices, message, option }),
      );
    const wrong = another || name !== '' ? wrongName(name) : undefined;
    if (wrong !== undefined) {
      refuse(wrong);
      return;
    }
    try {
      await this.#servers.start(user, name, kind, choices);
      redirect(res, '/');
    } catch (error) {
      if (error instanceof OptionsError) {
        refuse(error.message, error.path);
      } else if (error instanceof StartError) {
        refuse(error.message);
      } else {
        throw error;
      }
    }
  }

  #named(user: string, form: URLSearchParams): Server {
    const server = this.#servers.find(user, form.get('name') ?? '');
    if (server === undefined) {
      throw new Refusal(404, 'Not found', 'You have no such server any more.');
    }
    return server;
  }

  async #open(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const server = this.#ownServer(req);
    const path = serverPath(server.user.name, server.serverName);
    if (`${pathOf(req)}/` === path) {
      return redirect(res, path);
    }
    if (!(await passOn(server, req, res))) {
      await server.spawner?.poll();
      throw new Refusal(502, 'No answer', 'Your server did not answer. The hub says how it is.');
    }
  }

  /** The running server that a request is for, if it is its owner's. */
  #ownServer(req: IncomingMessage): SupervisedServer {
    const [owner = '', name = ''] = pathOf(req).split('/').slice(2, 4).map(decoded);
    const user = this.#user(req);
    if (user === undefined) {
      throw new Refusal(403, 'You are not logged in', `Only ${owner} can open this page. Log in.`);
    }
    if (user !== owner) {
      throw new Refusal(403, 'Not yours', `This is a server of ${owner}, and you are ${user}.`);
    }
    // What follows the owner is the name of a server, or a page of the one without a name.
    const server =
      (name === '' ? undefined : this.#servers.find(user, name)) ?? this.#servers.find(user, '');
    const current = server?.current;
    if (current?.status !== 'ready' && current?.status !== 'unhealthy') {
      throw new Refusal(503, 'Not running', 'Your server is not running. Start it at the hub.');
    }
    return current;
  }
}

function wrongName(name: string): string | undefined {
  // `.` and `..` mean something else in addresses.
  return /^[^\p{Cc}\p{Cs}]{1,40}$/u.test(name) && name !== '.' && name !== '..'
    ? undefined
    : 'A name has 1 to 40 characters; . and .. are none.';
}

function read(file: string): string {
  return readFileSync(new URL(file, import.meta.url), 'utf8');
}
