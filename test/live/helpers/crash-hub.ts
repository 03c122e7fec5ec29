import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { SlurmOptions, SystemdOptions } from '../../../lib/generated/options.ts';
import type { ServerStatus } from '../../../lib/supervisor/status.ts';

/** A moment in which a hub kills itself. */
export interface Fault {
  /** `late`: the command is begun, and does its work so much later, when the hub is dead. */
  readonly at: 'before' | 'during' | 'late' | 'after';
  /** What is run then: what makes a job or unit, what ends one, or any command. */
  readonly command: 'submit' | 'cancel' | 'any';
  /** At the how manyth of these commands; 1 is the first. */
  readonly count: number;
  /** In ms: after how much of the command with `during`, and how much before it with `late`. */
  readonly delay: number;
}

/** What spawns the servers, and with which options. */
export type CrashKind =
  | { readonly spawner: 'slurm'; readonly options: Partial<SlurmOptions> }
  | { readonly spawner: 'systemd'; readonly options: Partial<SystemdOptions> };

/** What a `CrashHub` is given. */
export interface CrashHubSetup {
  readonly kind: CrashKind;
  /** Of its store. */
  readonly directory: string;
  /** Where it listens for the calls of its servers. */
  readonly port: number;
  /** From which it makes the tokens of its servers. */
  readonly secret: string;
  readonly seed: number;
  readonly fault?: Fault;
}

/** A server as the hub has it. */
export interface Seen {
  readonly key: string;
  readonly status: ServerStatus;
  readonly tag: string | undefined;
  readonly url: string | undefined;
}

/** What a hub says, one line each. */
export type HubLine =
  /** Its `restore()` has resolved. */
  | { readonly said: 'restored'; readonly servers: readonly Seen[] }
  /** Somebody has the server that answers like that: the start has resolved, and no stop was asked for. */
  | {
      readonly said: 'had';
      readonly key: string;
      readonly tag: string | undefined;
      readonly identity: string;
    }
  /** A stop was asked for. */
  | { readonly said: 'stopping'; readonly key: string }
  | { readonly said: 'stopped'; readonly key: string }
  /** A start has failed for which no stop was asked. */
  | { readonly said: 'failed'; readonly key: string; readonly message: string }
  /** What no hub should have to say. */
  | { readonly said: 'problem'; readonly key: string; readonly message: string }
  | { readonly said: 'status'; readonly key: string; readonly status: ServerStatus }
  | { readonly said: 'stray'; readonly fate: string; readonly message: string }
  | { readonly said: 'warning'; readonly message: string }
  /** It kills itself now. */
  | { readonly said: 'dies' }
  /** It has done what it was asked. */
  | { readonly said: 'done'; readonly servers: readonly Seen[] };

/**
 * What a hub is asked: to start and stop servers all the time, until it dies; to wait until nothing
 * is under way; to start all servers; to stop them all, and end.
 */
export type HubRequest = 'work' | 'rest' | 'fill' | 'empty';

/** In ms: how long a hub may take for anything; a job that has called it in vain may pause for 30 s. */
const patience = 120_000;

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const main = fileURLToPath(new URL('crash-hub-main.ts', import.meta.url));

/** The program of the hub in JavaScript, which starts four times as fast. */
export interface BuiltHub {
  readonly program: string;
  remove(): void;
}

/** Compiles the program of the hub, without checking its types. */
export async function buildHub(): Promise<BuiltHub> {
  const directory = mkdtempSync(join(tmpdir(), 'hubspawner-crash-hub-'));
  const output = join(directory, 'out');
  mkdirSync(output);
  for (const name of ['node_modules', 'schemas', 'package.json']) {
    symlinkSync(join(repository, name), join(output, name));
  }
  const config = join(directory, 'tsconfig.json');
  const compilerOptions = {
    noEmit: false,
    noCheck: true,
    rootDir: repository,
    outDir: output,
    types: [],
  };
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(repository, 'tsconfig.json'),
      compilerOptions,
      include: [],
      files: [main],
    }),
  );
  const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
  await promisify(execFile)(process.execPath, [compiler, '-p', config]);
  return {
    program: join(output, relative(repository, main).replace(/\.ts$/, '.js')),
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/** A hub with a Supervisor, in a process of its own that is there to be killed. */
export class CrashHub {
  /** What it wrote to standard error. */
  stderr = '';
  /** Resolves when it is dead. */
  readonly gone: Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  #answered: (line: HubLine) => void = () => {};

  /** @param hear is called with each line that it says, in their order */
  constructor({ program }: BuiltHub, setup: CrashHubSetup, hear: (line: HubLine) => void) {
    this.#child = spawn(process.execPath, [program], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    // It may be dead when it is spoken to.
    this.#child.stdin.on('error', () => {});
    const lines = createInterface({ input: this.#child.stdout });
    lines.on('line', (text) => {
      const line: HubLine = JSON.parse(text);
      hear(line);
      this.#answered(line);
    });
    this.gone = Promise.all([
      new Promise((resolve) => this.#child.once('close', resolve)),
      new Promise((resolve) => lines.once('close', resolve)),
    ]).then(() => {});
    this.#child.stdin.write(`${JSON.stringify(setup)}\n`);
  }

  /** Asks something of it. */
  ask(request: HubRequest): void {
    this.#child.stdin.write(`${request}\n`);
  }

  /** The servers that it has when it says that; undefined where it dies before, or is mute for long. */
  async when(said: 'restored' | 'done'): Promise<readonly Seen[] | undefined> {
    const line = new Promise<readonly Seen[]>((resolve) => {
      this.#answered = (one) => {
        if (one.said === said) resolve(one.servers);
      };
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        this.stderr += `It has not said '${said}' within ${patience / 1000} s.`;
        resolve(undefined);
      }, patience);
    });
    try {
      return await Promise.race([line, late, this.gone.then(() => undefined)]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills it; resolves when it is dead. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.gone;
  }
}
