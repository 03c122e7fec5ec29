import { withSignal } from './abort.ts';

/**
 * Waits on the global `setTimeout`, which tests can fake.
 *
 * @param ms how long, in ms
 * @param signal ends the wait early: the promise then resolves, and the caller looks at the signal
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/**
 * Waits for something, but no longer than so many ms.
 *
 * @param signal ends the wait early
 * @returns whether it came to an end
 * @throws what it throws until then
 */
export function atMost(
  ms: number,
  task: Promise<unknown> | undefined,
  signal?: AbortSignal,
): Promise<boolean> {
  return withSignal(signal, (inner) =>
    Promise.race([Promise.resolve(task).then(() => true), sleep(ms, inner).then(() => false)]),
  );
}
