// A hub that starts and stops servers all the time, in a process of its own: see `crash-hub.ts`,
// whose requests it reads from standard input, and to which it speaks in lines of JSON.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { SlurmSpawner } from '../../../lib/batch/slurm.ts';
import { endpointHandler } from '../../../lib/endpoint/handler.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { CommandRunner } from '../../../lib/runners/runner.ts';
import { SudoRunner } from '../../../lib/runners/sudo.ts';
import { sleep } from '../../../lib/sleep.ts';
import { FileStore } from '../../../lib/supervisor/file-store.ts';
import { keyOf } from '../../../lib/supervisor/record.ts';
import { Supervisor } from '../../../lib/supervisor/supervisor.ts';
import { SystemdSpawner } from '../../../lib/systemd/spawner.ts';
import { Chance } from './chance.ts';
import type { CrashHubSetup, Fault, HubLine, HubRequest, Seen } from './crash-hub.ts';
import { crashServers, identityOf } from './crash-server.ts';
import { SystemdRunner } from './systemd-runner.ts';

/** How many are at work at once. */
const people = 4;

/** Written at once: what is said is heard, whatever comes next. */
function say(line: HubLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function die(): void {
  say({ said: 'dies' });
  process.kill(process.pid, 'SIGKILL');
}

/** Kills its process at a certain command. */
class FaultyRunner implements CommandRunner {
  readonly #runner: CommandRunner;
  readonly #fault: Fault | undefined;
  #count = 0;

  constructor(runner: CommandRunner, fault: Fault | undefined) {
    this.#runner = runner;
    this.#fault = fault;
  }

  async run(...args: Parameters<CommandRunner['run']>): ReturnType<CommandRunner['run']> {
    const fault = this.#fault;
    if (fault === undefined || !isOne(fault.command, args[0])) {
      return this.#runner.run(...args);
    }
    this.#count += 1;
    if (this.#count !== fault.count) {
      return this.#runner.run(...args);
    }
    const [argv, options] = args;
    switch (fault.at) {
      case 'before':
        die();
        break;
      case 'during':
        setTimeout(die, fault.delay);
        break;
      case 'late': {
        const wait = ['/bin/sh', '-c', 'sleep "$0"; exec "$@"', String(fault.delay / 1000)];
        // By then it has begun, and has its input.
        setTimeout(die, 100);
        return this.#runner.run([...wait, ...argv], options);
      }
    }
    const result = await this.#runner.run(...args);
    if (fault.at === 'after') {
      die();
    }
    return result;
  }
}

function isOne(command: Fault['command'], argv: readonly string[]): boolean {
  const [program = ''] = argv;
  switch (command) {
    case 'submit':
      return program === 'sbatch' || program === 'systemd-run';
    case 'cancel':
      return program === 'scancel' || (program === 'systemctl' && argv.includes('stop'));
    case 'any':
      return true;
  }
}

/** A server, and how often it was asked to stop. */
interface Wanted {
  readonly user: string;
  readonly serverName: string;
  readonly key: string;
  stops: number;
}

const servers: readonly Wanted[] = crashServers.map(({ user, serverName }) => ({
  user,
  serverName,
  key: keyOf(user, serverName),
  stops: 0,
}));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const first = await lines.next();
const setup: CrashHubSetup = JSON.parse(String(first.value));
const { kind, directory, port, secret, seed, fault } = setup;
const chance = new Chance(seed);

const supervisor = new Supervisor({
  store: new FileStore(directory),
  hub: { apiUrl: `http://127.0.0.1:${port}/hub/api` },
  runner: new FaultyRunner(
    kind.spawner === 'slurm' ? new SudoRunner() : new SystemdRunner(),
    fault,
  ),
  apiToken: ({ user, serverName }) =>
    createHmac('sha256', secret).update(keyOf(user.name, serverName)).digest('hex'),
  pollInterval: 300,
  healthInterval: 0,
  retryDelay: 500,
  failureLimit: 1000,
  spawnerFailureLimit: 1000,
});
if (kind.spawner === 'slurm') {
  supervisor.register('slurm', SlurmSpawner, kind.options);
} else {
  supervisor.register('systemd', SystemdSpawner, kind.options);
}

let isUp = false;
const endpoint = endpointHandler(() => supervisor.spawners);
const server = createServer((req, res) => {
  if (isUp) {
    endpoint.node(req, res);
  } else {
    res.writeHead(503).end();
  }
});
await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

supervisor.on('status', ({ user, serverName, status }) =>
  say({ said: 'status', key: keyOf(user.name, serverName), status }),
);
supervisor.on('stray', ({ user, serverName, id, fate, reason }) =>
  say({ said: 'stray', fate, message: `${keyOf(user, serverName)} ${id}: ${reason}` }),
);
supervisor.on('warning', ({ code, message }) =>
  say({ said: 'warning', message: `${code}: ${message}` }),
);
supervisor.on('exited', (one, { message }) => {
  const key = keyOf(one.user.name, one.serverName);
  if (one.status !== 'stopping') {
    say({ said: 'problem', key, message: `it has ended by itself: ${message}` });
  }
});

function seen(): Seen[] {
  return supervisor.list().map(({ user, serverName, status, spawner, address }) => ({
    key: keyOf(user.name, serverName),
    status,
    tag: spawner?.tag,
    url: address?.url,
  }));
}

async function start(wanted: Wanted): Promise<void> {
  const { user, serverName, key, stops } = wanted;
  let said: 'failed' | 'problem' = 'failed';
  try {
    const { url } = await supervisor.start({ user, serverName });
    // From now on it has to answer.
    said = 'problem';
    const tag = supervisor.find(user, serverName)?.spawner?.tag;
    const identity = await identityOf(url);
    if (wanted.stops === stops) {
      say({ said: 'had', key, tag, identity });
    }
  } catch (error) {
    if (wanted.stops === stops) {
      say({ said, key, message: messageOf(error) });
    }
  }
}

async function stop(wanted: Wanted): Promise<void> {
  const { user, serverName, key } = wanted;
  wanted.stops += 1;
  say({ said: 'stopping', key });
  try {
    await supervisor.stop(user, serverName, { now: chance.is(0.3) });
    say({ said: 'stopped', key });
  } catch (error) {
    say({ said: 'problem', key, message: `the stop has failed: ${messageOf(error)}` });
  }
}

/** Somebody who can't wait. */
async function work(): Promise<never> {
  for (;;) {
    const wanted = chance.pick(servers);
    const done = chance.is(0.65) ? start(wanted) : stop(wanted);
    await Promise.race([done, sleep(chance.below(2000))]);
    await sleep(chance.below(200));
  }
}

/** Waits until nothing is under way. */
async function settled(): Promise<void> {
  while (supervisor.list().some(({ status }) => status !== 'ready')) {
    await sleep(50);
  }
}

async function answer(request: HubRequest): Promise<void> {
  switch (request) {
    case 'work':
      await Promise.all(Array.from({ length: people }, work));
      return;
    case 'rest':
      await settled();
      break;
    case 'fill':
      await Promise.all(servers.map(start));
      break;
    case 'empty':
      await Promise.all(servers.map(stop));
      await supervisor.close();
      server.close();
  }
  say({ said: 'done', servers: seen() });
}

/** What a line asks; undefined for no request. */
function requestIn(line: string): HubRequest | undefined {
  return (['work', 'rest', 'fill', 'empty'] as const).find((request) => request === line);
}

await supervisor.restore();
isUp = true;
say({ said: 'restored', servers: seen() });
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  const request = requestIn(line);
  if (request !== undefined) {
    void answer(request);
  }
}
// Nobody is there any more who would kill it.
process.exit();
