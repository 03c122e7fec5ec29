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
