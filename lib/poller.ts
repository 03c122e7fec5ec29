/** Asks again and again whether a server lives, spread in time, so that its end is noticed. */
export class Poller {
  readonly #interval: number;
  readonly #isWanted: () => boolean;
  readonly #poll: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param interval in ms, give or take 10 %; 0 never asks
   * @param isWanted whether there is something to ask about
   * @param poll does not throw
   */
  constructor(interval: number, isWanted: () => boolean, poll: () => Promise<void>) {
    this.#interval = interval;
    this.#isWanted = isWanted;
    this.#poll = poll;
  }

  /** Asks after an interval, counted from now, and so on. It keeps no process alive. */
  restart(): void {
    this.stop();
    if (this.#interval === 0 || !this.#isWanted()) {
      return;
    }
    const timer = setTimeout(() => {
      void this.#poll().then(() => {
        if (this.#timer === timer) {
          this.restart();
        }
      });
    }, spread(this.#interval));
    timer.unref();
    this.#timer = timer;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** The interval, give or take a tenth by chance, so that not all come at once. */
export function spread(interval: number): number {
  return interval * (0.9 + 0.2 * Math.random());
}
