// A hub of one server, in a process of its own: see `child-hub.ts`, which speaks with it by lines
// of JSON on standard input and standard output.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { SlurmSpawner } from '../../../lib/batch/slurm.ts';
import { endpointHandler } from '../../../lib/endpoint/handler.ts';
import { LocalRunner } from '../../../lib/runners/local.ts';
import { SudoRunner } from '../../../lib/runners/sudo.ts';
import type { ChildHubSetup } from './child-hub.ts';

function say(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

let spawner: SlurmSpawner | undefined;

async function setUp({ account, runner, context, options }: ChildHubSetup): Promise<void> {
  const endpoint = endpointHandler(() => (spawner === undefined ? [] : [spawner]));
  const server = createServer(endpoint.node);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  spawner = new SlurmSpawner(
    {
      hub: { apiUrl: `http://127.0.0.1:${port}/hub/api` },
      ...context,
      runner: runner === 'sudo' ? new SudoRunner() : new LocalRunner(),
    },
    options,
  );
  for (const event of ['state', 'progress', 'submitted', 'running', 'ready', 'exited'] as const) {
    spawner.on(event, (detail: unknown) => say({ event, detail }));
  }
  if (account !== undefined) {
    // Everything is loaded now, from files that the account need not be able to read.
    process.setgroups?.([account]);
    process.setgid?.(account);
    process.setuid?.(account);
  }
}

async function answer({ ask, detail }: { readonly ask: string; readonly detail?: unknown }) {
  switch (ask) {
    case 'start':
      return spawner?.start();
    case 'poll':
      return spawner?.poll();
    case 'stop':
      return spawner?.stop();
    case 'state':
      return spawner?.getState();
    case 'load':
      return spawner?.loadState(detail);
    default:
      throw new Error(`What is ${ask}?`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.setup !== undefined) {
    await setUp(request.setup);
  } else {
    answer(request).then(
      (result) => say({ answer: request.ask, result: result ?? null }),
      (error) => say({ answer: request.ask, error: { ...error, message: String(error) } }),
    );
  }
}
process.exit();
