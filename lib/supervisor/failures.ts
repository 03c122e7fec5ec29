/** In how many things that have failed lately is remembered. */
const most = 10_000;

interface Failing {
  readonly count: number;
  /** Of whom a failure was counted, where that is once of each. */
  readonly counted: Set<string>;
  readonly message: string;
  /** In ms of `Date.now()`: nothing is to be tried before. */
  readonly pausedUntil: number;
}

/** Counts failures in a row, and asks for a pause where there are too many. */
export class Failures {
  readonly #pause: number;
  readonly #failing = new Map<string, Failing>();

  /** @param pause in ms */
  constructor(pause: number) {
    this.#pause = pause;
  }

  /**
   * @param limit after how many a pause is due; once more after each failure that follows a pause
   * @param who of whom only one failure counts, and no more of them than `limit`. Default: each
   *   failure counts
   */
  failed(key: string, limit: number, message: string, who?: string): void {
    const before = this.#failing.get(key);
    const counted = before?.counted ?? new Set();
    const counts = who === undefined || (counted.size < limit && !counted.has(who));
    if (counts && who !== undefined) {
      counted.add(who);
    }
    const count = (before?.count ?? 0) + (counts ? 1 : 0);
    this.#failing.delete(key);
    const [oldest] = this.#failing.keys();
    if (oldest !== undefined && this.#failing.size >= most) {
      this.#failing.delete(oldest);
    }
    const pausedUntil = count >= limit ? Date.now() + this.#pause : 0;
    this.#failing.set(key, { count, counted, message, pausedUntil });
  }

  succeeded(key: string): void {
    this.#failing.delete(key);
  }

  /** For a person: why there is a pause, and until when; undefined where there is none. */
  pauseOf(key: string): string | undefined {
    const { count, message, pausedUntil = 0 } = this.#failing.get(key) ?? {};
    const left = pausedUntil - Date.now();
    return left > 0
      ? `the last ${count} starts have failed, so that the next is possible in ${Math.ceil(left / 1000)} s. The last one: ${message}`
      : undefined;
  }
}
