import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { StartError, StopError } from '../errors.ts';
import type { ExitStatus } from '../events.ts';
import { sleep } from '../sleep.ts';
import type { ProcessIdentity, ProcessStatus, ProcessTable } from './process.ts';
import { signalGroup } from './process.ts';

/** A signal, and how long, in ms, the server may take to end after it. */
export type EndingStep = readonly [signal: NodeJS.Signals, timeout: number];

/** In ms: how often is looked whether a server that was told to end has ended. */
const interval = 25;

/** A server that was started, and its process group. */
export class LocalServer {
  #identity: ProcessIdentity;
  readonly #processes: ProcessTable;
  readonly #child: ChildProcess | undefined;

  /** @param child where it was started by this process, which then knows how it ended */
  constructor(identity: ProcessIdentity, processes: ProcessTable, child?: ChildProcess) {
    this.#identity = identity;
    this.#processes = processes;
    this.#child = child;
  }

  get identity(): ProcessIdentity {
    return this.#identity;
  }

  /**
   * Finds out what tells it from a later process with its number.
   *
   * @throws StartError if that can't be found out
   */
  async identify(): Promise<void> {
    const { pid } = this.#identity;
    try {
      this.#identity = await this.#processes.identify(pid);
    } catch (cause) {
      throw new StartError(`The process ${pid} of the server could not be looked up.`, { cause });
    }
  }

  /** How it ended by itself; undefined while it lives, and where it is no child of this process. */
  get exit(): ExitStatus | undefined {
    if (!this.#child || !hasEnded(this.#child)) {
      return undefined;
    }
    const { exitCode: code, signalCode: signal } = this.#child;
    return {
      code,
      signal,
      cause: code === 0 ? 'completed' : 'failed',
      message:
        signal === null
          ? `The server ended with exit code ${code}.`
          : `The server was ended by ${signal}.`,
    };
  }

  /** How it ended after `end()`. */
  get cancelled(): ExitStatus {
    return {
      code: this.#child?.exitCode ?? null,
      signal: this.#child?.signalCode ?? null,
      cause: 'cancelled',
      message: 'The server was stopped.',
    };
  }

  async status(): Promise<ProcessStatus> {
    return this.#child && !hasEnded(this.#child) ? 'alive' : this.#processes.status(this.#identity);
  }

  /** Resolves when it has ended, of which only its parent is told; rejects when `signal` aborts. */
  async untilEnd(signal: AbortSignal): Promise<void> {
    if (this.#child && !hasEnded(this.#child)) {
      await once(this.#child, 'exit', { signal });
    }
  }

  /**
   * Ends the whole process group, by one signal after the other. Nothing is signalled that can't be
   * told to be the server's.
   *
   * @param hurry whether all steps but the last are to be skipped, asked again and again
   * @returns whether there was something to end
   * @throws StopError if some of it is left, or nobody knows
   */
  async end(steps: readonly EndingStep[], hurry: () => boolean): Promise<boolean> {
    const { pid } = this.#identity;
    // Where the server has ended, unseen, what is in a group of its number may be another's.
    if (!this.#child && isOver(await this.status())) {
      return false;
    }
    const last = steps.length - 1;
    for (const [step, [signal, timeout]] of steps.entries()) {
      if (step < last && hurry()) {
        continue;
      }
      if (await this.#isGone()) {
        return true;
      }
      this.#signal(signal);
      const deadline = performance.now() + timeout;
      while (performance.now() < deadline && !(step < last && hurry())) {
        if (await this.#isGone()) {
          return true;
        }
        await sleep(interval);
      }
    }
    if (await this.#isGone()) {
      return true;
    }
    const left = (await this.#processes.members(pid)).join(', ');
    throw new StopError(
      `The server could not be ended: of its process group ${pid}, ${left} are left after ` +
        `${steps[last]?.[0]}. They may wait for a file system that does not answer.`,
    );
  }

  /** Whether nothing is left of its group. A number is not given away while its group has members. */
  async #isGone(): Promise<boolean> {
    const status = await this.status();
    switch (status) {
      case 'alive':
        return false;
      case 'replaced':
        return true;
      case 'ended':
        return (await this.#processes.members(this.#identity.pid)).length === 0;
      case 'unknown':
        throw new StopError(
          `Whether the process ${this.#identity.pid} is the server's can't be found out now, so it ` +
            'was not signalled.',
        );
    }
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#identity;
    try {
      signalGroup(pid, signal);
    } catch (cause) {
      throw new StopError(
        `${signal} can't be sent to the server's process group ${pid}: it runs as another account ` +
          'than the hub, which is not root (EPERM).',
        { cause },
      );
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Whether it says that the process has ended. */
export function isOver(status: ProcessStatus): boolean {
  return status === 'ended' || status === 'replaced';
}
