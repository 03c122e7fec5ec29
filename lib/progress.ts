/** How far a start has come. */
export interface ProgressEvent {
  /** 0 to 100, never falling within one start. */
  readonly progress: number;
  /** For a person: what is happening, and why where it waits. */
  readonly message: string;
  /** Whether the start goes on, has given a server that answers, or has failed. */
  readonly outcome: 'starting' | 'ready' | 'failed';
  /** When a waiting job is expected to start, where the scheduler says so. */
  readonly estimatedStart?: Date;
}

/** The progress of one start, for any number of readers, who all see it from its beginning. */
export class ProgressLog {
  readonly #events: ProgressEvent[] = [];
  #ended = false;
  readonly #waiting = new Set<() => void>();

  /** The last event, if there was one. */
  get last(): ProgressEvent | undefined {
    return this.#events.at(-1);
  }

  add(event: ProgressEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** No generator: that could not be left while it waits. */
  follow(): AsyncIterableIterator<ProgressEvent, undefined> {
    const over = { done: true, value: undefined } as const;
    let position = 0;
    let hasLeft = false;
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        for (;;) {
          const event = this.#events[position];
          if (hasLeft || (event === undefined && this.#ended)) {
            return over;
          }
          if (event !== undefined) {
            position += 1;
            return { done: false, value: event };
          }
          await new Promise<void>((resolve) => this.#waiting.add(resolve));
        }
      },
      return: async () => {
        hasLeft = true;
        this.#wake();
        return over;
      },
    };
  }

  #wake(): void {
    for (const resolve of this.#waiting) {
      resolve();
    }
    this.#waiting.clear();
  }
}

/** That of no start at all. */
export const noProgress = new ProgressLog();
noProgress.end();
