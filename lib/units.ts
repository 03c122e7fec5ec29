const powers: Readonly<Record<string, number>> = { K: 1, M: 2, G: 3, T: 4 };

/**
 * The number of bytes that an option means: `4G` is 4 × 1024³.
 *
 * @param memory as the schemas have checked it: bytes, or a number with K, M, G or T
 */
export function bytes(memory: number | string): number {
  if (typeof memory === 'number') {
    return memory;
  }
  return Math.floor(Number.parseFloat(memory) * 1024 ** (powers[memory.slice(-1)] ?? 0));
}

/** The number of seconds that a walltime means, as the schema of `request.runtime` has checked it. */
export function seconds(runtime: string): number {
  const [, days, clock = ''] = /^(?:(\d+)-)?(.*)$/.exec(runtime) ?? [];
  const [first = 0, second = 0, third = 0] = clock.split(':').map(Number);
  if (days !== undefined) {
    return Number(days) * 86_400 + first * 3600 + second * 60 + third;
  }
  // A number alone is minutes, two are minutes and seconds.
  return clock.split(':').length === 3 ? first * 3600 + second * 60 + third : first * 60 + second;
}
