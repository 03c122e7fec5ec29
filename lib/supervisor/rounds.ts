import type { ManagedServer } from './server.ts';

/** How many servers are dealt with before other work has its turn. */
const chunk = 200;

/** Calls a function again and again, spread in time, and not before the last call has settled. */
export class Rounds {
  readonly #interval: number;
  readonly #round: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
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
    this.#timer = setTimeout(
      () => {
        void this.#round().then(() => {
          this.#timer = undefined;
          this.start();
        });
      },
      this.#interval * (0.9 + 0.2 * Math.random()),
    );
    this.#timer.unref();
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}

/**
 * Polls servers. All of them have asked before the first awaits its answer, so that they share one;
 * in between other work has its turn.
 */
export async function pollAll(servers: readonly ManagedServer[]): Promise<void> {
  const polls: Promise<void>[] = [];
  for (const [index, server] of servers.entries()) {
    if (index % chunk === chunk - 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    polls.push(server.poll());
  }
  await Promise.all(polls);
}

/** Does something with each server, with so many of them at a time. */
export async function forEach(
  servers: readonly ManagedServer[],
  atOnce: number,
  task: (server: ManagedServer) => Promise<void>,
): Promise<void> {
  const left = servers.values();
  const work = async () => {
    for (const server of left) {
      await task(server);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
