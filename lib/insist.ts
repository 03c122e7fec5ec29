import { sleep } from './sleep.ts';

/** In ms: after the first try, and after the second one. */
const pauses = [500, 5000];

/**
 * Does what leaves something behind where it fails, three times if need be.
 *
 * @throws what the last try has thrown
 */
export async function insist(task: () => Promise<void>): Promise<void> {
  for (const pause of pauses) {
    try {
      await task();
      return;
    } catch {
      await sleep(pause);
    }
  }
  await task();
}
