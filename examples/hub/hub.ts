import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { SupervisorPolicies } from 'hubspawner';
import { FileStore, Supervisor } from 'hubspawner';
import { prometheusMetrics } from 'hubspawner/prometheus';
import { Registry } from 'prom-client';
import type { Program } from './kinds.ts';
import { environment, kinds } from './kinds.ts';
import { Servers } from './servers.ts';
import { Site } from './site.ts';
import { tokensFrom } from './tokens.ts';

/** What `createHub` has to know. */
export interface HubOptions {
  /** On 127.0.0.1; 0 takes one that is free. */
  readonly port: number;
  /** Keeps the servers over a restart of the hub, the secret for their tokens, and their logs. */
  readonly folder: string;
  /** What each person gets. */
  readonly program: Program;
  /** In the place of the hub's own. */
  readonly policies?: Partial<SupervisorPolicies>;
}

/** A hub that listens. */
export interface Hub {
  readonly server: HttpServer;
  /** As in `http://127.0.0.1:8000/`. */
  readonly url: string;
  /** How many servers there are. */
  readonly alive: number;
  /** Ends the hub. Its servers run on, and a hub with the same folder takes them over. */
  close(): Promise<void>;
}

/**
 * Starts a hub, and takes over what an earlier one has left.
 *
 * @throws Error if it can't listen, or can't use the folder
 */
export async function createHub({ port, folder, program, policies }: HubOptions): Promise<Hub> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const apiToken = tokensFrom(join(folder, 'secret'));
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : port}/`;

  const store = new FileStore(join(folder, 'servers'));
  const supervisor = new Supervisor({
    store,
    hub: { apiUrl: `${url}hub/api`, baseUrl: '/' },
    apiToken,
    userLimit: 5,
    pollInterval: 5000,
    healthInterval: 10_000,
    // A hub on another machine of the cluster may have the same address: its jobs are not ours to end.
    strays: 'report',
    ...policies,
  });
  for (const { name, spawner, ip } of kinds.filter((kind) => kind.offered())) {
    supervisor.register(name, spawner, { ip, environment });
  }
  const registry = new Registry();
  prometheusMetrics(supervisor, { registry });
  const servers = new Servers(supervisor, { program, folder });
  const site = new Site(servers, supervisor, program.name, registry);

  const close = async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    site.close();
    await closed;
    await supervisor.close({ servers: 'keep' });
    await store.disconnect();
  };

  // Who comes before all servers are known again has to wait: also jobs that report their port.
  const restored = supervisor.restore();
  server.on('request', (req, res) => {
    restored.then(
      () => site.answer(req, res),
      () => res.destroy(),
    );
  });
  try {
    await restored;
  } catch (error) {
    await close();
    throw error;
  }
  server.on('upgrade', (req, socket, head) => site.upgrade(req, socket, head));
  return {
    server,
    url,
    get alive() {
      return supervisor.list().length;
    },
    close,
  };
}
