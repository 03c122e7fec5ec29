/** Random numbers that come again with the same seed. */
export class Chance {
  #state: number;

  /** @param seed any whole number */
  constructor(seed: number) {
    // Marsaglia's xorshift stays at 0 for ever; the mixing keeps seeds apart that are close.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 1;
    for (let i = 0; i < 8; i += 1) this.#next();
  }

  /** From 0 up to, but without, the limit. */
  below(limit: number): number {
    return (this.#next() / 2 ** 32) * limit;
  }

  /** A whole number from 0 up to, but without, the limit. */
  whole(limit: number): number {
    return Math.floor(this.below(limit));
  }

  /** Whether something happens that does so this often, from 0 to 1. */
  is(likelihood: number): boolean {
    return this.below(1) < likelihood;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.whole(list.length)];
    if (picked === undefined) throw new Error('There is nothing to pick from.');
    return picked;
  }

  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
}
