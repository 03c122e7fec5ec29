import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer } from 'node:http';
import type { Program } from './kinds.ts';
import { Servers } from './servers.ts';
import { Site } from './site.ts';

/** What `createHub` has to know. */
export interface HubOptions {
  /** On 127.0.0.1; 0 takes one that is free. */
  readonly port: number;
  /** Keeps the servers over a restart of the hub. */
  readonly stateFile: string;
  /** What each person gets. */
  readonly program: Program;
}

/** A hub that listens. */
export interface Hub {
  readonly server: HttpServer;
  /** As in `http://127.0.0.1:8000/`. */
  readonly url: string;
  /** How many servers are alive. */
  readonly alive: number;
  /** Ends the hub. Its servers run on, and a hub with the same state file takes them over. */
  close(): Promise<void>;
}

/**
 * Starts a hub, and takes over what an earlier one has left.
 *
 * @throws Error if it can not listen, or the state file can not be read
 */
export async function createHub({ port, stateFile, program }: HubOptions): Promise<Hub> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : port}/`;
  try {
    const servers = new Servers({ apiUrl: `${url}hub/api`, program, stateFile });
    const site = new Site(servers, program.name);
    server.on('request', (req, res) => site.answer(req, res));
    server.on('upgrade', (req, socket, head) => site.upgrade(req, socket, head));
    return {
      server,
      url,
      get alive() {
        return servers.alive;
      },
      async close() {
        servers.close();
        const closed = once(server, 'close');
        server.close();
        server.closeAllConnections();
        site.close();
        await closed;
      },
    };
  } catch (error) {
    server.close();
    throw error;
  }
}
