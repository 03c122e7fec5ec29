import { throwIfAborted, unlessAborted } from '../abort.ts';
import type { AbortError } from '../errors.ts';
import { SpawnerError, StartError, StartTimeoutError } from '../errors.ts';
import type { ServerAddress } from '../events.ts';
import type { SupervisorPolicies } from '../generated/options.ts';
import type { ProgressEvent } from '../progress.ts';
import { sleep } from '../sleep.ts';
import type { Spawner } from '../spawner.ts';
import type { Metrics, StartTimes } from './metrics.ts';
import type { ServerStatus } from './status.ts';
import type { Turn, Turns } from './turns.ts';

/** What a start needs of the supervisor. */
export interface StartHome {
  readonly policies: SupervisorPolicies;
  readonly turns: Turns;
  readonly metrics: Metrics;
}

/** Whom a start tells how far it has come. */
export interface StartTeller {
  setStatus(status: ServerStatus): void;
  tell(event: ProgressEvent): void;
}

/** In ms: between two tries of a start. */
const longestPause = 1e9;

/** Gets a server to run, in its turn and with as many tries as it may have. */
export class ServerStart {
  readonly #home: StartHome;
  readonly #user: string;
  readonly #teller: StartTeller;
  readonly #halt = new AbortController();
  readonly #requested = performance.now();
  /** An earlier hub had begun it. */
  #isResumed = false;
  #turn: Turn | undefined;
  /** In ms: for its turns. */
  #waited = 0;
  #slot = 0;
  #submitted: number | undefined;
  #running: number | undefined;
  #isUnclear = false;
  #clarified: () => void = () => {};
  readonly #clarity = new Promise<void>((resolve) => {
    this.#clarified = resolve;
  });

  /** @param user by whose other starts its turn is chosen */
  constructor(home: StartHome, user: string, teller: StartTeller) {
    this.#home = home;
    this.#user = user;
    this.#teller = teller;
  }

  /** Aborted when the server is to be started no further. */
  get signal(): AbortSignal {
    return this.#halt.signal;
  }

  /** The server is to be started no further. What runs already is not stopped by that. */
  halt(reason: AbortError): void {
    this.#halt.abort(reason);
  }

  /** How long it took, where it has just given a server; undefined where an earlier hub had begun it. */
  get times(): StartTimes | undefined {
    return this.#isResumed
      ? undefined
      : {
          ...{ requested: this.#requested, waited: this.#waited, slot: this.#slot },
          ...{ submitted: this.#submitted, running: this.#running, ready: performance.now() },
        };
  }

  /** There is a job or unit, which may wait, also once more: meanwhile the turn is that of others. */
  isSubmitted(): void {
    this.#submitted ??= performance.now();
    this.#running = undefined;
    this.#turn?.pause();
  }

  isRunning(): void {
    this.#running ??= performance.now();
    this.#turn?.resume();
  }

  /** Whether it is not known yet if an earlier hub has made a job or unit. */
  get isUnclear(): boolean {
    return this.#isUnclear;
  }

  /** It is not known if an earlier hub has made a job or unit: `goOn` waits for `clarify`. */
  doubt(): void {
    this.#isUnclear = true;
  }

  clarify(): void {
    this.#isUnclear = false;
    this.#clarified();
  }

  /** Starts it, in its turn. */
  begin(spawner: Spawner): Promise<ServerAddress> {
    return this.#attempts(spawner, 1);
  }

  /** Goes on with what an earlier hub has begun, or begins anew where nothing of it is there. */
  async goOn(spawner: Spawner): Promise<ServerAddress> {
    this.#isResumed = true;
    if (this.#isUnclear) {
      this.#tell('It is found out first whether an earlier hub has begun to start it already');
      await unlessAborted(this.signal, () => this.#clarity);
      throwIfAborted(this.signal);
    }
    try {
      return await this.#resume(spawner);
    } catch (error) {
      const { policies, metrics } = this.#home;
      if (policies.retries === 0 || !this.#mayRetry(spawner, error)) {
        throw error;
      }
      metrics.retried();
      return this.#attempts(spawner, 2);
    }
  }

  async #resume(spawner: Spawner): Promise<ServerAddress> {
    if (!spawner.hasServer) {
      throw new StartError('The hub ended before the start of the server had begun.', {
        retryable: true,
      });
    }
    // It may still wait for somebody else; when it runs it counts.
    const turn = this.#home.turns.takeNow(this.#user);
    turn.pause();
    this.#newTry(turn);
    try {
      return await spawner.resume();
    } finally {
      turn.end();
    }
  }

  async #attempts(spawner: Spawner, first: number): Promise<ServerAddress> {
    const { turns, metrics, policies } = this.#home;
    for (let attempt = first; ; attempt += 1) {
      this.#teller.setStatus('waiting');
      if (turns.areTaken) {
        this.#tell('It waits for its turn: as many servers as may be are being started');
      }
      const asked = performance.now();
      const turn = await turns.take(this.#user, this.signal);
      this.#waited += performance.now() - asked;
      this.#newTry(turn);
      try {
        throwIfAborted(this.signal);
        this.#teller.setStatus('starting');
        throwIfAborted(this.signal);
        return await spawner.start();
      } catch (error) {
        if (!this.#mayRetry(spawner, error) || attempt > policies.retries) {
          throw error;
        }
        metrics.retried();
        turn.end();
        await this.#pause(attempt, error);
      } finally {
        turn.end();
      }
    }
  }

  #newTry(turn: Turn): void {
    this.#turn = turn;
    this.#slot = performance.now();
    this.#submitted = undefined;
    this.#running = undefined;
  }

  async #pause(attempt: number, { message }: SpawnerError): Promise<void> {
    const longest = Math.min(this.#home.policies.retryDelay * 2 ** (attempt - 1), longestPause);
    const pause = longest * (0.5 + 0.5 * Math.random());
    this.#tell(`${message} It is tried again in ${Math.ceil(pause / 1000)} s.`);
    await sleep(pause, this.signal);
    throwIfAborted(this.signal);
  }

  #tell(message: string): void {
    this.#teller.tell({ progress: 0, message, outcome: 'starting' });
  }

  #mayRetry(spawner: Spawner, error: unknown): error is SpawnerError {
    // Whoever has waited for long would wait once more, from the end of the queue.
    const isQueued = error instanceof StartTimeoutError && error.step === 'queue';
    const mayPass = error instanceof SpawnerError && error.retryable && !isQueued;
    return mayPass && !this.signal.aborted && !spawner.hasServer;
  }
}
