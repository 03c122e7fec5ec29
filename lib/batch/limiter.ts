import type { CommandRunner } from '../runners/runner.ts';

/** How many commands about single jobs are run at once through one runner. */
const most = 8;

const limiters = {
  ask: new WeakMap<CommandRunner, Limiter>(),
  end: new WeakMap<CommandRunner, Limiter>(),
};

/**
 * The limiter that all spawners of a runner share, for questions or for the ends of jobs: many jobs
 * may end, or be ended, at the same moment.
 */
export function limiterOf(runner: CommandRunner, what: 'ask' | 'end' = 'ask'): Limiter {
  let limiter = limiters[what].get(runner);
  if (limiter === undefined) {
    limiter = new Limiter();
    limiters[what].set(runner, limiter);
  }
  return limiter;
}

/** Lets a number of tasks run at once, and the others wait for their turn. */
export class Limiter {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= most) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#running -= 1;
      } else {
        next();
      }
    }
  }
}
