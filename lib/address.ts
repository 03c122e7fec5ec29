import type { SpawnerContext } from './context.ts';
import { servicePrefix } from './environment.ts';
import { StateError } from './errors.ts';
import type { ServerAddress } from './events.ts';

/** The address of a server that listens there. */
export function serverAddress(context: SpawnerContext, host: string, port: number): ServerAddress {
  const authority = host.includes(':') ? `[${host}]` : host;
  return { host, port, url: `http://${authority}:${port}${servicePrefix(context)}` };
}

/** Where a server is found that listens at an address of this machine, or at all of them. */
export function reachableHost(ip: string): string {
  return loopback[ip] ?? ip;
}

const loopback: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * The address in a saved state; undefined where there is none.
 *
 * @throws StateError
 */
export function addressIn(
  fields: Readonly<Record<string, unknown>>,
  context: SpawnerContext,
): ServerAddress | undefined {
  const { host, port } = fields;
  if (host === undefined && port === undefined) {
    return undefined;
  }
  if (typeof host !== 'string' || !/^[^\s/@?#\\\p{Cc}]+$/u.test(host) || !isPort(port)) {
    throw new StateError('The host or the port of the saved state can not be read.');
  }
  return serverAddress(context, host, port);
}

/** Whether it is a number from 1 to 65535. */
export function isPort(port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65535;
}
