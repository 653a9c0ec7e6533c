import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isKey, parseKey } from '../../../../src/core/key.ts';
import { createLayout } from '../../../../src/server/store/layout.ts';

const layout = createLayout('app/config');
const key = fc
  .string({ unit: fc.constantFrom('a', 'B', '/', '.', '%', ' ', 'é', '😀', '-', 'attune'), minLength: 1, maxLength: 12 })
  .filter(isKey);

describe('places in the store', () => {
  it('are where tools that know the design look for them', () => {
    const app = parseKey('pay/pool size');
    expect(layout.valueKey(app)).toBe('app/config/pay/pool size');
    expect(layout.sidecarKey(app)).toBe('app/config/.attune/meta/pay/pool size');
    expect(layout.historyKey(app, 7)).toBe('app/config.attune/history/pay%2Fpool%20size/0000000000000007');
    expect(layout.epochKey).toBe('app/config/.attune/system/epoch');
  });

  it('are told apart: a value is no sidecar, a sidecar no value, a record neither', () => {
    fc.assert(
      fc.property(key, key, (one, other) => {
        expect(layout.keyOfValue(layout.valueKey(one))).toBe(one);
        expect(layout.keyOfSidecar(layout.valueKey(one))).toBeUndefined();
        expect(layout.keyOfSidecar(layout.sidecarKey(one))).toBe(one);
        expect(layout.keyOfValue(layout.sidecarKey(one))).toBeUndefined();
        expect(layout.keyOfValue(layout.historyKey(one, 1))).toBeUndefined();
        expect(layout.isSkipped(layout.valueKey(one))).toBe(false);
        expect(layout.isSkipped(layout.sidecarKey(one))).toBe(false);
        if (one !== other) expect(layout.historyKey(one, 1)).not.toBe(layout.historyKey(other, 1));
      }),
    );
  });

  it('keep records of one key apart from those of a key that begins the same', () => {
    const [short, long] = [parseKey('a'), parseKey('a/b')];
    expect(layout.historyKey(long, 1).startsWith(layout.historyPrefix(short))).toBe(false);
    expect(layout.historyKey(parseKey('a b'), 1).startsWith(layout.historyPrefix(short))).toBe(false);
  });

  it('order records by sequence as the store orders bytes', () => {
    const app = parseKey('a');
    const keys = [1, 2, 9, 10, 99, 100, 12_345].map((sequence) => layout.historyKey(app, sequence));
    expect(keys.toSorted()).toEqual(keys);
  });

  it('leave out stored keys outside the grammar', () => {
    for (const odd of [
      'app/config/',
      'app/config//x',
      'app/config/a/',
      'app/config/a//b',
      'app/config/..',
      'app/config/a\n',
      'app/config/x/.attune/y',
      `app/config/${'a'.repeat(513)}`,
    ]) {
      expect(layout.keyOfValue(odd)).toBeUndefined();
      expect(layout.isSkipped(odd)).toBe(true);
    }
    expect(layout.isSkipped('app/other')).toBe(false);
    expect(layout.isSkipped('app/config.attune/history/a/1')).toBe(false);
  });
});
