import { describe, expect, it } from 'vitest';
import { nearestKeys } from '../../../src/cli/neighbours.ts';

const KEYS = ['app/pool-size', 'app/pool-timeout', 'app/name', 'billing/pool-size', 'db/host', 'App/Mode'];

describe('the keys near a missing one', () => {
  it.each([
    ['app/pool-sise', ['app/pool-size']],
    ['app/poolsize', ['app/pool-size']],
    ['pool-size', ['app/pool-size', 'billing/pool-size']],
    ['config/app/name', ['app/name']],
    ['app/mode', ['App/Mode']],
    ['db/hots', ['db/host']],
    ['quite/another/thing', []],
    ['x', []],
  ])('of %s are %j', (key, expected) => {
    expect(nearestKeys(key, KEYS)).toEqual(expected);
  });

  it('are at most three, nearest first', () => {
    expect(nearestKeys('app/k1', ['app/k2', 'app/k3', 'app/k22', 'app/k4', 'app/k1x'])).toEqual(['app/k1x', 'app/k2', 'app/k3']);
    expect(nearestKeys('x', [])).toEqual([]);
  });
});
