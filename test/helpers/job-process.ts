import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';

/** A job script, and what it runs with. */
export interface JobScript {
  readonly text: string;
  /** Where the script is put; the file must not exist. */
  readonly file: string;
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The working directory. */
  readonly directory: string;
  readonly output: string;
  /** Default: `output`. */
  readonly error?: string;
}

/** How a script ended; numbers, as batch systems have them, 0 for none. */
export interface ScriptEnd {
  readonly exitCode: number;
  readonly signal: number;
}

/** A job script that runs on this machine, as the leader of a process group. */
export class JobProcess {
  /** When the script has ended and nothing of its group is left: batch systems kill the rest. */
  readonly ended: Promise<ScriptEnd>;
  readonly #child: ChildProcess;

  /** Throws the system's error where an output can't be opened. */
  constructor({ text, file, environment, directory, output, error = output }: JobScript) {
    writeFileSync(file, text, { mode: 0o700, flag: 'wx' });
    const [, interpreter = '/bin/sh', argument] = /^#!\s*(\S+)(?:[ \t]+(\S+))?/.exec(text) ?? [];
    const args = argument === undefined ? [file] : [argument, file];
    const stdout = openSync(output, 'w');
    const stderr = error === output ? stdout : openSync(error, 'w');
    try {
      this.#child = spawn(interpreter, args, {
        cwd: directory,
        detached: true,
        env: environment,
        stdio: ['ignore', stdout, stderr],
      });
    } finally {
      for (const file of new Set([stdout, stderr])) closeSync(file);
    }
    this.ended = this.#untilEnd();
  }

  /** Sends a signal to the whole group, or to the script's own process. */
  signal(signal: NodeJS.Signals, whom: 'group' | 'script' = 'group'): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(whom === 'group' ? -pid : pid, signal);
    } catch {
      // It has ended.
    }
  }

  async #untilEnd(): Promise<ScriptEnd> {
    const end = await new Promise<ScriptEnd>((resolve) => {
      this.#child.once('error', () => resolve({ exitCode: 127, signal: 0 }));
      this.#child.once('exit', (code, signal) =>
        resolve({
          exitCode: code ?? 0,
          signal: signal === null ? 0 : constants.signals[signal],
        }),
      );
    });
    this.signal('SIGKILL');
    while (isAlive(this.#child.pid)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return end;
  }
}

/** Whether a process group has members other than zombies, which nobody may ever clear away. */
function isAlive(group: number | undefined): boolean {
  if (group === undefined) return false;
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, , ofGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return ofGroup === String(group) && state !== 'Z';
    } catch {
      return false;
    }
  });
}
