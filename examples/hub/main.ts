/**
 * A small hub: people log in, and each starts servers of their own, on this machine or as Slurm jobs.
 *
 *     npm start -- --port 8000 --state /var/lib/hub
 *
 * `--port` (or PORT; default 8000, 0 takes one that is free) is on 127.0.0.1. `--state` (default
 * `hubspawner-hub` in the user's folder for states) is a folder that keeps the servers over a restart
 * of the hub, and the secret from which their tokens are made: only the hub's account can read it.
 *
 * The hub has no passwords, runs everything as one account, and its nodes of Slurm have to be this
 * machine: a hub for other people needs a login, accounts, and an address that nodes can reach.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createHub } from './hub.ts';
import { chooseProgram } from './kinds.ts';

try {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, state: { type: 'string' } },
  });
  const port = portOf(values.port ?? process.env['PORT'] ?? '8000');
  const folder = resolve(values.state ?? defaultFolder());
  const program = chooseProgram();
  const hub = await createHub({ port, folder, program });
  console.log(`Open ${hub.url}`);
  console.log(`People get ${program.name}. Their servers are remembered in ${folder}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      const { alive } = hub;
      await hub.close();
      console.log(
        alive === 0
          ? '\nThe hub has ended. No server is running.'
          : `\nThe hub has ended. Servers that go on running: ${alive}. Start the hub again to get back to them.`,
      );
      process.exit(0);
    });
  }
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65_535) {
    throw new Error(`The port must be a number from 0 to 65535, not ${JSON.stringify(text)}.`);
  }
  return port;
}

function defaultFolder(): string {
  const states = process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  return join(states, 'hubspawner-hub');
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  return 'code' in error && error.code === 'EADDRINUSE'
    ? `${error.message}. Choose another port, as in: npm start -- --port 8001`
    : error.message;
}
