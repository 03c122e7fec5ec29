/** In how many things that have failed lately is remembered. */
const most = 10_000;

interface Failing {
  readonly count: number;
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

  /** @param limit after how many a pause is due; once more after each failure that follows a pause */
  failed(key: string, limit: number, message: string): void {
    const count = (this.#failing.get(key)?.count ?? 0) + 1;
    this.#failing.delete(key);
    const [oldest] = this.#failing.keys();
    if (oldest !== undefined && this.#failing.size >= most) {
      this.#failing.delete(oldest);
    }
    const pausedUntil = count >= limit ? Date.now() + this.#pause : 0;
    this.#failing.set(key, { count, message, pausedUntil });
  }

  succeeded(key: string): void {
    this.#failing.delete(key);
  }

  /** For a person: why there is a pause, and until when; undefined where there is none. */
  pauseOf(key: string): string | undefined {
    const { count, message, pausedUntil } = this.#failing.get(key) ?? { pausedUntil: 0 };
    const left = pausedUntil - Date.now();
    return left > 0
      ? `the last ${count} starts have failed, so that the next is possible in ${Math.ceil(left / 1000)} s. The last one: ${message}`
      : undefined;
  }
}
