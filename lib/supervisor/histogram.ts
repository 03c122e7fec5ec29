/** How often values of different sizes occurred, as Prometheus counts them. */
export interface Histogram {
  /** Of all values. */
  readonly count: number;
  /** Of all values, in s. */
  readonly sum: number;
  /** The least bound first; without the bound +Inf. */
  readonly buckets: readonly {
    /** The bound, in s. */
    readonly le: number;
    /** How many values are not greater than it. */
    readonly count: number;
  }[];
}

/** Collects a histogram. */
export class HistogramCounter {
  readonly #bounds: readonly number[];
  /** Values above the bound before and up to this one. */
  readonly #counts: number[];
  #count = 0;
  /** In ms. */
  #sum = 0;

  /** @param bounds in s, ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  /** @param duration in ms */
  add(duration: number): void {
    this.#count += 1;
    this.#sum += duration;
    const index = this.#bounds.findIndex((bound) => duration <= bound * 1000);
    if (index !== -1) {
      this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    }
  }

  snapshot(): Histogram {
    let below = 0;
    const buckets = this.#bounds.map((le, index) => {
      below += this.#counts[index] ?? 0;
      return { le, count: below };
    });
    return { count: this.#count, sum: this.#sum / 1000, buckets };
  }
}
