import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** In ms: the median of what a function takes, after a first call that does not count. */
export function timeOf(run: () => unknown, rounds = 11): number {
  run();
  return median(
    Array.from({ length: rounds }, () => {
      const begun = performance.now();
      run();
      return performance.now() - begun;
    }),
  );
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** In bytes: what is in use after all that can be freed is freed. */
export function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

/** Ours by theirs, as in `2.4`. */
export function ratio(ours: number, theirs: number): string {
  return (ours / theirs).toFixed(1);
}

/** A number of ms as a text, in a unit that suits it. */
export function duration(ms: number): string {
  return ms < 1 ? `${(ms * 1000).toFixed(1)} µs` : `${ms.toFixed(1)} ms`;
}
