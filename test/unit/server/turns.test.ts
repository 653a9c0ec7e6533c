import { setImmediate as nextRound } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { untilCollected } from '../../support/collect-garbage.ts';
import { BURST_MS, Turns } from '../../../src/server/turns.ts';

/** Each look at the clock takes an eighth of a burst: a burst is of as many turns. */
const BURST = 8;

function create(onError?: (error: unknown) => void) {
  let looks = 0;
  const taken: number[] = [];
  const turns = new Turns(onError, () => (looks++ * BURST_MS) / BURST);
  const request = (name: number, during: () => void = () => undefined): void =>
    turns.request({
      takeTurn: () => {
        taken.push(name);
        during();
      },
    });
  return { taken, request };
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

describe('turns', () => {
  test('that fit into a burst are taken at once', () => {
    const { taken, request } = create();
    request(0);
    expect(taken).toEqual([0]);
    request(1);
    expect(taken).toEqual([0, 1]);
  });

  test('that do not fit are taken in later rounds of the event loop, in the order of asking, and others run in between', async () => {
    const { taken, request } = create();
    const count = BURST * 5;
    const betweens: number[] = [];
    for (const name of upTo(count)) request(name);
    expect(taken.length).toBeLessThan(BURST);
    while (taken.length < count) {
      betweens.push(taken.length);
      await nextRound();
    }
    expect(taken).toEqual(upTo(count));
    expect(betweens.length).toBeGreaterThan(3);
    expect(betweens.every((done, index) => index === 0 || done - (betweens[index - 1] ?? 0) <= BURST)).toBe(true);
  });

  test('asked for while others wait come after them', async () => {
    const { taken, request } = create();
    const count = BURST * 2;
    for (const name of upTo(count)) request(name);
    await nextRound();
    request(count);
    while (taken.length <= count) await nextRound();
    expect(taken).toEqual(upTo(count + 1));
  });

  test('asked for during a turn come after it', () => {
    const { taken, request } = create();
    request(0, () => {
      request(1);
      expect(taken).toEqual([0]);
    });
    expect(taken).toEqual([0, 1]);
  });

  test('leave nothing behind under a load that never ends', async () => {
    const { taken, request } = create();
    let isOver = false;
    const past: WeakRef<object>[] = [];
    for (let name = 0; name < BURST * 3; name++) {
      const again = (): void => {
        const load = { again };
        if (past.length < 10_000) past.push(new WeakRef(load));
        if (!isOver) request(name, () => load.again());
      };
      request(name, again);
    }
    try {
      while (taken.length < 20_000) await nextRound();
      // The load goes on: what had its turn long ago is gone all the same.
      await untilCollected(past, 8_000);
    } finally {
      isOver = true;
    }
  });

  test('that throw are told and harm no other', async () => {
    const errors: unknown[] = [];
    const { taken, request } = create((error) => errors.push(error));
    for (const name of upTo(BURST * 2)) {
      request(name, () => {
        throw new Error(`turn ${name}`);
      });
    }
    while (taken.length < BURST * 2) await nextRound();
    expect(errors.map(String)).toEqual(taken.map((name) => `Error: turn ${name}`));
  });

  test('all taken leave nothing behind: the next burst is a whole one', async () => {
    const { taken, request } = create();
    for (const name of upTo(BURST * 3)) request(name);
    while (taken.length < BURST * 3) await nextRound();
    await nextRound();
    request(99);
    expect(taken.at(-1)).toBe(99);
  });
});
