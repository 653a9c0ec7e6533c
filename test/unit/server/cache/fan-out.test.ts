import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FilterIndex, matches, type Filter } from '../../../../src/server/cache/fan-out.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', '/', '😀', 'é'), maxLength: 5 });
const filter: fc.Arbitrary<Filter> = fc.record({ keys: fc.array(word, { maxLength: 3 }), prefixes: fc.array(word, { maxLength: 3 }) });

describe('FilterIndex', () => {
  it('finds exactly the subscribers whose filter matches, also after some have left', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(filter, fc.boolean()), { maxLength: 20 }), fc.array(word, { maxLength: 10 }), (subscriptions, keys) => {
        const index = new FilterIndex<number>();
        subscriptions.forEach(([one], id) => index.add(one, id));
        subscriptions.forEach(([one, leaves], id) => leaves && index.remove(one, id));
        for (const key of keys) {
          const found = new Set<number>();
          index.collect(key, found);
          const expected = subscriptions.flatMap(([one, leaves], id) => (!leaves && matches(one, key) ? [id] : []));
          expect([...found].sort((a, b) => a - b)).toEqual(expected);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('tells a subscriber once, however many of its filters match', () => {
    const index = new FilterIndex<string>();
    index.add({ keys: ['a/b'], prefixes: ['', 'a', 'a/'] }, 'x');
    const found = new Set<string>();
    index.collect('a/b', found);
    expect([...found]).toEqual(['x']);
  });

  it('leaves the others when one of two with the same filter goes', () => {
    const index = new FilterIndex<string>();
    const same: Filter = { keys: ['k'], prefixes: ['p/'] };
    index.add(same, 'x');
    index.add(same, 'y');
    index.remove(same, 'x');
    for (const key of ['k', 'p/1']) {
      const found = new Set<string>();
      index.collect(key, found);
      expect([...found]).toEqual(['y']);
    }
  });

  it('keeps one of a subscriber’s filters when a duplicate is removed with it', () => {
    const index = new FilterIndex<string>();
    index.add({ keys: [], prefixes: ['a', 'a'] }, 'x');
    index.remove({ keys: [], prefixes: ['a', 'a'] }, 'x');
    index.add({ keys: [], prefixes: ['b'] }, 'y');
    const found = new Set<string>();
    index.collect('b1', found);
    index.collect('a1', found);
    expect([...found]).toEqual(['y']);
  });
});

describe('matches', () => {
  it('takes keys exactly and prefixes by their beginning', () => {
    const both: Filter = { keys: ['app/pay'], prefixes: ['db/'] };
    expect(['app/pay', 'app/payroll', 'app/pay/x', 'db/', 'db/a', 'db', 'x'].map((key) => matches(both, key))).toEqual([
      true,
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
    expect(matches({ keys: [], prefixes: [''] }, 'anything')).toBe(true);
    expect(matches({ keys: [], prefixes: [] }, 'anything')).toBe(false);
  });
});
