import type { HubFacts, SpawnerContext } from './context.ts';
import { messageOf, OptionsError } from './errors.ts';
import type { SpawnerOptions } from './generated/options.ts';
import { kindOf } from './options-error.ts';
import type { Spawner } from './spawner.ts';
import { parseTemplate, renderArguments } from './template.ts';
import { bytes } from './units.ts';

/** The path below which a server answers, as in `/user/alice/lab/`; `/` without a hub. */
export function servicePrefix({
  hub,
  user,
  serverName = '',
}: Pick<SpawnerContext, 'user' | 'serverName'> & {
  readonly hub?: Pick<HubFacts, 'baseUrl'>;
}): string {
  if (hub === undefined) {
    return '/';
  }
  const server = serverName === '' ? '' : `${urlSegment(serverName)}/`;
  return `${baseUrl(hub.baseUrl)}user/${urlSegment(user.name)}/${server}`;
}

/**
 * What the single-user server finds in its environment, without the option `environment`: what
 * `Spawner.get_env` of JupyterHub 5 gives, where the hub has given the facts.
 *
 * @param port as it is to stand in JUPYTERHUB_SERVICE_URL
 */
export function serverEnvironment(
  context: SpawnerContext,
  options: SpawnerOptions,
  port: string,
): Record<string, string> {
  return {
    ...kept(options.envKeep),
    ...hubFacts(context),
    ...(context.hub && {
      JUPYTERHUB_SERVICE_URL: `http://${urlHost(options.ip)}:${port}${servicePrefix(context)}`,
    }),
    ...limits(options),
    ...settings(context, options),
  };
}

/**
 * The option `environment`, with its functions called.
 *
 * @throws OptionsError if a function throws, or does not return a text
 */
export function chosenEnvironment(spawner: Spawner): Record<string, string> {
  return Object.fromEntries(
    Object.entries(spawner.options.environment).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : textFrom(value, name, spawner),
    ]),
  );
}

function textFrom(make: (spawner: Spawner) => string, name: string, spawner: Spawner): string {
  const [option, expected] = [`environment.${name}`, 'a function that returns a text without NUL'];
  let text: unknown;
  try {
    text = make(spawner);
  } catch (cause) {
    const why = messageOf(cause);
    const message = `The function of the option ${option} failed: ${why}`;
    throw new OptionsError(option, expected, message, { cause });
  }
  if (text instanceof Promise) {
    // It is refused below; that it may fail too is no news.
    text.catch(() => {});
  }
  if (typeof text !== 'string' || text.includes('\0')) {
    throw new OptionsError(
      option,
      expected,
      `The option ${option} must be ${expected}; it has returned ${kindOf(text)}.`,
    );
  }
  return text;
}

/** The variables of this process that are named and set. */
export function kept(names: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of names) {
    // `process.env` has a prototype, whose properties are no variables.
    const value = Object.hasOwn(process.env, name) ? process.env[name] : undefined;
    if (value !== undefined) {
      environment[name] = value;
    }
  }
  return environment;
}

function hubFacts(context: SpawnerContext): Record<string, string> {
  const { hub, user, serverName = '', apiToken } = context;
  if (hub === undefined) {
    return {};
  }
  const prefix = servicePrefix(context);
  const apiUrl = hub.apiUrl.replace(/\/+$/, '');
  const accessScopes = JSON.stringify(
    hub.oauth?.accessScopes ?? [
      `access:servers!server=${user.name}/${serverName}`,
      `access:servers!user=${user.name}`,
    ],
  );
  return {
    ...(apiToken !== undefined && { JUPYTERHUB_API_TOKEN: apiToken, JPY_API_TOKEN: apiToken }),
    ...(hub.adminAccess === true && { JUPYTERHUB_ADMIN_ACCESS: '1' }),
    ...(hub.cookieOptions && { JUPYTERHUB_COOKIE_OPTIONS: JSON.stringify(hub.cookieOptions) }),
    JUPYTERHUB_API_URL: apiUrl,
    JUPYTERHUB_ACTIVITY_URL: `${apiUrl}/users/${urlSegment(user.name)}/activity`,
    JUPYTERHUB_BASE_URL: baseUrl(hub.baseUrl),
    JUPYTERHUB_CLIENT_ID:
      hub.oauth?.clientId ??
      [
        'jupyterhub-user',
        percentEncoded(user.name),
        ...(serverName === '' ? [] : [percentEncoded(serverName)]),
      ].join('-'),
    JUPYTERHUB_OAUTH_CALLBACK_URL: `${prefix}oauth_callback`,
    JUPYTERHUB_OAUTH_SCOPES: accessScopes,
    JUPYTERHUB_OAUTH_ACCESS_SCOPES: accessScopes,
    JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES: JSON.stringify(hub.oauth?.clientAllowedScopes ?? []),
    JUPYTERHUB_USER: user.name,
    JUPYTERHUB_SERVER_NAME: serverName,
    JUPYTERHUB_SERVICE_PREFIX: prefix,
    ...publicUrls(hub.publicUrl, prefix, baseUrl(hub.baseUrl)),
  };
}

/** JUPYTERHUB_HOST is empty where browsers find hub and server at the same origin. */
function publicUrls(
  publicUrl: string | undefined,
  prefix: string,
  base: string,
): Record<string, string> {
  if (publicUrl === undefined) {
    return { JUPYTERHUB_HOST: '' };
  }
  const { origin } = new URL(publicUrl);
  return {
    JUPYTERHUB_HOST: origin,
    JUPYTERHUB_PUBLIC_URL: `${origin}${prefix}`,
    JUPYTERHUB_PUBLIC_HUB_URL: `${origin}${base}hub/`,
  };
}

function limits(options: SpawnerOptions): Record<string, string> {
  const { memLimit, memGuarantee, cpuLimit, cpuGuarantee } = options;
  return {
    ...(memLimit !== undefined && { MEM_LIMIT: String(bytes(memLimit)) }),
    ...(memGuarantee !== undefined && { MEM_GUARANTEE: String(bytes(memGuarantee)) }),
    ...(cpuLimit !== undefined && { CPU_LIMIT: String(cpuLimit) }),
    ...(cpuGuarantee !== undefined && { CPU_GUARANTEE: String(cpuGuarantee) }),
  };
}

function settings(context: SpawnerContext, options: SpawnerOptions): Record<string, string> {
  const { rootDir, defaultUrl } = options;
  return {
    ...(rootDir !== undefined && { JUPYTERHUB_ROOT_DIR: text(context, 'rootDir', rootDir) }),
    ...(defaultUrl !== undefined && {
      JUPYTERHUB_DEFAULT_URL: text(context, 'defaultUrl', defaultUrl),
    }),
    ...(options.debug && { JUPYTERHUB_DEBUG: '1' }),
    ...(options.disableUserConfig && { JUPYTERHUB_DISABLE_USER_CONFIG: '1' }),
  };
}

function text({ user, serverName = '' }: SpawnerContext, option: string, template: string): string {
  const view = { username: user.name, account: user.account ?? user.name, servername: serverName };
  const [rendered] = renderArguments([parseTemplate(template, option)], view);
  if (rendered === undefined) {
    throw new OptionsError(option, 'a template that does not come out empty');
  }
  return rendered;
}

/** As JupyterHub writes names in URLs, where an @ may stand. */
function urlSegment(name: string): string {
  return percentEncoded(name).replaceAll('%40', '@');
}

/** As JupyterHub writes names in cookies: letters, digits and `_.-~` as they are, and nothing else. */
function percentEncoded(name: string): string {
  return encodeURIComponent(name).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A host in front of `:port`: an address of IPv6 stands in brackets there. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function baseUrl(path = '/'): string {
  const inner = path.replace(/^\/+|\/+$/g, '');
  return inner === '' ? '/' : `/${inner}/`;
}
