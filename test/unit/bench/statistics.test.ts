import { describe, expect, it } from 'vitest';
import { median, quantile, ratios, spread, thin } from '../../../bench/support/statistics.ts';

describe('statistics of benchmarks', () => {
  it('takes the median of the middle two where the number of values is even', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 4, 6])).toBe(5);
    expect(median([])).toBeNaN();
  });

  it('takes a quantile by rank, the last one for the whole', () => {
    const sorted = Array.from({ length: 100 }, (_, index) => index);
    expect([0, 0.5, 0.99, 1].map((share) => quantile(sorted, share))).toEqual([0, 50, 99, 99]);
  });

  it('sorts numbers as numbers', () => {
    expect(spread([10, 9, 100])).toEqual({ median: 10, least: 9, most: 100 });
  });

  it('takes ratios round by round, so that a slow round of both is no slow ratio', () => {
    expect(ratios([10, 100], [5, 50])).toEqual([2, 2]);
    expect(() => ratios([1, 2], [1])).toThrow('2 rounds of one and 1 of the other');
  });

  it('keeps both ends when it thins out', () => {
    const sorted = Array.from({ length: 1_001 }, (_, index) => index);
    expect(thin(sorted, 5)).toEqual([0, 250, 500, 750, 1_000]);
    expect(thin([1, 2], 5)).toEqual([1, 2]);
  });
});
