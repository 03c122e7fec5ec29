import type { IncomingMessage, ServerResponse } from 'node:http';
import { assert } from 'chai';

/** The token of alice's server. */
export const apiToken = 'the-token-of-a-real-server';
const scopes = ['access:servers!user=alice'];

/** What `jupyterhub-singleuser` asks of JupyterHub's REST interface: the version, whose a token is, activity. */
export function api({ url, method, headers }: IncomingMessage, response: ServerResponse): void {
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

/**
 * Asserts that alice's `jupyterhub-singleuser` sends strangers to the hub and answers its owner.
 *
 * @param url that of the server
 */
export async function assertGuarded(url: string): Promise<void> {
  const stranger = await fetch(`${url}tree`, { redirect: 'manual' });
  assert.equal(stranger.status, 302);
  const login = new URL(stranger.headers.get('location') ?? '', url);
  assert.equal(login.pathname, '/hub/api/oauth2/authorize');
  assert.equal(login.searchParams.get('client_id'), 'jupyterhub-user-alice');

  const headers = { authorization: `token ${apiToken}` };
  const owner = await fetch(`${url}api/status`, { headers });
  assert.equal(owner.status, 200);
  assert.containsSubset(await owner.json(), { kernels: 0 });
}
