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
 * @returns whether it came to an end
 * @throws what it throws until then
 */
export async function atMost(ms: number, task: Promise<unknown> | undefined): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(ms, over.signal).then(() => false);
  try {
    return await Promise.race([Promise.resolve(task).then(() => true), late]);
  } finally {
    over.abort();
  }
}
