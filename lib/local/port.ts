import { createServer } from 'node:net';
import { isShunned } from '../address.ts';
import { StartError } from '../errors.ts';

/** A port that no other server of this process is given until `release()`. */
export interface ReservedPort {
  readonly port: number;
  release(): void;
}

/** Ports whose servers do not listen yet: the system would give them away again. */
const reserved = new Set<number>();

/**
 * Finds a port that is free at an address of this machine.
 *
 * @param wanted a port, or 0 for any
 * @throws StartError if it is in use, or may not be listened on
 */
export async function reservePort(ip: string, wanted: number): Promise<ReservedPort> {
  for (;;) {
    const port = await probe(ip, wanted);
    if (wanted === 0 && isShunned(port)) {
      continue;
    }
    if (!reserved.has(port)) {
      reserved.add(port);
      return { port, release: () => reserved.delete(port) };
    }
    if (wanted !== 0) {
      throw inUse(ip, wanted);
    }
  }
}

function probe(ip: string, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? inUse(ip, wanted)
          : new StartError(
              `No server can listen on port ${wanted} of ${ip} (${error.code}): the option ip has ` +
                'to be an address of this machine, and the option port one that is allowed.',
            ),
      );
    });
    server.listen({ host: ip, port: wanted, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : wanted));
    });
  });
}

function inUse(ip: string, port: number): StartError {
  return new StartError(`The port ${port} of ${ip} is in use by another server.`, {
    retryable: true,
  });
}
