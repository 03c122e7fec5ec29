import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createProxyServer } from 'httpxy';
import type { SupervisedServer } from 'hubspawner';
import { dropSession } from './http.ts';

const proxy = createProxyServer();

/**
 * Passes a request on to a server, with the server's token instead of the person's cookie: who
 * gets at the one does not get at the other.
 *
 * @returns false if the server did not answer; nothing is sent then
 */
export async function passOn(
  server: SupervisedServer,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  dropSession(req);
  try {
    await proxy.web(req, res, destination(server));
    return true;
  } catch {
    if (res.headersSent) {
      res.destroy();
      return true;
    }
    return false;
  }
}

/** Passes a WebSocket on, likewise; one that the server does not take is closed. */
export async function passOnSocket(
  server: SupervisedServer,
  req: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<void> {
  dropSession(req);
  try {
    await proxy.ws(req, socket, destination(server), head);
  } catch {
    socket.destroy();
  }
}

function destination({ address, spawner }: SupervisedServer) {
  const { host = '', port = 0 } = address ?? {};
  return {
    // The path stays as it is: servers know the one below which they stand.
    target: { protocol: 'http:', host, port },
    headers: { authorization: `token ${spawner?.apiToken ?? ''}` },
  };
}
