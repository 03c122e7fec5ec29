import { createServer } from 'node:http';
import { assert } from 'chai';
import { unitOf, useServices } from './helpers/services.ts';
import { api, apiToken, assertGuarded } from './helpers/singleuser.ts';
import { journal } from './helpers/systemd.ts';

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

      await assertGuarded(url);
      const created = await fetch(`${url}api/contents`, {
        method: 'POST',
        headers: { authorization: `token ${apiToken}` },
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
