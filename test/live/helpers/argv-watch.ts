import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What an `ArgvWatch` has seen. */
export interface ArgvSightings {
  /** How often it looked at all processes. */
  readonly rounds: number;
  /** The arguments with the secret in them, each once. */
  readonly found: readonly string[];
}

/** Looks for a secret in the arguments of all processes, every few ms, in a process of its own. */
export class ArgvWatch {
  readonly #child: ChildProcessWithoutNullStreams;
  #output = '';

  /** Resolves when it watches. */
  static async begin(secret: string): Promise<ArgvWatch> {
    const watch = new ArgvWatch(secret);
    await new Promise((resolve) => watch.#child.stdout.once('data', resolve));
    return watch;
  }

  private constructor(secret: string) {
    const main = fileURLToPath(new URL('watch-argv.mjs', import.meta.url));
    this.#child = spawn(process.execPath, [main], { env: { SECRET: secret } });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
  }

  async end(): Promise<ArgvSightings> {
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin.end();
    await closed;
    const sightings: ArgvSightings = JSON.parse(this.#output.replace('watching\n', ''));
    return sightings;
  }
}
