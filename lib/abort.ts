import { AbortError, SpawnerError } from './errors.ts';

/** The error that an aborted call throws: the signal's reason if it is one of ours, else an `AbortError`. */
export function abortError(signal: AbortSignal): SpawnerError {
  const reason: unknown = signal.reason;
  return reason instanceof SpawnerError
    ? reason
    : new AbortError('The start was aborted.', { cause: reason });
}

/** Throws what `abortError` makes if the signal is aborted. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) {
    throw abortError(signal);
  }
}

/** Awaits a task that knows no signals; when `signal` is aborted, it is waited for no longer. */
export async function unlessAborted<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
  throwIfAborted(signal);
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([task(), aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * Runs a task with a signal of its own, which is aborted with `signal`, by `abort()`, and when the
 * task has settled. No listener stays on `signal`.
 */
export async function withSignal<T>(
  signal: AbortSignal | undefined,
  task: (signal: AbortSignal, abort: (reason: unknown) => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) {
    abort();
  }
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await task(controller.signal, (reason) => controller.abort(reason));
  } finally {
    signal?.removeEventListener('abort', abort);
    controller.abort();
  }
}

/**
 * Runs tasks side by side: the first to settle decides the outcome, the others are told to end by
 * their signal, and all have ended when this settles.
 */
export function firstOf<T>(
  signal: AbortSignal,
  ...tasks: readonly ((signal: AbortSignal) => Promise<T>)[]
): Promise<T> {
  return withSignal(signal, async (inner, abort) => {
    const running = tasks.map((task) => task(inner));
    try {
      return await Promise.race(running);
    } finally {
      abort(undefined);
      await Promise.allSettled(running);
    }
  });
}
