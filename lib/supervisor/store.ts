/**
 * Where a supervisor keeps what it knows of its servers: a `FileStore`, a `MemoryStore`, a Keyv, or
 * anything with these methods of Keyv's interface. Values are JSON; no secret is among them.
 *
 * Make a Keyv with `throwOnErrors: true`. Without it a storage that fails is told of by the event
 * `error` only, `set` resolves with `false`, and `delete` likewise, as it does for a key that was
 * not there. A Keyv takes keys that begin with its own namespace, as in `keyv:alice`, for the same
 * as those without it.
 */
export interface ServerStore {
  /** Resolves when the value is kept; `false` says that it is not. */
  set(key: string, value: unknown): Promise<unknown>;
  /** Resolves when the key is gone, whether it was there or not. */
  delete(key: string): Promise<unknown>;
  /**
   * All that is kept. A Keyv has it where its storage can list what it holds. It is called without
   * an argument; there is one because a Keyv declares one.
   */
  readonly iterator?:
    | ((nothing?: undefined) => AsyncIterable<readonly [key: string, value: unknown]>)
    | undefined;
  /** Tells of what went wrong where no caller hears of it. */
  on?(event: 'error', listener: (error: unknown) => void): unknown;
}
