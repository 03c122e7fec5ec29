import type { MonitorHealth } from '../batch/monitor.ts';
import { StartError } from '../errors.ts';
import type { ExitCause } from '../events.ts';
import type { Histogram } from './histogram.ts';
import { HistogramCounter } from './histogram.ts';
import type { ServerStatus } from './status.ts';

/**
 * The parts of a start: `slot`, how long it waited for its turn, since others came first; `submit`,
 * until its job or unit existed; `queue`, until that ran; `launch`, until the server was ready; and
 * `total`. Of one that was begun anew, `slot` and `total` are those of all its tries, the others those
 * of the last.
 */
export type StartPhase = 'slot' | 'submit' | 'queue' | 'launch' | 'total';

/** What came of the commands of one program. */
export interface CommandMetrics {
  /** Ended with exit code 0. */
  readonly ok: number;
  /** Ended with another exit code, or by a signal. */
  readonly failed: number;
  /** Did not end in time. */
  readonly timedOut: number;
  /** Could not be run at all, or were aborted before. */
  readonly notRun: number;
  /** How long those took that were run. */
  readonly seconds: Histogram;
}

/**
 * What a supervisor has counted since it was made, and how things stand: plain JSON, a copy that
 * does not change any more.
 */
export interface SupervisorMetrics {
  /** How many servers there are of each status now. */
  readonly servers: Readonly<Record<ServerStatus, number>>;
  /** What came of starts; `retried` ones failed and were begun anew. */
  readonly starts: Readonly<Record<'ready' | 'failed' | 'aborted' | 'retried', number>>;
  /**
   * Failed starts by the cause of the server's exit where it had one (`out-of-memory` …), else by the
   * `code` of the error, else under `unknown`. Where there are very many, the rest is `other`.
   */
  readonly failures: Readonly<Record<string, number>>;
  /** How servers ended that had been ready. */
  readonly exits: Readonly<Record<ExitCause, number>>;
  /** What came of stops. */
  readonly stops: Readonly<Record<'done' | 'failed', number>>;
  /** Servers that were stopped because nobody used them, or because they were too old. */
  readonly culled: Readonly<Record<'idle' | 'age', number>>;
  /** How long the starts took that gave a server, but for those that an earlier hub had begun. */
  readonly startSeconds: Readonly<Record<StartPhase, Histogram>>;
  /** By the name of the program, without its directory. Where there are very many, the rest is `other`. */
  readonly commands: Readonly<Record<string, CommandMetrics>>;
  /** What keeps an eye on jobs and units: one for each scheduler, cluster and account in use. */
  readonly monitors: readonly MonitorHealth[];
}

/** Of a start that gave a server: its moments, in ms of `performance.now()`. */
export interface StartTimes {
  readonly requested: number;
  /** In ms: how long it waited for its turn, each time that it did. */
  readonly waited: number;
  /** When it was its turn, the last time. */
  readonly slot: number;
  /** When there was a job or unit; a phase is left out where its beginning or its end is not known. */
  readonly submitted?: number | undefined;
  /** When that ran. */
  readonly running?: number | undefined;
  readonly ready: number;
}

/** What came of a command. */
export type CommandOutcome = Exclude<keyof CommandMetrics, 'seconds'>;

/** In s. */
const startBounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];
/** In s. */
const commandBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Collects the metrics of one supervisor. */
export class Metrics {
  readonly #starts = { ready: 0, failed: 0, aborted: 0, retried: 0 };
  readonly #failures = new NamedValues(() => ({ count: 0 }));
  readonly #exits: Record<ExitCause, number> = {
    completed: 0,
    failed: 0,
    cancelled: 0,
    timeout: 0,
    'out-of-memory': 0,
    preempted: 0,
    'node-failure': 0,
    unknown: 0,
  };
  readonly #stops = { done: 0, failed: 0 };
  readonly #culled = { idle: 0, age: 0 };
  readonly #phases = {
    slot: new HistogramCounter(startBounds),
    submit: new HistogramCounter(startBounds),
    queue: new HistogramCounter(startBounds),
    launch: new HistogramCounter(startBounds),
    total: new HistogramCounter(startBounds),
  } satisfies Record<StartPhase, HistogramCounter>;
  readonly #commands = new NamedValues(() => ({
    outcomes: { ok: 0, failed: 0, timedOut: 0, notRun: 0 },
    seconds: new HistogramCounter(commandBounds),
  }));

  /**
   * A start has given a server.
   *
   * @param times undefined where nobody knows when it began
   */
  started(times?: StartTimes): void {
    this.#starts.ready += 1;
    if (times === undefined) {
      return;
    }
    const { requested, waited, slot, submitted, running, ready } = times;
    this.#phase('slot', 0, waited);
    this.#phase('submit', slot, submitted);
    this.#phase('queue', submitted, running);
    this.#phase('launch', running, ready);
    this.#phase('total', requested, ready);
  }

  /** A start has failed, and is not begun anew by itself. */
  failed(error: unknown): void {
    this.#starts.failed += 1;
    this.#failures.of(causeOf(error)).count += 1;
  }

  /** A start was given up, by its user or by the hub. */
  aborted(): void {
    this.#starts.aborted += 1;
  }

  /** A start has failed, and is begun anew by itself. */
  retried(): void {
    this.#starts.retried += 1;
  }

  /** A server that had been ready has ended. */
  exited(cause: ExitCause): void {
    this.#exits[cause] += 1;
  }

  stopped(outcome: 'done' | 'failed'): void {
    this.#stops[outcome] += 1;
  }

  culled(why: 'idle' | 'age'): void {
    this.#culled[why] += 1;
  }

  /**
   * A command has ended.
   *
   * @param duration in ms; undefined where it was not run
   */
  ran(program: string, outcome: CommandOutcome, duration?: number): void {
    const { outcomes, seconds } = this.#commands.of(program);
    outcomes[outcome] += 1;
    if (duration !== undefined) {
      seconds.add(duration);
    }
  }

  /** All that was counted, with what only the supervisor knows. */
  snapshot(
    servers: SupervisorMetrics['servers'],
    monitors: SupervisorMetrics['monitors'],
  ): SupervisorMetrics {
    const { slot, submit, queue, launch, total } = this.#phases;
    return {
      servers: { ...servers },
      starts: { ...this.#starts },
      failures: this.#failures.map(({ count }) => count),
      exits: { ...this.#exits },
      stops: { ...this.#stops },
      culled: { ...this.#culled },
      startSeconds: {
        slot: slot.snapshot(),
        submit: submit.snapshot(),
        queue: queue.snapshot(),
        launch: launch.snapshot(),
        total: total.snapshot(),
      },
      commands: this.#commands.map(({ outcomes, seconds }) => ({
        ...outcomes,
        seconds: seconds.snapshot(),
      })),
      monitors: [...monitors],
    };
  }

  #phase(phase: StartPhase, from: number | undefined, to: number | undefined): void {
    if (from !== undefined && to !== undefined) {
      this.#phases[phase].add(Math.max(to - from, 0));
    }
  }
}

function causeOf(error: unknown): string {
  if (error instanceof StartError && error.exit !== undefined) {
    return error.exit.cause;
  }
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown';
}

/** Values by names that come from outside: the first so many names, and all others as one. */
class NamedValues<T> {
  static readonly #most = 50;
  readonly #create: () => T;
  readonly #values = new Map<string, T>();

  constructor(create: () => T) {
    this.#create = create;
  }

  of(name: string): T {
    const isFull = this.#values.size >= NamedValues.#most;
    const key = isFull && !this.#values.has(name) ? 'other' : name;
    let value = this.#values.get(key);
    if (value === undefined) {
      value = this.#create();
      this.#values.set(key, value);
    }
    return value;
  }

  map<U>(change: (value: T) => U): Record<string, U> {
    return Object.fromEntries([...this.#values].map(([name, value]) => [name, change(value)]));
  }
}
