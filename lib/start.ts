import { abortError, throwIfAborted, withSignal } from './abort.ts';
import type { SpawnerError, StartStep } from './errors.ts';
import { StartError, StartTimeoutError } from './errors.ts';
import type { ExitStatus } from './events.ts';

/** What the body of a start is given by `runStart`. */
export interface StartScope {
  /** Aborted when the start is. */
  readonly signal: AbortSignal;
  /**
   * Runs one step within its time limit.
   *
   * @param timeout in ms; null is without limit
   * @param trouble what the step has met with so far; a time-out names it
   * @throws StartTimeoutError, AbortError, or what `run` throws
   */
  step<T>(
    step: StartStep,
    timeout: number | null,
    run: (signal: AbortSignal) => Promise<T>,
    trouble?: () => SpawnerError | undefined,
  ): Promise<T>;
  /** Tells how far the start has come. */
  report(progress: number, message: string, estimatedStart?: Date): void;
}

/** Runs one step of a start; see `StartScope.step`. */
export async function runStep<T>(
  signal: AbortSignal,
  step: StartStep,
  timeout: number | null,
  run: (signal: AbortSignal) => Promise<T>,
  trouble?: () => SpawnerError | undefined,
): Promise<T> {
  return withSignal(signal, async (inner, abort) => {
    throwIfAborted(inner);
    const timer =
      timeout === null
        ? undefined
        : setTimeout(() => abort(timeoutError(step, timeout, trouble?.())), timeout);
    try {
      return await run(inner);
    } catch (error) {
      throw inner.aborted ? abortError(inner) : error;
    } finally {
      clearTimeout(timer);
    }
  });
}

function timeoutError(
  step: StartStep,
  timeout: number,
  trouble: SpawnerError | undefined,
): StartTimeoutError {
  const why = trouble === undefined ? '' : ` ${trouble.message}`;
  return new StartTimeoutError(`${timeoutMessage(step, timeout)}${why}`, step, timeout, trouble);
}

function timeoutMessage(step: StartStep, timeout: number): string {
  const seconds = `${timeout / 1000} s`;
  switch (step) {
    case 'preSpawn':
    case 'progressReady':
      return `The hook ${step} took longer than startTimeout (${seconds}).`;
    case 'submit':
      return `The submission could not be completed within startTimeout (${seconds}).`;
    case 'queue':
      return `The job waited in the queue for longer than queueTimeout (${seconds}).`;
    case 'launch':
      return `Where the server listens was not known within startTimeout (${seconds}).`;
    case 'readiness':
      return `The server did not answer within httpTimeout (${seconds}).`;
  }
}

/** What servers of many kinds write where another program has their port. */
const portIsTaken =
  /\baddress already in use\b|\bEADDRINUSE\b|\bport \d+ is (?:already in use|not available)\b/i;

/**
 * The error of a start whose server ended before it answered. It is retryable where the next one gets
 * another node, or another port: what was free when it was chosen may be taken a moment later.
 *
 * @param log the end of what the server wrote, where that is known
 */
export function endedEarly(
  message: string,
  exit: ExitStatus | undefined,
  log: string | null | undefined,
): StartError {
  const isOfTheNode = exit?.cause === 'node-failure' || exit?.cause === 'preempted';
  return new StartError(message, {
    ...(exit && { exit }),
    ...(typeof log === 'string' && log !== '' && { log }),
    retryable: isOfTheNode || portIsTaken.test(log ?? ''),
  });
}
