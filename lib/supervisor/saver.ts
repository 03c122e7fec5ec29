import { messageOf, StoreError } from '../errors.ts';
import type { ServerStore } from './store.ts';

/** In ms: what the store has not answered by then has failed, so that no lost answer is waited for for ever. */
const longest = 120_000;

/** Keeps the record of one server in the store up to date: one write at a time, the newest wins. */
export class Saver {
  readonly #store: ServerStore;
  readonly #key: string;
  readonly #record: () => unknown;
  #running: Promise<void> = Promise.resolve();
  /** A write that has not begun yet, for all who want the record of now to be kept. */
  #next: Promise<void> | undefined;
  #isRemoved = false;
  #removing: Promise<void> | undefined;
  /** The last write has failed. */
  isBehind = false;

  /**
   * @param record makes what is to be kept
   * @param before nothing is written until it has resolved
   */
  constructor(store: ServerStore, key: string, record: () => unknown, before?: Promise<void>) {
    this.#store = store;
    this.#key = key;
    this.#record = record;
    this.#running = before ?? this.#running;
  }

  /**
   * Resolves when the record is kept as it is now, or newer.
   *
   * @throws StoreError
   */
  save(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const write = this.#write();
      this.#running = write.catch(() => {});
      return write;
    });
    return this.#next;
  }

  /**
   * Removes the record; what is to be saved from now on is not. It may be called again where it failed.
   *
   * @throws StoreError
   */
  remove(): Promise<void> {
    this.#isRemoved = true;
    this.isBehind = false;
    this.#removing ??= this.#remove().finally(() => {
      this.#removing = undefined;
    });
    return this.#removing;
  }

  /** Resolves when nothing is being written or removed. */
  async settled(): Promise<void> {
    await this.#written();
    await this.#removing?.catch(() => {});
  }

  async #written(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#running;
  }

  async #remove(): Promise<void> {
    await this.#written();
    try {
      await this.#store.delete(this.#key);
    } catch (cause) {
      throw storeError('removed from', cause);
    }
  }

  async #write(): Promise<void> {
    if (this.#isRemoved) {
      return;
    }
    try {
      const kept = await inTime(this.#store.set(this.#key, this.#record()));
      if (kept === false) {
        throw new Error('it did not take it (its event error says more)');
      }
      this.isBehind = false;
    } catch (cause) {
      this.isBehind = true;
      throw storeError('kept in', cause);
    }
  }
}

async function inTime(answer: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`it has not answered for ${longest / 1000} s`);
    timer = setTimeout(() => reject(error), longest);
    // Nobody else may be waiting for it any more.
    timer.unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function storeError(what: string, cause: unknown): StoreError {
  return cause instanceof StoreError
    ? cause
    : new StoreError(`The server can't be ${what} the store: ${messageOf(cause)}`, {
        cause,
        retryable: true,
      });
}
