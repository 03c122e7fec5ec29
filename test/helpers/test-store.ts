import { MemoryStore } from '../../lib/supervisor/memory-store.ts';
import type { ServerStore } from '../../lib/supervisor/store.ts';

export type StoreCall = 'set' | 'delete' | 'list';

/** A store in memory that can be slow, or fail. */
export class TestStore implements ServerStore {
  /** Called before each call, which waits for it, and fails as it does; `false` of a set is its answer. */
  before: (call: StoreCall, value?: unknown) => unknown = () => {};
  readonly #content: MemoryStore;

  /** @param earlier the same store, as an earlier hub sees it */
  constructor(earlier?: TestStore) {
    this.#content = earlier === undefined ? new MemoryStore() : earlier.#content;
  }

  async set(key: string, value: unknown): Promise<unknown> {
    // What is set is what it was when it was set.
    const copy: unknown = structuredClone(value);
    return (await this.before('set', copy)) === false ? false : this.#content.set(key, copy);
  }

  async delete(key: string): Promise<unknown> {
    await this.before('delete');
    return this.#content.delete(key);
  }

  async *iterator(): AsyncGenerator<[key: string, value: unknown], void> {
    await this.before('list');
    yield* this.#content.iterator();
  }

  async content(): Promise<Record<string, unknown>> {
    const content: Record<string, unknown> = {};
    for await (const [key, value] of this.#content.iterator()) {
      content[key] = value;
    }
    return content;
  }
}
