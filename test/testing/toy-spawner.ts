import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { throwIfAborted } from '../../lib/abort.ts';
import { StartError, StateError } from '../../lib/errors.ts';
import type { ExitStatus, ServerAddress } from '../../lib/events.ts';
import type { SpawnerOptions } from '../../lib/generated/options.ts';
import { sleep } from '../../lib/sleep.ts';
import { Spawner } from '../../lib/spawner.ts';
import type { Json } from '../../lib/state.ts';

interface Process {
  readonly server: Server;
  exit: ExitStatus | null;
}

/** The servers that run, by their ids; they outlive their spawners, as real ones do. */
const machine = new Map<string, Process>();
let started = 0;

const exitOf = (code: number): ExitStatus => ({
  code,
  signal: null,
  cause: code === 0 ? 'cancelled' : 'failed',
  message: `The server ended with exit code ${code}.`,
});

/** Ends a server without its spawner. */
export async function kill(id: unknown): Promise<void> {
  const found = machine.get(String(id));
  if (found !== undefined) {
    found.exit ??= exitOf(0);
    found.server.closeAllConnections();
    found.server.close();
  }
}

/** Rejects when a server has ended. */
async function death(process: Process, signal: AbortSignal): Promise<never> {
  while (process.exit === null) {
    throwIfAborted(signal);
    await sleep(5, signal);
  }
  throw new StartError(process.exit.message, { exit: process.exit, log: 'It ended.\n' });
}

/**
 * A small correct spawner, whose servers are web servers in this process. What it does is told by the
 * first word of `cmd`: serve, fail or wait.
 */
export class ToySpawner extends Spawner<SpawnerOptions> {
  static override readonly kind: string = 'toy';
  protected id: string | undefined;

  start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, async (start) => {
      start.report(10, 'Starting');
      const id = `toy-${++started}`;
      const server = createServer((_, response) => response.end('ok'));
      const process: Process = { server, exit: null };
      machine.set(id, process);
      this.id = id;
      this.stateChanged();
      try {
        await this.untilSaved();
        this.announce('submitted', { id });
        if (this.options.cmd[0] === 'fail') process.exit = exitOf(3);
        if (this.options.cmd[0] !== 'serve') return await death(process, start.signal);
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        this.announce('running', { host: '127.0.0.1' });
        const address = this.setAddress('127.0.0.1', (server.address() as AddressInfo).port);
        return await this.waitUntilReady(start, address, (inner) => death(process, inner));
      } catch (error) {
        if (!this.detached) {
          await kill(id);
          await this.ended(process.exit ?? exitOf(0));
        }
        throw error;
      }
    });
  }

  async poll(): Promise<ExitStatus | null> {
    const exit = this.id === undefined ? undefined : machine.get(this.id)?.exit;
    if (exit !== undefined && exit !== null) {
      await this.ended(exit);
    }
    return this.exit ?? null;
  }

  stop(): Promise<void> {
    return this.runStop(async () => {
      await kill(this.id);
      await this.ended(exitOf(0));
    });
  }

  protected override saveFields(): Record<string, Json> {
    return this.id === undefined ? {} : { id: this.id };
  }

  protected override loadFields({ id }: Readonly<Record<string, unknown>>): void {
    if (typeof id !== 'string') {
      throw new StateError('The saved state has no id.');
    }
    this.id = id;
  }

  protected override clearFields(): void {
    this.id = undefined;
  }
}
