import type { ServerResponse } from 'node:http';
import type { SupervisedServer } from 'hubspawner';
import { cardId, progressText, serverCard } from './page.ts';
import type { Server, Servers } from './servers.ts';

/**
 * Sends a page, as server-sent events, what becomes of a person's servers: first how they are, then
 * each change, and of each start all of its progress from its beginning. See client.js.
 */
export function followServers(servers: Servers, user: string, res: ServerResponse): void {
  const followed = new WeakSet<SupervisedServer>();

  const send = (event: 'server' | 'progress', data: unknown) => {
    res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };

  const followStart = async (server: SupervisedServer) => {
    const id = cardId(server.serverName);
    let index = 0;
    for await (const event of server.progress()) {
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
    const { name, revision, current } = server;
    const known = servers.find(user, name);
    const gone = known === undefined && name !== '';
    const html = gone ? '' : serverCard(user, name, known).text;
    send('server', { id: cardId(name), revision, html });
    const starts = current?.status === 'waiting' || current?.status === 'starting';
    if (starts && !followed.has(current)) {
      followed.add(current);
      void followStart(current);
    }
  };

  servers.of(user).forEach(show);
  servers.on('change', show);
  res.on('close', () => servers.off('change', show));
}
