import { messageOf, StoreError } from '../errors.ts';
import type { ServerStore } from './store.ts';

/** Keeps the record of one server in the store up to date: one write at a time, the newest wins. */
export class Saver {
  readonly #store: ServerStore;
  readonly #key: string;
  readonly #record: () => unknown;
  #running: Promise<void> = Promise.resolve();
  /** A write that has not begun yet, for all who want the record of now to be kept. */
  #next: Promise<void> | undefined;
  #isRemoved = false;
  /** The last write has failed. */
  isBehind = false;

  /** @param record makes what is to be kept */
  constructor(store: ServerStore, key: string, record: () => unknown) {
    this.#store = store;
    this.#key = key;
    this.#record = record;
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
   * Removes the record; what is to be saved from now on is not.
   *
   * @throws StoreError
   */
  async remove(): Promise<void> {
    this.#isRemoved = true;
    this.isBehind = false;
    await this.settled();
    try {
      await this.#store.delete(this.#key);
    } catch (cause) {
      throw storeError('removed from', cause);
    }
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#running;
  }

  async #write(): Promise<void> {
    if (this.#isRemoved) {
      return;
    }
    try {
      const kept = await this.#store.set(this.#key, this.#record());
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

function storeError(what: string, cause: unknown): StoreError {
  return cause instanceof StoreError
    ? cause
    : new StoreError(`The server can't be ${what} the store: ${messageOf(cause)}`, {
        cause,
        retryable: true,
      });
}
