import type { ServerResponse } from 'node:http';
import { cardId, progressText, serverCard } from './page.ts';
import type { Servers } from './servers.ts';
import type { Server } from './status.ts';

/**
 * Sends a page, as server-sent events, what becomes of a person's servers: first how they are, then
 * each change, and of each start all of its progress from its beginning. See client.js.
 */
export function followServers(servers: Servers, user: string, res: ServerResponse): void {
  const followed = new WeakSet<Server>();

  const send = (event: 'server' | 'progress', data: unknown) => {
    res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };

  const followStart = async (server: Server) => {
    const id = cardId(server.name);
    let index = 0;
    for await (const event of server.spawner.progress()) {
      if (res.destroyed) {
        return;
      }
      send('progress', { id, index, progress: event.progress, message: progressText(event) });
      index += 1;
    }
  };

  const show = (server: Server) => {
    if (server.user !== user) {
      return;
    }
    const { name, revision } = server;
    const current = servers.find(user, name);
    const gone = current === undefined && name !== '';
    const html = gone ? '' : serverCard(user, name, current).text;
    send('server', { id: cardId(name), revision, html });
    if (server.status.is === 'starting' && !followed.has(server)) {
      followed.add(server);
      void followStart(server);
    }
  };

  servers.of(user).forEach(show);
  servers.on('change', show);
  res.on('close', () => servers.off('change', show));
}
