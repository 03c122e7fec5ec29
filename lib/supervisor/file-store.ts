import { randomBytes } from 'node:crypto';
import { link, lstat, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EventEmitter } from 'eventemitter3';
import { Limiter } from '../batch/limiter.ts';
import { codeOf, messageOf, OptionsError, StoreError } from '../errors.ts';
import { createLog } from '../log.ts';
import { DirectoryLock } from './directory-lock.ts';
import type { Entry } from './entry.ts';
import { fileNameOf, formatEntry, parseEntry } from './entry.ts';
import {
  isMissing,
  makePrivateDirectory,
  readRegularFile,
  syncDirectory,
  writeSynced,
} from './files.ts';
import type { ServerStore } from './store.ts';

const log = createLog('store');

/** How many files are read at once, and given one after the other. */
const batch = 64;

/** What this store and its lock leave behind if their process is killed. */
const leftover = /^(?:lock|.+\.json)(?:\.[0-9a-f]{12,32}\.tmp)+$/;

/** Of errors that are a file's own, where others, as EMFILE, will pass. */
const unreadable = ['EACCES', 'EPERM', 'EIO', 'EISDIR', 'ELOOP', 'ENXIO'];

/** The events of a `FileStore`, and what their listeners get. */
export interface FileStoreEvents {
  /** A file was set aside, or the directory was taken over: a `StoreError`. */
  error: (error: unknown) => void;
}

/**
 * Keeps what a supervisor knows in a directory, one small JSON file for each key. What a call has
 * resolved for is on the disk; a file is replaced as a whole, so that a crash at any moment leaves
 * the old value or the new one.
 *
 * The directory is made when the store is first used. Nobody but this account, and root, may be
 * able to write to it; its file system needs hard links. One store at a time can use it: another
 * hub, or a second store in this one, is refused until `disconnect()` or the end of the process.
 * A hub that was killed comes back at once; where it was on another machine, in another container
 * or before a reboot, its directory is taken over when its lock was not touched for 30 s.
 *
 * A file that can't be used (torn, unreadable, or none of this store's) is renamed to
 * `NAME.damaged-1`, and an `error` event says so, then and whenever all is read. The others are given
 * as if it were not there.
 *
 * All methods reject with a `StoreError`: where the system refuses something (`retryable` is then
 * true), where another hub uses the directory, where it has taken it over, and after
 * `disconnect()`.
 *
 * @throws OptionsError from the constructor, where the directory has no name
 * @example
 * const store = new FileStore('/var/lib/hub/servers');
 * store.on('error', (error) => console.warn(error));
 */
export class FileStore extends EventEmitter<FileStoreEvents> implements ServerStore {
  readonly #directory: string;
  readonly #lock: DirectoryLock;
  readonly #closing = new AbortController();
  readonly #limiter = new Limiter();
  /** By file: when all that was asked of it is done. */
  readonly #queues = new Map<string, Promise<void>>();
  #opened: Promise<void> | undefined;

  /** @param directory where the files are; a relative path starts at the working directory */
  constructor(directory: string) {
    super();
    if (typeof directory !== 'string' || directory === '') {
      throw new OptionsError('directory', 'the path of a directory');
    }
    this.#directory = resolve(directory);
    this.#lock = new DirectoryLock(this.#directory, { lost: (error) => this.#report(error) });
  }

  /** The value; undefined where there is none. */
  async get(key: string): Promise<unknown> {
    const file = fileNameOf(key);
    const entry = await this.#inTurn(file, 'read', () => this.#read(file));
    return entry?.value;
  }

  /** Calls for the same key take effect in their order. */
  async set(key: string, value: unknown): Promise<void> {
    const file = fileNameOf(key);
    const text = formatEntry(key, value);
    await this.#inTurn(file, 'written', () => this.#write(join(this.#directory, file), text));
  }

  /** Resolves with whether there was such a key. */
  async delete(key: string): Promise<boolean> {
    const file = fileNameOf(key);
    return this.#inTurn(file, 'removed', () => this.#remove(join(this.#directory, file)));
  }

  /** All that is kept, in no order; what changes meanwhile is given or not. */
  async *iterator(): AsyncGenerator<[key: string, value: unknown], void> {
    const files = await this.#explained(
      `The directory ${this.#directory} can't be read`,
      async () => {
        await this.#open();
        return readdir(this.#directory);
      },
    );
    // Each time, so that nobody takes it for whole who was not there the first time.
    for (const name of files.filter((file) => /\.damaged-\d+$/.test(file))) {
      this.#report(
        new StoreError(
          `${join(this.#directory, name)} was set aside: the record of a server is lost. Mend it and take .damaged-N off its name, or remove it.`,
        ),
      );
    }
    const names = files.filter((name) => name.endsWith('.json'));
    for (let first = 0; first < names.length; first += batch) {
      const entries = names
        .slice(first, first + batch)
        .map((file) => this.#inTurn(file, 'read', () => this.#read(file)));
      for (const entry of await Promise.all(entries)) {
        if (entry !== undefined) {
          yield [entry.key, entry.value];
        }
      }
    }
  }

  /** Does what was asked for before, and gives the directory free. The store can't be used again. */
  async disconnect(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#queues.values(), this.#opened?.catch(() => {})]);
    await this.#explained(`The directory ${this.#directory} can't be given free`, () =>
      this.#lock.release(),
    );
  }

  /** Does something with a file when all that was asked of it before is done. */
  async #inTurn<T>(file: string, done: string, action: () => Promise<T>): Promise<T> {
    const opened = this.#open();
    const result = (this.#queues.get(file) ?? Promise.resolve()).then(() =>
      this.#limiter.run(async () => {
        await opened;
        return action();
      }),
    );
    const over = result.then(
      () => {},
      () => {},
    );
    this.#queues.set(file, over);
    try {
      return await this.#explained(
        `The file ${join(this.#directory, file)} can't be ${done}`,
        () => result,
      );
    } finally {
      if (this.#queues.get(file) === over) {
        this.#queues.delete(file);
      }
    }
  }

  /** One that failed is tried again by the next call. Its error is for those who wait for it. */
  #open(): Promise<void> {
    if (this.#closing.signal.aborted) {
      const error = new StoreError(
        `The store ${this.#directory} was disconnected; make a new one to use it again.`,
      );
      return quiet(Promise.reject(error));
    }
    if (this.#opened === undefined) {
      const opened = this.#prepare();
      this.#opened = opened;
      opened.catch(() => {
        this.#opened = undefined;
      });
    }
    return this.#opened;
  }

  async #prepare(): Promise<void> {
    await makePrivateDirectory(this.#directory);
    await this.#lock.acquire(this.#closing.signal);
    // Also what a hub is about to put in its place from which the directory was taken over: it
    // checks its lock after that is written, so that it will not find it, or not be allowed to.
    for (const entry of await readdir(this.#directory, { withFileTypes: true })) {
      if (entry.isFile() && leftover.test(entry.name)) {
        await rm(join(this.#directory, entry.name), { force: true });
      }
    }
  }

  async #read(file: string): Promise<Entry | undefined> {
    const path = join(this.#directory, file);
    const entry = await readEntry(path, file);
    if (typeof entry === 'string') {
      await this.#setAside(path, entry);
      return undefined;
    }
    return entry;
  }

  async #write(path: string, text: string): Promise<void> {
    const temporary = temporaryFor(path);
    try {
      await writeSynced(temporary, text);
      await this.#lock.check();
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    await syncDirectory(this.#directory);
  }

  /** Moves the file first: if the directory was taken over in that moment, it can be put back. */
  async #remove(path: string): Promise<boolean> {
    const temporary = temporaryFor(path);
    await this.#lock.check();
    try {
      await rename(path, temporary);
    } catch (error) {
      if (isMissing(error)) {
        return false;
      }
      throw error;
    }
    try {
      await this.#lock.check();
    } catch (error) {
      await link(temporary, path).catch(() => {});
      await unlink(temporary);
      throw error;
    }
    await unlink(temporary);
    await syncDirectory(this.#directory);
    return true;
  }

  async #setAside(path: string, reason: string): Promise<void> {
    const what = `The file ${path} can't be used, because ${reason}`;
    try {
      await this.#lock.check();
      const aside = await freeName(path);
      await rename(path, aside);
      await syncDirectory(this.#directory);
      this.#report(
        new StoreError(
          `${what}. It is now ${aside}: mend it and give it its name back before the hub starts, ` +
            'or remove it.',
        ),
      );
    } catch (error) {
      this.#report(
        new StoreError(`${what}, nor be renamed: ${messageOf(error)}. Move it away.`, {
          cause: error,
        }),
      );
    }
  }

  #report(error: StoreError): void {
    log('%s', error.message);
    try {
      this.emit('error', error);
    } catch (thrown) {
      log('a listener of error events failed: %s', messageOf(thrown));
    }
  }

  /** Errors of the system as a `StoreError` that begins with these words. */
  async #explained<T>(what: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof StoreError) {
        throw error;
      }
      throw new StoreError(`${what}: ${messageOf(error)}.`, { cause: error, retryable: true });
    }
  }
}

/** A file's content, why it can't be used, or undefined if there is none. */
async function readEntry(path: string, file: string): Promise<Entry | string | undefined> {
  try {
    const bytes = await readRegularFile(path);
    return bytes === null ? 'it is no regular file' : parseEntry(bytes, file);
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    if (unreadable.includes(codeOf(error) ?? '')) {
      return `it can't be read (${messageOf(error)})`;
    }
    throw error;
  }
}

function temporaryFor(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`;
}

async function freeName(path: string): Promise<string> {
  for (let n = 1; ; n += 1) {
    const name = `${path}.damaged-${n}`;
    try {
      await lstat(name);
    } catch (error) {
      if (isMissing(error)) {
        return name;
      }
      throw error;
    }
  }
}

/** Keeps a rejection that nobody waits for yet from ending the process. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
