import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { ServerName } from 'hubspawner';

/** In bytes. */
const secretLength = 32;

/**
 * Makes the tokens of servers from a secret of the hub's own. Nothing else has to be kept of them: the
 * same server gets the same token after a restart of the hub. Who has the secret has all of them, so
 * that only the hub's account can read its file, which is made where there is none.
 *
 * @throws Error if the file can't be read or made, or holds something else
 */
export function tokensFrom(file: string): (server: ServerName) => string {
  const secret = secretIn(file);
  return ({ user, serverName }) =>
    createHmac('sha256', secret)
      .update(JSON.stringify([user.name, serverName]))
      .digest('base64url');
}

function secretIn(file: string): Buffer {
  try {
    writeFileSync(file, randomBytes(secretLength), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
      throw error;
    }
  }
  const secret = readFileSync(file);
  if (secret.length !== secretLength) {
    throw new Error(
      `${file} is no secret of this hub. Remove it; servers that run will have to be stopped.`,
    );
  }
  return secret;
}
