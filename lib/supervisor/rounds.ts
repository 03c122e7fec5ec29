import { spread } from '../poller.ts';

/** How many servers are dealt with before other work has its turn. */
const chunk = 200;

/** Calls a function again and again, spread in time, and not before the last call has settled. */
export class Rounds {
  readonly #interval: number;
  readonly #round: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  /** What is under way: a call in its time, or one that was made because of a wish during another. */
  #calling: 'usual' | 'extra' | undefined;
  #isHurried = false;
  #isOver = false;

  /**
   * @param interval in ms, give or take a tenth
   * @param round does not throw
   */
  constructor(interval: number, round: () => Promise<void>) {
    this.#interval = interval;
    this.#round = round;
  }

  /** Begins, an interval from now. It keeps no process alive. */
  start(): void {
    if (this.#isOver || this.#timer !== undefined) {
      return;
    }
    this.#timer = setTimeout(() => this.#call('usual'), spread(this.#interval));
    this.#timer.unref();
  }

  /** Makes the next call now, or after the one that is under way: once, whatever is wished during that. */
  hurry(): void {
    if (this.#isOver || this.#timer === undefined) {
      return;
    }
    if (this.#calling === undefined) {
      clearTimeout(this.#timer);
      this.#call('usual');
    } else if (this.#calling === 'usual') {
      this.#isHurried = true;
    }
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #call(kind: 'usual' | 'extra'): void {
    this.#calling = kind;
    void this.#round().then(() => {
      this.#calling = undefined;
      if (this.#isHurried && !this.#isOver) {
        this.#isHurried = false;
        this.#call('extra');
      } else {
        this.#timer = undefined;
        this.start();
      }
    });
  }
}

/**
 * Does with all of a list what asks about each. None waits for the answer of another, so that they
 * share one; in between other work has its turn.
 */
export async function allAtOnce<T>(
  list: readonly T[],
  ask: (each: T) => Promise<void>,
): Promise<void> {
  const asked: Promise<void>[] = [];
  for (const [index, each] of list.entries()) {
    if (index % chunk === chunk - 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const asking = ask(each);
    // It is awaited below, when all have asked.
    asking.catch(() => {});
    asked.push(asking);
  }
  await Promise.all(asked);
}

/**
 * Does something with each of a list, with so many of them at a time.
 *
 * @param inARow how many are begun before other work has its turn
 */
export async function forEach<T>(
  list: readonly T[],
  atOnce: number,
  task: (each: T) => Promise<unknown>,
  inARow = chunk,
): Promise<void> {
  const left = list.entries();
  // All of them wait for it: one that waits alone gives way to the others only.
  let turn: Promise<unknown> | undefined;
  const work = async () => {
    for (const [index, each] of left) {
      if (index % inARow === inARow - 1) {
        turn = new Promise((resolve) => setImmediate(resolve));
      }
      await turn;
      await task(each);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
