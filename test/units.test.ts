import { expect } from 'chai';
import { bytes } from '../lib/units.ts';

describe('A size in memory', () => {
  const sizes: readonly (readonly [number | string, number])[] = [
    [1, 1],
    [1024, 1024],
    ['1K', 1024],
    ['512M', 512 * 1024 ** 2],
    ['4G', 4 * 1024 ** 3],
    ['1.5G', 1.5 * 1024 ** 3],
    ['2T', 2 * 1024 ** 4],
    ['0.3K', 307],
  ];
  for (const [memory, expected] of sizes) {
    it(`of ${memory} is ${expected} bytes`, () => {
      expect(bytes(memory)).to.equal(expected);
    });
  }
});
