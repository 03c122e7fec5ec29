import { messageOf, StoreError } from '../errors.ts';
import type { SupervisorWarning } from './events.ts';
import type { ServerRecord } from './record.ts';
import { isKey, readRecord } from './record.ts';
import type { ServerStore } from './store.ts';

/** A record that can't be used. */
interface Unusable {
  readonly why: string;
  /** Where it may be used later. */
  readonly record?: ServerRecord;
}

/** What the store says of servers, and what it fails to say. */
export class Records {
  readonly #store: ServerStore;
  readonly #warn: (warning: SupervisorWarning) => void;
  readonly #unusable = new Map<string, Unusable>();
  readonly #tries = new Map<string, Promise<void>>();
  /** The keys of the records that it has given. */
  readonly #known = new Set<string>();
  #isReading = false;
  /** The store has told of a failure while it was read: there may be servers that it does not know. */
  #hasLost = false;

  constructor(store: ServerStore, warn: (warning: SupervisorWarning) => void) {
    this.#store = store;
    this.#warn = warn;
    store.on?.('error', (cause) => {
      this.#hasLost ||= this.#isReading;
      warn({ code: 'store-failed', message: messageOf(cause), cause });
    });
  }

  /**
   * All that can be read; the rest is told of, and left as it is.
   *
   * @throws StoreError
   */
  async read(): Promise<readonly ServerRecord[]> {
    const records: ServerRecord[] = [];
    this.#unusable.clear();
    this.#isReading = true;
    try {
      for await (const [key, value] of this.#store.iterator?.() ?? []) {
        if (isKey(key)) {
          this.#known.add(key);
          try {
            records.push(readRecord(key, value));
          } catch (error) {
            this.setAside(key, error);
          }
        }
      }
    } catch (cause) {
      throw cause instanceof StoreError
        ? cause
        : new StoreError(`The store can't be read: ${messageOf(cause)}`, {
            cause,
            retryable: true,
          });
    } finally {
      this.#isReading = false;
    }
    return records;
  }

  /**
   * Nothing is done about the server of a record that can't be used, and the record stays.
   *
   * @param record where it may be used later
   */
  setAside(key: string, cause: unknown, record?: ServerRecord): void {
    const why = messageOf(cause);
    const isNews = this.#unusable.get(key)?.why !== why;
    this.#unusable.set(key, { why, ...(record && { record }) });
    if (isNews) {
      this.#warn({
        code: 'record-unusable',
        message: `What the store has under ${JSON.stringify(key)} can't be used, so that nothing is done about that server: ${why}`,
        cause,
      });
    }
  }

  /** How many records can't be used. */
  get unusable(): number {
    return this.#unusable.size;
  }

  /** The keys of records that may be used later. */
  get pending(): readonly string[] {
    return [...this.#unusable].flatMap(([key, { record }]) => (record === undefined ? [] : [key]));
  }

  /** Uses such a record; once for all who ask meanwhile. What fails sets it aside again. */
  tryAgain(key: string, use: (record: ServerRecord) => Promise<void>): Promise<void> {
    const { record } = this.#unusable.get(key) ?? {};
    let trying = this.#tries.get(key);
    if (record !== undefined && trying === undefined) {
      const before = this.#unusable.get(key);
      trying = use(record).finally(() => {
        this.#tries.delete(key);
        if (this.#unusable.get(key) === before) {
          this.#unusable.delete(key);
        }
      });
      this.#tries.set(key, trying);
    }
    return trying ?? Promise.resolve();
  }

  /** For a person: why nothing can be done about a server; undefined where that is not so. */
  whyUnusable(key: string): string | undefined {
    const { why } = this.#unusable.get(key) ?? {};
    return (
      why &&
      `The store has this server already, and it can't be used: ${why.replace(/\.$/, '')}. Mend or remove ${JSON.stringify(key)}, look for its job, and restart the hub.`
    );
  }

  /** Whether the store may have lost the record of a server. */
  mayHaveLost(key: string): boolean {
    return this.#hasLost && !this.#known.has(key);
  }

  /** Why the store may have had a server of that key, though it is not known; undefined where it had none. */
  doubt(key: string): string | undefined {
    return this.#unusable.has(key) || this.mayHaveLost(key)
      ? 'it may belong to a server of which the store has lost the record'
      : undefined;
  }
}
