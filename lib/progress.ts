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
  #waiting: (() => void)[] = [];

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

  async *follow(): AsyncGenerator<ProgressEvent, void, undefined> {
    for (let next = 0; ; ) {
      const event = this.#events[next];
      if (event !== undefined) {
        next += 1;
        yield event;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) {
      resolve();
    }
  }
}

/** That of no start at all. */
export const noProgress = new ProgressLog();
noProgress.end();
