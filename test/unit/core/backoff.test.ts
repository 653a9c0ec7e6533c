import fc from 'fast-check';
import { expect, it } from 'vitest';
import { backoffMs, DEFAULT_BACKOFF } from '../../../src/core/backoff.ts';

it('doubles its ceiling from 250 ms up to 30 s', () => {
  const ceilings = [0, 1, 2, 3, 6, 7, 8, 100, 1e6].map((attempt) => backoffMs(attempt, DEFAULT_BACKOFF, () => 1));
  expect(ceilings).toEqual([250, 500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
});

it('is a whole number of milliseconds between zero and the ceiling, wherever the dice fall', () => {
  fc.assert(
    fc.property(fc.nat({ max: 1_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, dice) => {
      const ms = backoffMs(attempt, DEFAULT_BACKOFF, () => dice);
      expect(Number.isInteger(ms)).toBe(true);
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(ms).toBeLessThanOrEqual(Math.min(30_000, 250 * 2 ** attempt));
    }),
  );
});
