import { sleep } from '../sleep.ts';

/** What a question that many share has given. */
export interface SharedAnswer {
  /** When it was asked, in ms of `performance.now()`: the answer is at least as new. */
  readonly at: number;
  /** Why it does not say all that was asked for. */
  readonly problem?: string;
}

/** The longest pause between two tries while there is no usable answer, in ms. */
const longestPause = 15_000;

/**
 * Asks one question for all who want to know: at most one is under way and one waits, with a least
 * time between them, and longer ones while the answers are not usable.
 */
export class SharedQuery<A extends SharedAnswer> {
  readonly #ask: (at: number) => Promise<A>;
  /** The shortest that anybody asked for. */
  #interval: number;
  #last: A | undefined;
  /** The question under way. */
  #running: { readonly at: number; readonly answer: Promise<A> } | undefined;
  /** The question that has not begun yet, for all who want an answer that is newer. */
  #waiting: Promise<A> | undefined;
  /** When the next question may begin, in ms of `performance.now()`. */
  #earliest = 0;
  #failures = 0;
  #usableAt: number | undefined;
  #wantedAt: number | undefined;

  /**
   * @param ask is told when it is asked. It does not throw: what goes wrong is the `problem` of its answer
   * @param interval in ms: the least time between the beginnings of two questions
   */
  constructor(ask: (at: number) => Promise<A>, interval: number) {
    this.#ask = ask;
    this.#interval = interval;
  }

  /** How many answers in a row were not usable. */
  get failures(): number {
    return this.#failures;
  }

  /** When the last usable answer was asked for, in ms of `performance.now()`. */
  get usableAt(): number | undefined {
    return this.#usableAt;
  }

  /** When somebody last wanted an answer, in ms of `performance.now()`. */
  get wantedAt(): number | undefined {
    return this.#wantedAt;
  }

  /** Makes the least time shorter for all, in ms, if it is longer. */
  atLeastEvery(interval: number): void {
    this.#interval = Math.min(this.#interval, interval);
  }

  /**
   * The answer to a question that was asked at `since` or later, in ms of `performance.now()`, which
   * may have to be waited for.
   */
  answer(since: number): Promise<A> {
    this.#wantedAt = performance.now();
    if (this.#last !== undefined && this.#last.at >= since && performance.now() < this.#earliest) {
      return Promise.resolve(this.#last);
    }
    if (this.#running !== undefined && this.#running.at >= since) {
      return this.#running.answer;
    }
    this.#waiting ??= this.#next();
    return this.#waiting;
  }

  /** Asks when the question under way, if there is one, and the pause after it are over. */
  async #next(): Promise<A> {
    await this.#running?.answer;
    if (this.#earliest > performance.now()) {
      await sleep(this.#earliest - performance.now());
    }
    const at = performance.now();
    const running = this.#ask(at);
    this.#waiting = undefined;
    this.#running = { at, answer: running };
    const answer = await running;
    this.#running = undefined;
    this.#last = answer;
    if (answer.problem === undefined) {
      this.#failures = 0;
      this.#usableAt = at;
      this.#earliest = at + this.#interval;
    } else {
      this.#failures += 1;
      const pause = Math.min(this.#interval * 2 ** this.#failures, longestPause);
      this.#earliest = performance.now() + pause * (0.5 + 0.5 * Math.random());
    }
    return answer;
  }
}

const identities = new WeakMap<object, number>();
let known = 0;

/** A number for a function that no other one has, for the key of what is shared. */
export function identityOf(read: (...given: never[]) => unknown): number {
  let identity = identities.get(read);
  if (identity === undefined) {
    known += 1;
    identity = known;
    identities.set(read, identity);
  }
  return identity;
}

/** Things that are made once for all who share them: one of each key for each owner, gone with the owner. */
export class Shared<K extends object, T> {
  readonly #ofOwner = new WeakMap<K, Map<string, T>>();

  /** That of an owner and a key, which is made where there is none yet. */
  of(owner: K, key: string, make: () => T): T {
    let ofOwner = this.#ofOwner.get(owner);
    if (ofOwner === undefined) {
      ofOwner = new Map();
      this.#ofOwner.set(owner, ofOwner);
    }
    let one = ofOwner.get(key);
    if (one === undefined) {
      one = make();
      ofOwner.set(key, one);
    }
    return one;
  }

  /** All of an owner. */
  all(owner: K): readonly T[] {
    return [...(this.#ofOwner.get(owner)?.values() ?? [])];
  }
}
