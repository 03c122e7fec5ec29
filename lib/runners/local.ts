import { constants } from 'node:buffer';
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { exec } from 'tinyexec';
import { AbortError, CommandError, OptionsError } from '../errors.ts';
import { createLog } from '../log.ts';
import { sleep } from '../sleep.ts';
import { account, explain } from './local-failure.ts';
import type { CommandResult, CommandRunner, RunOptions } from './runner.ts';

const log = createLog('runner');

/** In ms: how long output is waited for that a child of an ended command keeps open. */
const linger = 250;
/** In ms: how often is looked whether something has ended that is waited for. */
const step = 20;

/** The options of `LocalRunner`. */
export interface LocalRunnerOptions {
  /** In ms, from SIGTERM to SIGKILL when a command is ended. Default: 2000. */
  readonly killDelay?: number;
  /** In bytes: what is kept of standard output and of standard error each. Default: 32 MiB. */
  readonly maxOutput?: number;
}

/**
 * Runs commands on this machine, as the account of this process.
 *
 * The command gets the variables in `env` and no others; without `env` only this process's `PATH`.
 * An `env` without `PATH` leaves the system's default, `/bin:/usr/bin`.
 *
 * Each command leads a process group of its own. When its time is over or its signal is aborted,
 * the whole group gets SIGTERM, and after `killDelay` what is left of it SIGKILL. A child that made
 * a group of its own (`setsid`) escapes that, as does one of another account. `run()` comes back
 * even so: it waits 250 ms at most for output that a child keeps open after the command's own end.
 * A command that starts a daemon should therefore give it other files to write to.
 *
 * Output beyond `maxOutput` is read and dropped, so that the command is never held up by it.
 *
 * @throws OptionsError from the constructor, where an option is not what it must be
 */
export class LocalRunner implements CommandRunner {
  readonly #killDelay: number;
  readonly #maxOutput: number;

  constructor({ killDelay = 2000, maxOutput = 32 * 1024 ** 2 }: LocalRunnerOptions = {}) {
    if (!(Number.isFinite(killDelay) && killDelay >= 0)) {
      throw new OptionsError('killDelay', 'a number of ms, 0 or more');
    }
    if (
      !(Number.isInteger(maxOutput) && maxOutput > 0 && maxOutput <= constants.MAX_STRING_LENGTH)
    ) {
      throw new OptionsError(
        'maxOutput',
        `a number of bytes from 1 to ${constants.MAX_STRING_LENGTH}`,
      );
    }
    this.#killDelay = killDelay;
    this.#maxOutput = maxOutput;
  }

  /** See `CommandRunner`. Rejects with a `CommandError` if `user` is not this process's account. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const { timeout = 60_000, signal } = options;
    const command = checkedCommand(argv, options);
    if (signal?.aborted) {
      throw new AbortError(`The command '${command}' was not run, because it was aborted before.`, {
        cause: signal.reason,
      });
    }
    const started = performance.now();
    const took = () => Math.round(performance.now() - started);
    try {
      const child = start(argv, options);
      const stdout = new Capture(child.stdout, this.#maxOutput);
      const stderr = new Capture(child.stderr, this.#maxOutput);
      const closed = new Promise((resolve) => child.once('close', resolve));
      const ended = new Promise((resolve, reject) =>
        child.once('exit', resolve).on('error', reject),
      );

      const first = await firstOf(ended, timeout, signal);
      if (first !== 'done') {
        await this.#endGroup(child.pid);
        await settled(ended);
      }
      await settled(closed);
      release(child);

      const { exitCode, signalCode } = child;
      log('%s as %s: %s after %d ms', command, account(), signalCode ?? exitCode, took());
      return {
        stdout: stdout.text(),
        stderr: stderr.text(),
        exitCode,
        signal: signalCode,
        timedOut: first === 'late',
        truncated: stdout.truncated || stderr.truncated,
      };
    } catch (error) {
      log('%s as %s: not run after %d ms', command, account(), took());
      throw await explain(error, command, options);
    }
  }

  /** SIGTERM for a process group, then SIGKILL for what is left of it after `killDelay`. */
  async #endGroup(group: number | undefined): Promise<void> {
    if (group === undefined || !signalGroup(group, 'SIGTERM')) {
      return;
    }
    for (let left = this.#killDelay; left > 0; left -= step) {
      await sleep(Math.min(step, left));
      if (!signalGroup(group, 0)) {
        return;
      }
    }
    signalGroup(group, 'SIGKILL');
  }
}

/** Where commands are run if nothing else is said: one, so that those who ask the same share the answer. */
export const localRunner = new LocalRunner();

/** What is kept of one output stream. Bytes beyond the limit are read and dropped. */
class Capture {
  truncated = false;
  readonly #chunks: Buffer[] = [];

  constructor(stream: Readable | null, limit: number) {
    let room = limit;
    stream?.on('data', (chunk: Buffer) => {
      this.truncated ||= chunk.length > room;
      if (room > 0) {
        this.#chunks.push(chunk.subarray(0, room));
        room -= Math.min(room, chunk.length);
      }
    });
  }

  /** Decoded as a whole, so that no character is split; a limit may cut one, which is left out. */
  text(): string {
    const bytes = Buffer.concat(this.#chunks);
    return this.truncated ? new StringDecoder('utf8').write(bytes) : bytes.toString('utf8');
  }
}

/** The program, `argv[0]`, of a command that can be handed to the operating system as it is. */
function checkedCommand(argv: readonly string[], { user, env = {}, cwd }: RunOptions): string {
  const [command = ''] = argv;
  const refuse = (message: string) => {
    throw new CommandError(message, { command });
  };
  const own = account();
  if (command === '') {
    refuse('There is no command to run: the name of the program is empty.');
  }
  if (user !== undefined && user !== own) {
    refuse(
      `LocalRunner runs '${command}' as '${own}', the account of this process, and can't change to ` +
        `'${user}': use SudoRunner for that.`,
    );
  }
  const name = JSON.stringify(command);
  const index = argv.findIndex((argument) => argument.includes('\0'));
  if (index >= 0) {
    refuse(`Argument ${index} of ${name} has a NUL character, which no argument can have.`);
  }
  for (const [variable, value] of Object.entries(env)) {
    if (variable === '' || variable.includes('=') || `${variable}${value}`.includes('\0')) {
      refuse(
        `The environment variable ${JSON.stringify(variable)} can't be passed to ${name}: its name ` +
          'is empty or has a `=`, or there is a NUL character in its name or value.',
      );
    }
  }
  if (cwd?.includes('\0')) {
    refuse(`The working directory ${JSON.stringify(cwd)} of ${name} has a NUL character.`);
  }
  return command;
}

/** Throws what Node reports at once; the rest comes as the event `error`. */
function start([command = '', ...args]: readonly string[], options: RunOptions): ChildProcess {
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  const { input = '', env = { PATH: path }, cwd = '/' } = options;
  // tinyexec adds the variables of this process; those that are undefined are left out by Node.
  const none = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]));
  const { process: child } = exec(command, args, {
    stdin: input,
    persist: true,
    nodePath: false,
    nodeOptions: { cwd, env: { ...none, ...env } },
  });
  if (child === undefined) {
    throw new Error('tinyexec started no process.');
  }
  // EPIPE: the command ended, or closed its standard input, before it had read everything.
  child.stdin?.on('error', () => {});
  return child;
}

/** Lets go of what a child of the command may hold open, and of a command that would not end. */
function release(child: ChildProcess): void {
  child.stdin?.destroy();
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.unref();
}

/**
 * Signals a process group; 0 only asks. Its number can't be another's meanwhile: it stays taken
 * while the group has members.
 *
 * @returns whether there was a process in it that this account may signal
 */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}

/**
 * Waits for a promise, no longer than `linger`. It does so in steps, because a process that was too
 * busy to read takes in what is there between two of them: its own delay must cost no output.
 */
async function settled(promise: Promise<unknown>): Promise<void> {
  for (let left = linger; left > 0; left -= step) {
    if ((await firstOf(promise, step)) === 'done') {
      return;
    }
  }
}

/** Tells which comes first: the promise, the time in ms, or the signal. */
async function firstOf(
  promise: Promise<unknown>,
  ms: number,
  signal?: AbortSignal,
): Promise<'done' | 'late' | 'aborted'> {
  let cancel = () => {};
  const other = new Promise<'late' | 'aborted'>((resolve) => {
    const abort = () => resolve('aborted');
    // A longer time would overflow, and be over at once.
    const timer = setTimeout(() => resolve('late'), Math.min(ms, 2 ** 31 - 1));
    signal?.addEventListener('abort', abort, { once: true });
    cancel = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
  });
  try {
    return await Promise.race([promise.then(() => 'done' as const), other]);
  } finally {
    cancel();
  }
}
