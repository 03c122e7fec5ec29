import { OptionsError } from './errors.ts';
import type { CommandRunner } from './runners/runner.ts';
import type { Json } from './state.ts';

/** The person whose server it is. */
export interface SpawnerUser {
  /** The name in the hub; any text. */
  readonly name: string;
  /** The hub's id of the person, where it has one. */
  readonly id?: string;
  /** The operating system's account that the server runs as, where it is not `name`. */
  readonly account?: string;
}

/** What a server has to know of a hub that speaks JupyterHub's REST and OAuth interfaces. */
export interface HubFacts {
  /** The REST interface as seen from the server, as in `http://10.0.0.1:8081/hub/api`. */
  readonly apiUrl: string;
  /** The path below which the hub and all servers stand. Default: `/`. */
  readonly baseUrl?: string;
  /** The URL at which browsers see `baseUrl`, as in `https://hub.example.org/`. */
  readonly publicUrl?: string;
  /** Whether the hub's administrators may open the server. Default: false. */
  readonly adminAccess?: boolean;
  /** Options of the server's cookies, as the hub has them for its own. */
  readonly cookieOptions?: Readonly<Record<string, Json>>;
  /** OAuth facts, where they differ from what JupyterHub would choose. */
  readonly oauth?: {
    /** Default: `jupyterhub-user-NAME` or `jupyterhub-user-NAME-SERVER`. */
    readonly clientId?: string;
    /** Default: the scopes `access:servers` for this server and for this user. */
    readonly accessScopes?: readonly string[];
    /** Default: none. */
    readonly clientAllowedScopes?: readonly string[];
  };
}

/** What a spawner is given by the hub; everything about the site is in its options instead. */
export interface SpawnerContext {
  /** Whose server it is. */
  readonly user: SpawnerUser;
  /** A person may have several servers; '' (the default) is the one without a name. */
  readonly serverName?: string;
  /** Left out by a hub that has no interface for its servers. */
  readonly hub?: HubFacts;
  /** The server's own secret, by which it and the hub know each other. */
  readonly apiToken?: string;
  /** Where commands are run. Default: a `LocalRunner`, one for all spawners. */
  readonly runner?: CommandRunner;
}

/**
 * Checks what a hub gives to a spawner. The token is not enumerable in the result, so that it is
 * not printed by accident.
 *
 * @throws OptionsError
 */
export function checkContext(context: SpawnerContext): SpawnerContext {
  const { user, serverName = '', hub, apiToken } = context ?? {};
  if (!isName(user?.name) || user.name === '') {
    throw new OptionsError('context.user.name', 'a text that is not empty, without NUL characters');
  }
  if (user.account !== undefined && (!isName(user.account) || user.account === '')) {
    throw new OptionsError('context.user.account', 'the name of an account');
  }
  if (!isName(serverName)) {
    throw new OptionsError('context.serverName', "a text; '' is the server without a name");
  }
  if (hub !== undefined && !isWebAddress(hub?.apiUrl)) {
    throw new OptionsError('context.hub.apiUrl', 'an http or https URL');
  }
  if (hub?.publicUrl !== undefined && !isWebAddress(hub.publicUrl)) {
    throw new OptionsError('context.hub.publicUrl', 'an http or https URL');
  }
  if (apiToken !== undefined && !isToken(apiToken)) {
    throw new OptionsError('context.apiToken', 'printable ASCII without blanks');
  }
  const { apiToken: _, ...rest } = context;
  return Object.freeze(
    Object.defineProperty({ ...rest }, 'apiToken', { value: apiToken, enumerable: false }),
  );
}

/** Whether it can stand in an environment, and in a URL, where half a surrogate pair can not. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && !/[\0\p{Surrogate}]/u.test(value);
}

function isWebAddress(value: unknown): boolean {
  return (
    typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
  );
}

function isToken(value: unknown): boolean {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}
