import { createHash, randomBytes } from 'node:crypto';
import { link, open, readFile, readlink, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { codeOf, messageOf, StoreError } from '../errors.ts';
import type { ProcessIdentity, ProcessTable } from '../local/process.ts';
import { processTable } from '../local/process.ts';
import { createLog } from '../log.ts';
import { localRunner } from '../runners/local.ts';
import { sleep } from '../sleep.ts';
import { isMissing } from './files.ts';

const log = createLog('store');

/** In ms: how often a holder shows that it lives. */
const beat = 10_000;
/** In ms: how long a lock of another machine is watched before it is taken over. */
const patience = 30_000;
/** In ms: how often it is looked at meanwhile. */
const step = 1000;

/** Who holds a lock. */
interface Holder extends ProcessIdentity {
  /** Where `pid` and `started` mean the same process: one boot, one container. */
  readonly machine: string;
  /** For people. */
  readonly host: string;
  /** Of this one use of the directory. */
  readonly token: string;
}

/** What a lock file looks like at one moment. */
interface Sight {
  readonly text: string;
  /** When it was written or touched. */
  readonly touched: bigint;
}

/** What tests replace. */
export interface LockOptions {
  /** Default: this machine's. */
  readonly processes?: ProcessTable;
  /** The identity of this machine and container. Default: from the boot and the namespace. */
  readonly machine?: string;
  /** Default: by `setTimeout`. */
  readonly sleep?: typeof sleep;
  /** Runs an action again and again, in ms, until its result is called. Default: `setInterval`. */
  readonly every?: (ms: number, action: () => Promise<void>) => () => void;
  /** Told once, if the lock is lost while no call waits. */
  readonly lost?: (error: StoreError) => void;
}

/**
 * Sees to it that one hub uses a directory, by a file `lock` in it that says who it is.
 *
 * A lock of a process that has ended is taken over at once. Where that can't be known, because its
 * holder is on another machine, in another container or from before the last boot, it is watched
 * for 30 s: a holder touches its lock every 10 s. A holder that was paused for longer may lose its
 * lock so, which is why it calls `check` before each write.
 */
export class DirectoryLock {
  readonly #directory: string;
  readonly #path: string;
  readonly #options: LockOptions;
  readonly #processes: ProcessTable;
  /** What stands in the lock where it is this one's. */
  #own: string | undefined;
  #lost: StoreError | undefined;
  #endBeat: (() => void) | undefined;

  constructor(directory: string, options: LockOptions = {}) {
    this.#directory = directory;
    this.#path = join(directory, 'lock');
    this.#options = options;
    this.#processes = options.processes ?? processTable(localRunner);
  }

  /**
   * Takes the lock.
   *
   * @param signal ends the watching of a lock early; the call then rejects
   * @throws StoreError if the directory is used by another hub, or by another store of this one
   */
  async acquire(signal?: AbortSignal): Promise<void> {
    // Kept from the start: a try that fails half-way may have made the lock.
    this.#own ??= await this.#identify();
    const own = this.#own;
    for (;;) {
      const found = await look(this.#path);
      if (found?.text === own) {
        break;
      }
      if (found === undefined) {
        await place(this.#path, own);
      } else {
        await this.#judge(this.#path, found, signal);
        await this.#takeOver(found, own, signal);
      }
    }
    this.#endBeat ??= (this.#options.every ?? every)(beat, () => this.#beat());
  }

  /**
   * Makes sure that the lock is still this one's.
   *
   * @throws StoreError if it is not, from then on always
   */
  async check(): Promise<void> {
    if (this.#lost !== undefined) {
      throw this.#lost;
    }
    const found = await look(this.#path);
    if (found === undefined || found.text !== this.#own) {
      this.#endBeat?.();
      this.#lost = new StoreError(
        found === undefined
          ? `The lock ${this.#path} was removed while this hub used the directory. Nothing more is ` +
              'saved; restart the hub.'
          : `Another hub has taken over the directory ${this.#directory}: ${describe(found.text)}. ` +
              'Nothing more is saved by this one; end it.',
        { isLost: found !== undefined },
      );
      throw this.#lost;
    }
  }

  /** Gives the directory free, unless the lock is another's by now. */
  async release(): Promise<void> {
    this.#endBeat?.();
    const own = this.#own;
    this.#own = undefined;
    if (own !== undefined && (await look(this.#path))?.text === own) {
      await rm(this.#path, { force: true });
    }
  }

  async #identify(): Promise<string> {
    const holder: Holder = {
      ...(await this.#processes.identify(process.pid)),
      machine: await this.#machine(),
      host: hostname(),
      token: randomBytes(16).toString('hex'),
    };
    return `${JSON.stringify(holder)}\n`;
  }

  async #machine(): Promise<string> {
    return this.#options.machine ?? thisMachine();
  }

  /** Throws a `StoreError` unless what holds that file has ended, as far as can be known. */
  async #judge(path: string, found: Sight, signal: AbortSignal | undefined): Promise<void> {
    const holder = parseHolder(found.text);
    if (holder !== undefined && holder.machine === (await this.#machine())) {
      // Without its start a process can't be told from a later one.
      const status = holder.started === '' ? 'unknown' : await this.#processes.status(holder);
      if (status === 'alive') {
        throw this.#used(
          found,
          holder.pid === process.pid ? 'disconnect the other store' : undefined,
        );
      }
      if (status !== 'unknown') {
        log('%s: process %d has ended', path, holder.pid);
        return;
      }
    }
    log('%s: watched for %d ms', path, patience);
    for (let waited = 0; waited < patience; waited += step) {
      await (this.#options.sleep ?? sleep)(step, signal);
      if (signal?.aborted) {
        throw new StoreError(`The store ${this.#directory} was disconnected before it was opened.`);
      }
      const now = await look(path);
      if (now === undefined) {
        return;
      }
      if (!isSame(now, found)) {
        throw this.#used(now);
      }
    }
  }

  #used({ text }: Sight, remedy = 'stop it first'): StoreError {
    return new StoreError(
      `The directory ${this.#directory} is used by ${describe(text)}; ${remedy}. ` +
        `Its lock is ${this.#path}.`,
    );
  }

  /**
   * Replaces a lock whose holder has ended, unless another does. Who does is settled by a claim, a
   * file named after that one lock, which becomes the new lock. So there is a lock at any time, and
   * none that is in use is moved.
   */
  async #takeOver(found: Sight, own: string, signal: AbortSignal | undefined): Promise<void> {
    const hash = createHash('sha256').update(found.text).digest('hex').slice(0, 32);
    const claim = `${this.#path}.${hash}.tmp`;
    await place(claim, own);
    const claimed = await look(claim);
    if (claimed === undefined) {
      return;
    }
    if (claimed.text !== own) {
      await this.#judge(claim, claimed, signal);
      await rm(claim, { force: true });
      return;
    }
    const now = await look(this.#path);
    if (now !== undefined && isSame(now, found)) {
      await rename(claim, this.#path).catch(unlessMissing);
    } else {
      await rm(claim, { force: true });
    }
  }

  async #beat(): Promise<void> {
    try {
      await this.check();
      const now = new Date();
      await utimes(this.#path, now, now);
    } catch (error) {
      log('%s: not touched: %s', this.#path, messageOf(error));
      if (error instanceof StoreError) {
        this.#options.lost?.(error);
      }
    }
  }
}

/** Opened each time: a file on NFS is then looked at anew, whatever is remembered of it. */
async function look(path: string): Promise<Sight | undefined> {
  try {
    const file = await open(path);
    try {
      const { mtimeNs } = await file.stat({ bigint: true });
      return { text: await file.readFile('utf8'), touched: mtimeNs };
    } finally {
      await file.close();
    }
  } catch (error) {
    unlessMissing(error);
    return undefined;
  }
}

/** Makes a file with all of its content at once, unless there is one. */
async function place(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(temporary, text, { mode: 0o600, flag: 'wx' });
  try {
    await link(temporary, path);
  } catch (error) {
    // ENOENT: whoever holds the directory has cleared the temporary file away.
    if (codeOf(error) !== 'EEXIST' && !isMissing(error)) {
      throw error;
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) {
    throw error;
  }
}

function isSame(a: Sight, b: Sight): boolean {
  return a.text === b.text && a.touched === b.touched;
}

/** Undefined for what is no lock of ours. */
function parseHolder(text: string): Holder | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof content !== 'object' || content === null) {
    return undefined;
  }
  const { pid, started, bootId, machine, host, token }: Partial<Record<keyof Holder, unknown>> =
    content;
  return typeof pid === 'number' &&
    typeof started === 'string' &&
    (typeof bootId === 'string' || bootId === undefined) &&
    typeof machine === 'string' &&
    typeof host === 'string' &&
    typeof token === 'string'
    ? { pid, started, ...(bootId !== undefined && { bootId }), machine, host, token }
    : undefined;
}

function describe(text: string): string {
  const holder = parseHolder(text);
  return holder === undefined
    ? 'something that does not say who it is'
    : `the hub with process ${holder.pid} on ${holder.host}`;
}

/** Differs where a process number would mean another process. */
async function thisMachine(): Promise<string> {
  const [boot, namespace] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(hostname),
    readlink('/proc/self/ns/pid').catch(hostname),
  ]);
  return `${boot.trim()} ${namespace}`;
}

function every(ms: number, action: () => Promise<void>): () => void {
  const timer = setInterval(() => void action(), ms);
  timer.unref();
  return () => clearInterval(timer);
}
