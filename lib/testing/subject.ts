import type { SpawnerContext } from '../context.ts';
import type { Spawner } from '../spawner.ts';

/** How long the conformance suite waits before it calls something broken, in ms. */
export interface ConformanceTimeouts {
  /** For a start, with its time in a queue. Default: 10,000. */
  readonly start?: number;
  /** For a stop, and until an end is noticed. Default: 10,000. */
  readonly end?: number;
}

/** A kind of spawner, and how the conformance suite gets its servers into each situation. */
export interface ConformanceSubject {
  /** Of the class, for the titles of the tests. */
  readonly name: string;
  /**
   * Makes a spawner whose server soon answers HTTP.
   *
   * @param context the token, the name of the server and, where it matters, the rest; what it does
   *   not give is the subject's to choose. A context that comes again stands for the same server.
   */
  create(context: Partial<SpawnerContext>): Spawner | Promise<Spawner>;
  /**
   * Makes a spawner whose server writes a line to its log and ends at once with exit code 3. The
   * tests of failed starts are left out without it.
   */
  createFailing?(context: Partial<SpawnerContext>): Spawner | Promise<Spawner>;
  /**
   * Makes a spawner whose server never answers, or whose job never leaves the queue. The tests of
   * starts that are interrupted while they wait are left out without it.
   */
  createSlow?(context: Partial<SpawnerContext>): Spawner | Promise<Spawner>;
  /** Ends the server that runs, without the spawner. */
  killBehindItsBack(spawner: Spawner): Promise<void>;
  /** For servers that are slower than the defaults allow. */
  readonly timeouts?: ConformanceTimeouts;
}
