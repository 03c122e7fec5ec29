import { StartError } from '../errors.ts';
import type { JobClient } from './client.ts';
import type { JobFacts } from './request.ts';
import type { JobStatus, Scheduler } from './scheduler.ts';

/** In ms: between two questions why a job waits, which first has no reason, and then another one. */
const explainInterval = 30_000;

/** It runs, has run, or is being cleaned up. */
export function hasStarted({ state }: JobStatus): boolean {
  return state === 'running' || state === 'suspended' || state === 'completing';
}

/** The batch system itself says that it waits, and not only that it is not known yet. */
export function isBack({ state, nativeState }: JobStatus): boolean {
  return (state === 'pending' || state === 'held') && nativeState !== '';
}

/** Tells why a job waits, in words for people, and when that is news. */
export class WaitingJob {
  readonly #client: JobClient;
  readonly #reasons: Readonly<Record<string, string>>;
  readonly #held: 'fail' | 'wait';
  #before: JobStatus | undefined;
  #explained: string | undefined;
  /** When the command that explains was last run, in ms of `performance.now()`. */
  #explainedAt = Number.NEGATIVE_INFINITY;
  #told = '';

  constructor(
    client: JobClient,
    { reasons = {} }: Pick<Scheduler, 'reasons'>,
    held: 'fail' | 'wait',
  ) {
    this.#client = client;
    this.#reasons = reasons;
    this.#held = held;
  }

  /**
   * What there is to tell of a job that has not started; undefined where that is no news.
   *
   * @throws StartError where it is held, and a start does not wait for its release
   */
  async news(status: JobStatus, facts: JobFacts): Promise<string | undefined> {
    const { state, nativeState, reason, estimatedStart } = status;
    const isChanged = nativeState !== this.#before?.nativeState;
    if (isChanged) {
      this.#explained = undefined;
    }
    const isSaid = reason !== undefined || state === 'unknown';
    if (!isSaid && (isChanged || performance.now() - this.#explainedAt >= explainInterval)) {
      this.#explained = (await this.#client.explain(facts)) ?? this.#explained;
      this.#explainedAt = performance.now();
    }
    const message = waitingMessage(status, this.#inPlainWords(reason ?? this.#explained));
    // Seen twice: a hold may be over at once.
    if (state === 'held' && this.#before?.state === 'held' && this.#held === 'fail') {
      throw new StartError(
        `${message}. It is cancelled; with the option held: 'wait', a start waits for the release.`,
      );
    }
    this.#before = status;
    const told = `${message} ${estimatedStart?.getTime()}`;
    const isNews = told !== this.#told;
    this.#told = told;
    return isNews ? message : undefined;
  }

  #inPlainWords(reason: string | undefined): string | undefined {
    return reason !== undefined && Object.hasOwn(this.#reasons, reason)
      ? `${reason}: ${this.#reasons[reason]}`
      : reason;
  }
}

function waitingMessage({ id, state }: JobStatus, reason: string | undefined): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  switch (state) {
    case 'held':
      return `Job ${id} is held and does not start until someone releases it${why}`;
    case 'unknown':
      return `The state of job ${id} is not known; waiting for the batch system${why}`;
    default:
      return `Job ${id} waits in the queue${why}`;
  }
}
