import { abortError, throwIfAborted } from '../abort.ts';

/** The right to start, until `end()`. */
export interface Turn {
  /** It does not count for now: the start waits for somebody else. */
  pause(): void;
  /** It counts again, also where that is one too many. */
  resume(): void;
  end(): void;
}

interface Waiting {
  readonly user: string;
  readonly call: () => void;
}

/** Lets a number of starts be under way at once, so that no one person keeps all others waiting. */
export class Turns {
  readonly #limit: number;
  #active = 0;
  #isOver = false;
  readonly #activeOf = new Map<string, number>();
  readonly #waiting = new Set<Waiting>();
  #called = 0;
  /** Whose turn was called as which, while others wait. */
  readonly #lastOf = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Who waits does so until that is aborted. */
  stop(): void {
    this.#isOver = true;
  }

  /** Whether a turn would have to be waited for. */
  get areTaken(): boolean {
    return this.#active >= this.#limit;
  }

  /**
   * Waits for a turn. Of those who wait, it is next who has the fewest turns, then whose last one is
   * the longest ago, then who came first.
   *
   * @throws AbortError
   */
  async take(user: string, signal: AbortSignal): Promise<Turn> {
    throwIfAborted(signal);
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        user,
        call: () => {
          signal.removeEventListener('abort', leave);
          this.#count(user, 1);
          resolve();
        },
      };
      const leave = () => {
        this.#waiting.delete(waiting);
        reject(abortError(signal));
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.add(waiting);
      this.#callNext();
    });
    return this.#turn(user);
  }

  /** A turn without waiting, for a start that is under way already. */
  takeNow(user: string): Turn {
    this.#count(user, 1);
    return this.#turn(user);
  }

  #turn(user: string): Turn {
    let counts = true;
    const set = (wanted: boolean) => {
      if (counts !== wanted) {
        counts = wanted;
        this.#count(user, wanted ? 1 : -1);
        // Later, since a pause may be over in the same moment.
        queueMicrotask(() => this.#callNext());
      }
    };
    let isOver = false;
    return {
      pause: () => set(false),
      resume: () => set(!isOver),
      end: () => {
        isOver = true;
        set(false);
      },
    };
  }

  #count(user: string, change: number): void {
    this.#active += change;
    const count = (this.#activeOf.get(user) ?? 0) + change;
    if (count === 0) {
      this.#activeOf.delete(user);
    } else {
      this.#activeOf.set(user, count);
    }
  }

  #callNext(): void {
    while (!this.#isOver && this.#active < this.#limit) {
      let next: Waiting | undefined;
      let fewest = Number.POSITIVE_INFINITY;
      let earliest = 0;
      for (const waiting of this.#waiting) {
        const count = this.#activeOf.get(waiting.user) ?? 0;
        const last = this.#lastOf.get(waiting.user) ?? 0;
        if (count < fewest || (count === fewest && last < earliest)) {
          next = waiting;
          fewest = count;
          earliest = last;
        }
      }
      if (next === undefined) {
        this.#lastOf.clear();
        return;
      }
      this.#waiting.delete(next);
      this.#called += 1;
      this.#lastOf.set(next.user, this.#called);
      next.call();
    }
  }
}
