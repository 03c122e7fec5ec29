import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { SpawnerContext } from '../context.ts';
import type { ExitStatus, ServerAddress, SpawnerEvents } from '../events.ts';
import { answersHttp } from '../readiness.ts';
import { sleep } from '../sleep.ts';
import type { Spawner } from '../spawner.ts';
import type { SpawnerState } from '../state.ts';
import type { ConformanceSubject } from './subject.ts';

/** Tests by their titles. */
export type Cases = Readonly<Record<string, (harness: Harness) => Promise<void>>>;

/** A spawner in a test, with what it has emitted. */
export interface Trial {
  readonly spawner: Spawner;
  readonly events: EventLog;
  /** The state of a spawner without a server. */
  readonly pristine: SpawnerState;
}

type EventName = keyof SpawnerEvents;
type Details = { readonly [E in EventName]: Parameters<SpawnerEvents[E]>[0][] };

/** All that a spawner has emitted, by event, and the names in their order. */
export class EventLog implements Details {
  readonly order: EventName[] = [];
  readonly state: Details['state'] = [];
  readonly progress: Details['progress'] = [];
  readonly submitted: Details['submitted'] = [];
  readonly running: Details['running'] = [];
  readonly ready: Details['ready'] = [];
  readonly moved: Details['moved'] = [];
  readonly exited: Details['exited'] = [];
  readonly warning: Details['warning'] = [];

  constructor(spawner: Spawner) {
    const into =
      <D>(name: EventName, list: D[]) =>
      (detail: D) => {
        this.order.push(name);
        list.push(detail);
      };
    spawner.on('state', into('state', this.state));
    spawner.on('progress', into('progress', this.progress));
    spawner.on('submitted', into('submitted', this.submitted));
    spawner.on('running', into('running', this.running));
    spawner.on('ready', into('ready', this.ready));
    spawner.on('moved', into('moved', this.moved));
    spawner.on('exited', into('exited', this.exited));
    spawner.on('warning', into('warning', this.warning));
  }

  /** Everything that came with the events. */
  get details(): readonly unknown[] {
    const { state, progress, submitted, running, ready, moved, exited, warning } = this;
    return [state, progress, submitted, running, ready, moved, exited, warning].flat();
  }
}

/** Creates spawners, waits within bounds, and stops what a test has left. */
export class Harness {
  readonly subject: ConformanceSubject;
  readonly #start: number;
  readonly #end: number;
  #trials: Trial[] = [];
  #names = 0;

  constructor(subject: ConformanceSubject) {
    this.subject = subject;
    this.#start = subject.timeouts?.start ?? 10_000;
    this.#end = subject.timeouts?.end ?? 10_000;
  }

  /** For a whole test, in ms: more than all its waits together, which are bounded by themselves. */
  get timeLimit(): number {
    return 4 * (this.#start + this.#end);
  }

  create(context?: Partial<SpawnerContext>): Promise<Trial> {
    return this.#try((given) => this.subject.create(given), context);
  }

  createFailing(context?: Partial<SpawnerContext>): Promise<Trial> {
    return this.#try((given) => this.subject.createFailing?.(given), context);
  }

  createSlow(context?: Partial<SpawnerContext>): Promise<Trial> {
    return this.#try((given) => this.subject.createSlow?.(given), context);
  }

  /** Without a context the server has a name that no other test uses. */
  async #try(
    make: (context: Partial<SpawnerContext>) => Spawner | undefined | Promise<Spawner | undefined>,
    context: Partial<SpawnerContext> = {},
  ): Promise<Trial> {
    this.#names += 1;
    const spawner = await make({
      serverName: `case${this.#names}`,
      apiToken: randomBytes(16).toString('hex'),
      ...context,
    });
    assert.ok(spawner, 'the subject made no spawner');
    const trial = { spawner, events: new EventLog(spawner), pristine: spawner.getState() };
    this.#trials.push(trial);
    return trial;
  }

  /** Stops all servers of the test that is over. */
  async release(): Promise<void> {
    const trials = this.#trials;
    this.#trials = [];
    const stops = trials.map(({ spawner }) => this.stop(spawner, { now: true }));
    const results = await Promise.allSettled(stops);
    for (const result of results) {
      if (result.status === 'rejected') {
        throw result.reason;
      }
    }
  }

  /** `start()` within its bound. */
  start(spawner: Spawner, signal?: AbortSignal): Promise<ServerAddress> {
    return this.settled(spawner.start(signal));
  }

  /** A start that has begun, within its bound. */
  settled<T>(starting: Promise<T>): Promise<T> {
    const settled = within(this.#start, 'start()', starting);
    // A case that fails before it awaits this leaves no unhandled rejection behind.
    settled.catch(() => {});
    return settled;
  }

  /** Waits until there is a job or process, while the start goes on. */
  async submitted({ spawner, events }: Trial, starting: Promise<unknown>): Promise<void> {
    const submitted = new Promise<void>((resolve) => {
      spawner.once('submitted', () => resolve());
    });
    if (events.submitted.length === 0) {
      const settled = starting.then(() => 'settled' as const);
      const first = await within(
        this.#start,
        "the event 'submitted'",
        Promise.race([submitted, settled]),
      );
      assert.notEqual(first, 'settled', "the start came to its end without the event 'submitted'");
    }
  }

  /** Awaits that a start is aborted, and asserts that it has left nothing. */
  async aborted(trial: Trial, starting: Promise<unknown>): Promise<void> {
    await assert.rejects(within(this.#end, 'the end of an aborted start', starting), {
      name: 'AbortError',
      code: 'ERR_SPAWNER_ABORTED',
    });
    await this.nothingLeft(trial);
  }

  /** `stop()` within its bound. */
  stop(spawner: Spawner, how?: { readonly now: boolean }): Promise<void> {
    return within(this.#end, 'stop()', spawner.stop(how));
  }

  /** Polls until the server is said to have ended. */
  async ended(spawner: Spawner): Promise<ExitStatus> {
    const deadline = Date.now() + this.#end;
    for (;;) {
      const exit = await spawner.poll();
      if (exit !== null) {
        return exit;
      }
      assert.ok(Date.now() < deadline, `poll() still says null ${this.#end} ms after the end`);
      await sleep(20);
    }
  }

  /** Asserts that a spawner is without a server and says so by all its faces. */
  async nothingLeft({ spawner, pristine }: Trial): Promise<void> {
    assertExit(await spawner.poll());
    assert.equal(spawner.address, undefined, 'there is an address, but no server');
    assert.deepEqual(spawner.getState(), pristine, 'the state is not that of an unused spawner');
  }

  /** Asserts that a server runs, and that its spawner knows it. */
  async lives({ spawner }: Trial, address: ServerAddress): Promise<void> {
    assert.equal(await spawner.poll(), null, 'poll() says that a server has ended which lives');
    assert.deepEqual(spawner.address, address);
    assert.equal(await answers(address), true, `nothing answers at ${address.url}`);
  }
}

/** Whether a web server answers at an address. */
export function answers({ url }: ServerAddress): Promise<boolean> {
  return answersHttp(url, { timeout: 2000 });
}

/** The context of a spawner, to make another one for the same server. */
export function contextOf(spawner: Spawner): Partial<SpawnerContext> {
  const { apiToken } = spawner;
  return { ...spawner.context, ...(apiToken !== undefined && { apiToken }) };
}

const causes: readonly ExitStatus['cause'][] = [
  'completed',
  'failed',
  'cancelled',
  'timeout',
  'out-of-memory',
  'preempted',
  'node-failure',
  'unknown',
];

/** Asserts that `poll()` has given an ExitStatus, with all its fields. */
export function assertExit(exit: ExitStatus | null): asserts exit is ExitStatus {
  assert.ok(exit !== null, 'poll() says null, but there is no server');
  const { code, signal, cause, message } = exit;
  assert.ok(code === null || Number.isInteger(code), `the exit code is ${code}`);
  assert.ok(signal === null || typeof signal === 'string', `the signal is ${signal}`);
  assert.ok(causes.includes(cause), `the cause of the end is ${cause}`);
  assert.ok(message !== '', 'the end has no message');
}

/** Awaits a promise, and fails when it takes too long. */
async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new assert.AssertionError({ message: `${what} took longer than ${ms} ms` }));
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => {});
  }
}
