import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { hubIdOf, serverOf } from '../../../lib/mark.ts';
import { sleep } from '../../../lib/sleep.ts';
import { parseEntry } from '../../../lib/supervisor/entry.ts';
import { keyOf, readRecord } from '../../../lib/supervisor/record.ts';
import { Chance } from './chance.ts';
import type { BuiltHub, CrashKind, Fault, HubLine, Seen } from './crash-hub.ts';
import { buildHub, CrashHub } from './crash-hub.ts';
import { crashServers, identityOf } from './crash-server.ts';
import { until } from './slurm.ts';

const crashes = Number(process.env['CRASHES'] ?? 200);
const seed = Number(process.env['CRASH_SEED'] ?? randomInt(2 ** 31));

/** In ms: how often it is looked whether a server is there twice. */
const watchInterval = 300;

/** Each how manyth hub lives long enough to clear up what others have left. */
const longLife = 15;

/** How many lines of the hubs an error shows. */
const shownLines = 80;

/** What the servers run on. */
export interface CrashCluster {
  readonly kind: CrashKind;
  /** The marks, or what begins with them, of all jobs or units that live. */
  readonly live: () => Promise<readonly string[]>;
  /** In ms: how long a hub has to live to clear up what was cut off. */
  readonly clearsUpWithin: number;
  /** What is left of servers when none is there any more. */
  readonly remains: () => Promise<readonly string[]>;
}

/** When a hub is killed: by itself, or so many ms after it was started, or was restored. */
type Death =
  | { readonly kind: 'fault'; readonly fault: Fault; readonly delay: number }
  | { readonly kind: 'early' | 'late'; readonly delay: number };

/** A server that a user has. */
interface Had {
  readonly tag: string | undefined;
  readonly identity: string;
}

/** Kills a hub again and again, and looks what becomes of its servers. */
class Ordeal {
  readonly #cluster: CrashCluster;
  readonly #hub: BuiltHub;
  readonly #port: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'hubspawner-crash-store-'));
  readonly #secret = randomBytes(16).toString('hex');
  readonly #hubId: string;
  readonly #chance = new Chance(seed);
  /** By key: the servers that users have, and for which no stop was asked. */
  readonly #had = new Map<string, Had>();
  readonly #problems: string[] = [];
  readonly #counts = new Map([
    ['strays adopted', 0],
    ['strays cancelled', 0],
  ]);
  /** Marks of all servers that users ever had. */
  readonly #tags = new Set<string>();
  readonly #said: string[] = [];
  #life = 0;
  #isOver = false;
  readonly #watching: Promise<void>;

  constructor(cluster: CrashCluster, hub: BuiltHub, port: number) {
    this.#cluster = cluster;
    this.#hub = hub;
    this.#port = port;
    const apiUrl = `http://127.0.0.1:${port}/hub/api`;
    this.#hubId = hubIdOf({ user: { name: 'alice' }, hub: { apiUrl } }) ?? assert.fail();
    this.#watching = this.#watch().catch((error) => this.#problem('all', String(error)));
  }

  /** Kills the hub that often. */
  async crash(times: number): Promise<void> {
    for (let i = 0; i < times; i += 1) {
      const death = this.#nextDeath();
      const { hub, died } = this.#begin(death.kind === 'fault' ? death.fault : undefined);
      if (death.kind === 'early') {
        await Promise.race([hub.gone, sleep(death.delay)]);
      } else if (await this.#restored(hub)) {
        hub.ask('work');
        await Promise.race([hub.gone, sleep(death.delay)]);
      }
      await hub.kill();
      this.#count('kills in all');
      this.#count(
        died() && death.kind === 'fault'
          ? `killed ${death.fault.at} ${death.fault.command}`
          : death.kind === 'early'
            ? 'killed while it was started or restored'
            : 'killed at a random moment',
      );
      assert.equal(hub.stderr, '');
      this.#assertWell();
    }
  }

  /** A last hub has all that there is, and ends it. */
  async end(): Promise<void> {
    const { hub } = this.#begin();
    try {
      assert.isTrue(await this.#restored(hub), 'the last hub died');
      const survivors = await this.#agreement(hub, 'rest');
      this.#count('servers that have survived', survivors);
      assert.equal(await this.#agreement(hub, 'fill'), crashServers.length);
      assert.equal(this.#had.size, crashServers.length);
      assert.deepEqual(await this.#done(hub, 'empty'), []);
      this.#assertWell();
    } finally {
      await hub.kill();
    }
    this.#isOver = true;
    await this.#watching;
    await until('the end of all', async () => (await this.#live()).length === 0);
    assert.deepEqual(await this.#cluster.remains(), []);
    assert.deepEqual(this.#stored(), []);
  }

  /** What was counted, for a person. */
  report(): void {
    for (const [what, count] of [...this.#counts].sort()) {
      console.log(`      ${count} ${what}`);
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#watching;
    rmSync(this.#directory, { recursive: true });
  }

  #nextDeath(): Death {
    const chance = this.#chance;
    if (this.#life % longLife === 0) {
      return { kind: 'late', delay: this.#cluster.clearsUpWithin };
    }
    if (chance.is(0.5)) {
      const command = chance.pick(['submit', 'submit', 'cancel', 'any'] as const);
      const moments = ['before', 'during', 'after'] as const;
      const at = command === 'submit' && chance.is(0.3) ? 'late' : chance.pick(moments);
      const delay = at === 'late' ? 100 + chance.below(1500) : chance.below(30);
      const count = 1 + chance.whole(command === 'any' ? 20 : 2);
      return { kind: 'fault', fault: { at, command, count, delay }, delay: 2000 };
    }
    if (chance.is(0.3)) {
      return { kind: 'early', delay: chance.below(900) };
    }
    return { kind: 'late', delay: chance.below(1200) };
  }

  /** Starts a hub. */
  #begin(fault?: Fault): { readonly hub: CrashHub; readonly died: () => boolean } {
    this.#life += 1;
    let died = false;
    const setup = {
      kind: this.#cluster.kind,
      directory: this.#directory,
      port: this.#port,
      secret: this.#secret,
      seed: this.#chance.whole(2 ** 31),
      ...(fault && { fault }),
    };
    const hub = new CrashHub(this.#hub, setup, (line) => {
      died ||= line.said === 'dies';
      this.#hear(line);
    });
    return { hub, died: () => died };
  }

  /** Waits until a hub is there, and looks whether it has what it should; false where it dies before. */
  async #restored(hub: CrashHub): Promise<boolean> {
    const servers = await hub.when('restored');
    if (servers === undefined) {
      return false;
    }
    for (const { status } of servers) {
      this.#count(
        status === 'ready' ? 'ready servers taken over' : `servers ${status} gone on with`,
      );
    }
    await this.#check(servers);
    return true;
  }

  /** Every server that a user has is there, the same as before, and what is ready answers. */
  async #check(servers: readonly Seen[]): Promise<void> {
    for (const [key, { tag }] of this.#had) {
      const seen = servers.find((one) => one.key === key);
      if (seen?.status !== 'ready' || seen.tag !== tag) {
        this.#problem(key, `it was lost: had ${tag}, seen ${JSON.stringify(seen)}`);
      }
    }
    const ready = servers.filter(({ status }) => status === 'ready');
    await Promise.all(
      ready.map(async ({ key, tag = '', url = '' }) => {
        try {
          const identity = await identityOf(url);
          // A user had it before: the stop that was asked for since is lost.
          if (this.#tags.has(tag)) {
            this.#have(key, { tag, identity });
          }
        } catch (error) {
          this.#problem(key, `it is ready, and does not answer: ${error}`);
        }
      }),
    );
  }

  /**
   * Asks a hub; then it, its store and the cluster have the same servers, each once.
   *
   * @returns how many
   */
  async #agreement(hub: CrashHub, request: 'rest' | 'fill'): Promise<number> {
    const servers = await this.#done(hub, request);
    await this.#check(servers);
    const tags = servers.map(({ tag }) => tag).sort();
    // Strays may be about to be dealt with.
    await until('what lives is what the hub has', async () => {
      const live = (await this.#live()).sort();
      return JSON.stringify(live) === JSON.stringify(tags);
    }).catch(async (cause) =>
      this.#problem('all', `${cause}: live ${await this.#live()}, known ${tags}`),
    );
    assert.deepEqual(this.#stored().sort(), tags);
    this.#assertWell();
    return tags.length;
  }

  async #done(hub: CrashHub, request: 'rest' | 'fill' | 'empty'): Promise<readonly Seen[]> {
    const done = hub.when('done');
    hub.ask(request);
    return (await done) ?? assert.fail(`the hub died: ${hub.stderr}\n${this.#lastLines}`);
  }

  #hear(line: HubLine): void {
    this.#said.push(`${this.#life} ${new Date().toISOString().slice(17)} ${JSON.stringify(line)}`);
    switch (line.said) {
      case 'had':
        this.#have(line.key, line);
        return;
      case 'stopping':
        this.#had.delete(line.key);
        this.#count('stops');
        return;
      case 'problem':
        this.#problem(line.key, line.message);
        return;
      case 'failed':
        this.#count(`failed: ${line.message.replace(/[0-9a-f]{12}|\d+/g, '…').slice(0, 100)}`);
        return;
      case 'stray':
        this.#count(`strays ${line.fate}`);
        return;
      case 'warning':
        this.#count(`warning: ${line.message.replace(/[0-9a-f]{12}|\d+/g, '…').slice(0, 100)}`);
    }
  }

  #have(key: string, { tag, identity }: Had): void {
    const before = this.#had.get(key);
    if (tag === undefined || (before && (before.tag !== tag || before.identity !== identity))) {
      this.#problem(key, `it is another: ${JSON.stringify([before, { tag, identity }])}`);
    }
    if (tag !== undefined && !this.#tags.has(tag)) {
      this.#tags.add(tag);
      this.#count('servers that a user had');
    }
    this.#had.set(key, { tag, identity });
  }

  /** Looks again and again whether a server is there twice. */
  async #watch(): Promise<void> {
    while (!this.#isOver) {
      const seen = new Map<string, string>();
      for (const tag of await this.#live()) {
        const { user, serverName } = serverOf(tag, this.#hubId) ?? assert.fail(tag);
        const key = keyOf(user, serverName);
        const other = seen.get(key);
        if (other !== undefined) {
          this.#problem(key, `it is there twice: ${other}, ${tag}`);
        }
        seen.set(key, tag);
      }
      await sleep(watchInterval);
    }
  }

  /** The marks of what lives of this hub. */
  async #live(): Promise<string[]> {
    return (await this.#cluster.live()).flatMap((text) => {
      const [tag = ''] = text.split(' ');
      return serverOf(tag, this.#hubId) === undefined ? [] : [tag];
    });
  }

  /** The marks that the store has; every file of it must be one that can be read. */
  #stored(): string[] {
    const files = readdirSync(this.#directory).filter((name) => !name.startsWith('lock'));
    return files.map((name) => {
      const entry = parseEntry(readFileSync(join(this.#directory, name)), name);
      assert(typeof entry === 'object', `${name}: ${entry}`);
      const { state } = readRecord(entry.key, entry.value);
      assert(typeof state === 'object' && state !== null);
      const { tag, description }: { tag?: string; description?: string } = state;
      return (tag ?? description ?? '').split(' ')[0] ?? '';
    });
  }

  #count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  #problem(key: string, message: string): void {
    this.#problems.push(`${key}: ${message}`);
  }

  #assertWell(): void {
    assert.deepEqual(this.#problems, [], this.#lastLines);
  }

  /** What was said last, with the number of the hub and the seconds. */
  get #lastLines(): string {
    return `${this.#said.slice(-shownLines).join('\n')}\n`;
  }
}

/** Tests that a hub which dies all the time loses no server, and none twice. */
export function itSurvivesCrashes(cluster: () => CrashCluster): void {
  it(`loses no server and doubles none, killed ${crashes} times`, async () => {
    console.log(`      seed ${seed}`);
    const hub = await buildHub();
    const ordeal = new Ordeal(cluster(), hub, await freePort());
    const began = Date.now();
    try {
      await ordeal.crash(crashes);
      await ordeal.end();
    } finally {
      ordeal.report();
      console.log(`      ${Math.round((Date.now() - began) / 1000)} s`);
      await ordeal.close();
      hub.remove();
    }
  }).timeout(crashes * 6000 + 120_000);
}

/** A port that the system gives to nobody who asks for any. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 30_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isFree) {
      await new Promise((resolve) => server.close(resolve));
      return port;
    }
  }
}
