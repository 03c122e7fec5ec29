import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { SpawnerContext } from '../../../lib/context.ts';
import type { SlurmOptions } from '../../../lib/generated/options.ts';
import { until } from './slurm.ts';

/** What a `ChildHub` is given; functions can't be. */
export interface ChildHubSetup {
  /** The account that it becomes. Default: root. */
  readonly account?: string;
  readonly runner: 'sudo' | 'local';
  /** Without `hub`, the process is the hub that its server calls. */
  readonly context: Omit<SpawnerContext, 'runner'>;
  readonly options: Partial<SlurmOptions>;
}

/** The error of a call, as far as JSON goes. */
export class ChildError extends Error {
  readonly error: Readonly<Record<string, unknown>>;

  constructor(error: Readonly<Record<string, unknown>>) {
    super(String(error['message']));
    this.error = error;
  }
}

/** What a call to a spawner in a child process may ask. */
type Question = 'start' | 'poll' | 'stop' | 'state' | 'load';

/** A hub with one SlurmSpawner in a process of its own, which can have another account, and die. */
export class ChildHub {
  /** What it wrote to standard error. */
  stderr = '';
  /** What its spawner has emitted. */
  readonly events: { readonly event: string; readonly detail: unknown }[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers = new Map<string, (line: Readonly<Record<string, unknown>>) => void>();
  readonly #gone: Promise<unknown>;

  constructor(setup: ChildHubSetup, env: Readonly<Record<string, string>> = {}) {
    const main = fileURLToPath(new URL('child-hub-main.ts', import.meta.url));
    this.#child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), main], {
      env: { PATH: '/usr/bin:/bin', ...env },
    });
    this.#gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const said: Readonly<Record<string, unknown>> = JSON.parse(line);
      if (typeof said['event'] === 'string') {
        this.events.push({ event: said['event'], detail: said['detail'] });
      } else {
        this.#answers.get(String(said['answer']))?.(said);
      }
    });
    const { apiToken } = setup.context;
    // The token is not enumerable in a checked context.
    this.#say({ setup: { ...setup, context: { ...setup.context, apiToken } } });
  }

  /** Calls the method of its spawner; rejects with a `ChildError` if that throws. */
  async ask(question: Question, detail?: unknown): Promise<unknown> {
    const answer = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      this.#answers.set(question, resolve);
      void this.#gone.then(() => reject(new Error(`The hub died: ${this.stderr}`)));
    });
    this.#say({ ask: question, detail });
    const { result, error } = await answer;
    if (typeof error === 'object' && error !== null) {
      throw new ChildError({ ...error });
    }
    return result;
  }

  /** Waits for an event of its spawner, and gives what came with it the first time. */
  async event(name: string): Promise<unknown> {
    const find = () => this.events.find(({ event }) => event === name);
    try {
      await until(`the event ${name}`, () => find() !== undefined);
    } catch (error) {
      throw new Error(`${error}: ${JSON.stringify(this.events)}${this.stderr}`);
    }
    return find()?.detail;
  }

  /** Lets it come to its end, or kills it; resolves when it is gone. */
  async end(how: 'gently' | 'at once' = 'gently'): Promise<void> {
    if (how === 'gently') {
      this.#child.stdin.end();
    } else {
      this.#child.kill('SIGKILL');
    }
    await this.#gone;
  }

  #say(line: Readonly<Record<string, unknown>>): void {
    this.#child.stdin.write(`${JSON.stringify(line)}\n`);
  }
}
