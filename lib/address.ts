import type { SpawnerContext } from './context.ts';
import { servicePrefix, urlHost } from './environment.ts';
import { StateError } from './errors.ts';
import type { ServerAddress } from './events.ts';

/** The address of a server that listens there. */
export function serverAddress(context: SpawnerContext, host: string, port: number): ServerAddress {
  return { host, port, url: `http://${urlHost(host)}:${port}${servicePrefix(context)}` };
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

/** From 1024 on; those below are nobody's to choose. */
const shunned = new Set([
  ...[1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566],
  ...[6665, 6666, 6667, 6668, 6669, 6679, 6697, 10_080],
]);

/** Whether browsers and `fetch()` refuse to go to a port ("bad port", https://fetch.spec.whatwg.org). */
export function isShunned(port: number): boolean {
  return shunned.has(port);
}
