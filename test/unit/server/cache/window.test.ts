import { queryObjects } from 'node:v8';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_WINDOW, Window, type WindowLimits } from '../../../../src/server/cache/window.ts';
import { at, entry } from '../stored.ts';

interface Clock {
  nowMs: number;
}

const windowOf = (limits: Partial<WindowLimits>, clock: Clock = { nowMs: 0 }): Window<string> =>
  new Window<string>(at(0), { minAgeMs: 0, minBatches: 0, maxBytes: Number.MAX_SAFE_INTEGER, ...limits }, () => clock.nowMs);

const batchOf = (revision: number, bytes = 0) => ({
  revision: at(revision),
  changes: bytes === 0 ? [] : [{ key: 'k', revision: at(revision), after: entry('k', Buffer.alloc(bytes), revision) }],
  gap: false,
  derived: `derived ${revision}`,
});

describe('next', () => {
  it('gives the first batch after a position, whether or not a batch stands there', () => {
    const window = windowOf({ minBatches: 10 });
    for (const revision of [5, 10, 20]) window.push(batchOf(revision));
    expect([0, 4, 5, 7, 10, 19, 20, 99].map((position) => window.next(at(position))?.revision)).toEqual([
      5,
      5,
      10,
      10,
      20,
      20,
      undefined,
      undefined,
    ]);
    expect(window.next(at(5))?.derived).toBe('derived 10');
  });
});

describe('eviction', () => {
  // Regression: what was evicted stayed in memory until a thousand batches more had been, far above `maxBytes`.
  it('lets go of what it has evicted', () => {
    class Derived {
      readonly revision: number;
      constructor(revision: number) {
        this.revision = revision;
      }
    }
    const window = new Window<Derived>(at(0), { minAgeMs: 0, minBatches: 3, maxBytes: Number.MAX_SAFE_INTEGER }, () => 0);
    for (let revision = 1; revision <= 500; revision++) window.push({ ...batchOf(revision), derived: new Derived(revision) });
    expect(window.size).toBe(500);
    const later = new Window<Derived>(at(0), { minAgeMs: -1, minBatches: 3, maxBytes: Number.MAX_SAFE_INTEGER }, () => 0);
    for (let revision = 1; revision <= 500; revision++) later.push({ ...batchOf(revision), derived: new Derived(revision) });
    expect(later.size).toBe(3);
    expect(queryObjects(Derived, { format: 'count' })).toBe(503);
  });

  it('keeps at least the number of batches asked for, however old they are', () => {
    const clock = { nowMs: 0 };
    const window = windowOf({ minBatches: 3 }, clock);
    for (let revision = 1; revision <= 5; revision++) window.push(batchOf(revision));
    clock.nowMs = 1_000_000;
    window.push(batchOf(6));
    expect(window.size).toBe(3);
    expect(window.oldest).toBe(3);
    expect(window.next(window.oldest)?.revision).toBe(4);
  });

  it('keeps what is younger than the age asked for, however many they are', () => {
    const clock = { nowMs: 0 };
    const window = windowOf({ minAgeMs: 75_000 }, clock);
    for (let revision = 1; revision <= 100; revision++) window.push(batchOf(revision));
    clock.nowMs = 75_000;
    window.push(batchOf(101));
    expect(window.size).toBe(101);
    clock.nowMs = 75_001;
    window.push(batchOf(102));
    expect(window.oldest).toBe(100);
    expect(window.size).toBe(2);
  });

  it('never holds more bytes than allowed, not even for one batch', () => {
    const window = windowOf({ minBatches: 1_000, maxBytes: 10_000 });
    for (let revision = 1; revision <= 50; revision++) {
      window.push(batchOf(revision, 1_000));
      expect(window.bytes).toBeLessThanOrEqual(10_000);
    }
    expect(window.size).toBeGreaterThan(0);
    window.push(batchOf(51, 20_000));
    expect(window.size).toBe(0);
    expect(window.bytes).toBe(0);
    expect(window.oldest).toBe(51);
  });

  it('counts the values before a change too: they are kept alive', () => {
    const window = windowOf({ minBatches: 10 });
    window.push({
      ...batchOf(1),
      changes: [{ key: 'k', revision: at(1), before: entry('k', Buffer.alloc(5_000), 1), after: entry('k', '', 1) }],
    });
    expect(window.bytes).toBeGreaterThan(5_000);
  });

  it('keeps 75 s and 2,048 batches within 64 MiB by default', () => {
    expect(DEFAULT_WINDOW).toEqual({ minAgeMs: 75_000, minBatches: 2_048, maxBytes: 64 * 1024 * 1024 });
  });
});

it('replays from any position not below the oldest exactly what was pushed after it', () => {
  const step = fc.record({ revisionStep: fc.integer({ min: 1, max: 3 }), bytes: fc.nat({ max: 300 }), ageStep: fc.nat({ max: 50 }) });
  const limits = fc.record({
    minAgeMs: fc.nat({ max: 200 }),
    minBatches: fc.nat({ max: 20 }),
    maxBytes: fc.integer({ min: 500, max: 20_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), limits, (steps, bounds) => {
      const clock = { nowMs: 0 };
      const window = windowOf(bounds, clock);
      const pushed: number[] = [];
      let revision = 0;
      for (const { revisionStep, bytes, ageStep } of steps) {
        clock.nowMs += ageStep;
        revision += revisionStep;
        pushed.push(revision);
        window.push(batchOf(revision, bytes));
        expect(window.bytes).toBeLessThanOrEqual(bounds.maxBytes);
      }
      for (const position of [window.oldest, ...pushed.filter((known) => known >= window.oldest)]) {
        const replayed: number[] = [];
        for (let next = window.next(at(position)); next; next = window.next(next.revision)) replayed.push(next.revision);
        expect(replayed).toEqual(pushed.filter((known) => known > position));
      }
    }),
  );
});

it('goes on after the array behind it was cut', () => {
  const window = windowOf({ minBatches: 10 }, { nowMs: 1 });
  const clock = { nowMs: 0 };
  const long = windowOf({ minBatches: 10 }, clock);
  for (let revision = 1; revision <= 10_000; revision++) {
    clock.nowMs++;
    long.push(batchOf(revision));
  }
  expect(long.size).toBeLessThanOrEqual(11);
  expect(long.next(long.oldest)?.revision).toBe(long.oldest + 1);
  expect(long.next(at(9_999))?.revision).toBe(10_000);
  expect(window.size).toBe(0);
});

it('forgets everything when it starts anew', () => {
  const window = windowOf({ minBatches: 10 });
  window.push(batchOf(5, 100));
  window.restart(at(40));
  expect([window.oldest, window.size, window.bytes]).toEqual([40, 0, 0]);
  expect(window.next(at(0))).toBeUndefined();
});
