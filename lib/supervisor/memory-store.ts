import { jsonOf } from './entry.ts';
import type { ServerStore } from './store.ts';

/**
 * Keeps what a supervisor knows for as long as the process lives: for tests. It keeps JSON, as
 * other stores do, so that a test notices a value that JSON changes.
 */
export class MemoryStore implements ServerStore {
  readonly #values = new Map<string, string>();

  /** A copy of the value; undefined where there is none. */
  async get(key: string): Promise<unknown> {
    const text = this.#values.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Rejects with a `StoreError` where the value can't be written as JSON. */
  async set(key: string, value: unknown): Promise<void> {
    this.#values.set(key, jsonOf(key, value));
  }

  /** Resolves with whether there was such a key. */
  async delete(key: string): Promise<boolean> {
    return this.#values.delete(key);
  }

  /** Copies of all that is kept. */
  async *iterator(): AsyncGenerator<[key: string, value: unknown], void> {
    for (const [key, text] of [...this.#values]) {
      yield [key, JSON.parse(text)];
    }
  }
}
