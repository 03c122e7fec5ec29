import { MemoryStore } from '../../lib/supervisor/memory-store.ts';
import type { ServerStore } from '../../lib/supervisor/store.ts';

export type StoreCall = 'set' | 'delete' | 'list';

export const forever = () => new Promise<never>(() => {});

/** A store in memory that can be slow, or fail. */
export class TestStore implements ServerStore {
  /** Called before each call, which waits for it, and fails as it does; `false` of a set is its answer. */
  before: (call: StoreCall, value?: unknown) => unknown = () => {};
  /** Whether nothing arrives any more, nor an answer. */
  isLost = false;
  readonly #content: MemoryStore;

  /** @param earlier the same store, as an earlier hub sees it */
  constructor(earlier?: TestStore) {
    this.#content = earlier === undefined ? new MemoryStore() : earlier.#content;
  }

  async set(key: string, value: unknown): Promise<unknown> {
    // What is set is what it was when it was set.
    const copy: unknown = structuredClone(value);
    const answer = await this.before('set', copy);
    return answer === false ? false : this.isLost ? forever() : this.#content.set(key, copy);
  }

  async delete(key: string): Promise<unknown> {
    await this.before('delete');
    return this.isLost ? forever() : this.#content.delete(key);
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
