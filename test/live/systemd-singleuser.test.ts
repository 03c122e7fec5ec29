import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { assert } from 'chai';
import { unitOf, useServices } from './helpers/services.ts';
import { journal } from './helpers/systemd.ts';

const apiToken = 'the-token-of-a-real-server';
const scopes = ['access:servers!user=alice'];

/** What a server asks of JupyterHub's REST interface: the version, whose a token is, activity. */
function api({ url, method, headers }: IncomingMessage, response: ServerResponse): void {
  const answer = (status: number, body: unknown) =>
    response
      .writeHead(status, { 'content-type': 'application/json', 'x-jupyterhub-version': '3.0.0' })
      .end(JSON.stringify(body));
  if (url === '/hub/api') {
    answer(200, { version: '3.0.0' });
  } else if (headers.authorization?.toLowerCase() !== `token ${apiToken}`) {
    answer(403, { status: 403, message: 'Forbidden' });
  } else if (url === '/hub/api/user') {
    answer(200, { kind: 'user', name: 'alice', admin: false, groups: [], scopes });
  } else if (method === 'POST' && url === '/hub/api/users/alice/activity') {
    answer(200, {});
  } else {
    answer(404, { status: 404, message: 'Not Found' });
  }
}

describe('SystemdSpawner: the real jupyterhub-singleuser', () => {
  const create = useServices();
  const hub = createServer(api);
  before(() => new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve)));
  after(() => hub.close());

  for (const [what, options] of [
    ['a dynamic user', { dynamicUsers: true, memLimit: '1G' }],
    [
      'an account, hardened',
      { hardened: true, readonlyPaths: ['/'], readwritePaths: ['/home/alice'] },
    ],
  ] as const) {
    it(`runs as ${what}, lets its owner in, and sends strangers to the hub`, async () => {
      const address = hub.address();
      assert(typeof address === 'object' && address !== null);
      const apiUrl = `http://127.0.0.1:${address.port}/hub/api`;
      const spawner = create(
        { cmd: ['jupyterhub-singleuser'], defaultUrl: '/tree', ...options },
        { hub: { apiUrl }, apiToken },
      );
      const { url } = await spawner.start();
      const unit = unitOf(spawner);

      const stranger = await fetch(`${url}tree`, { redirect: 'manual' });
      assert.equal(stranger.status, 302);
      const login = new URL(stranger.headers.get('location') ?? '', url);
      assert.equal(login.pathname, '/hub/api/oauth2/authorize');
      assert.equal(login.searchParams.get('client_id'), 'jupyterhub-user-alice');

      const headers = { authorization: `token ${apiToken}` };
      const owner = await fetch(`${url}api/status`, { headers });
      assert.equal(owner.status, 200);
      assert.containsSubset(await owner.json(), { kernels: 0 });
      const created = await fetch(`${url}api/contents`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ type: 'notebook' }),
      });
      assert.equal(created.status, 201, await created.text());

      assert.isAbove(Number((await spawner.usage())?.memory), 30_000_000);
      assert.isNull(await spawner.poll());
      await spawner.stop();
      assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
      const log = await journal(unit);
      assert.include(log, 'single-user server');
      assert.notMatch(log, /Traceback/);
      assert.notInclude(log, apiToken);
    });
  }
});
