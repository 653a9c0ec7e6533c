import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../../src/core/errors.ts';
import type { StoredSnapshot } from '../../../../src/core/provider.ts';
import { Mirror } from '../../../../src/server/cache/mirror.ts';
import { at, batch, del, entry, put } from '../stored.ts';

const loaded = (revision: number, ...entries: StoredSnapshot['entries']): Mirror => {
  const mirror = new Mirror();
  mirror.replace({ revision: at(revision), entries });
  return mirror;
};

const codeOf = (call: () => unknown): string | undefined => {
  try {
    call();
  } catch (error) {
    return isAttuneError(error) ? error.code : 'not ours';
  }
  return undefined;
};

describe('taking over a list', () => {
  it.each([
    ['out of order', ['b', 'a']],
    ['that names a key twice', ['a', 'a']],
  ])('%s is refused, and the state stays', (_what, keys) => {
    const mirror = loaded(3, entry('x', '1', 2));
    const entries = keys.map((key) => entry(key, '1', 4));
    expect(codeOf(() => mirror.load({ revision: at(5), entries }))).toBe('PROTOCOL');
    expect([mirror.revision, mirror.size, mirror.get('x')?.revision]).toEqual([3, 1, 2]);
  });
});

describe('applying a batch', () => {
  it('tells each change with what was there before', () => {
    const mirror = loaded(3, entry('a', '1', 2), entry('b', '1', 3));
    const applied = mirror.apply(batch(4, put('a', '2', 4, 2), del('b', 4), put('c', '1', 4)));
    expect(applied?.revision).toBe(4);
    expect(applied?.gap).toBe(false);
    expect(applied?.changes.map(({ key, revision, before, after }) => [key, revision, before?.revision, after?.revision])).toEqual([
      ['a', 4, 2, 4],
      ['b', 4, 3, undefined],
      ['c', 4, undefined, 4],
    ]);
    expect(mirror.revision).toBe(4);
    expect([...mirror.from('')].map(([key]) => key)).toEqual(['a', 'c']);
  });

  it('moves the revision without changes for progress, never back', () => {
    const mirror = loaded(3);
    expect(mirror.apply(batch(7))).toBeUndefined();
    expect(mirror.revision).toBe(7);
    expect(mirror.apply(batch(5))).toBeUndefined();
    expect(mirror.revision).toBe(7);
  });

  it('refuses a revision twice or backwards: the store broke its protocol', () => {
    const mirror = loaded(3);
    mirror.apply(batch(4, put('a', '1', 4)));
    expect(codeOf(() => mirror.apply(batch(4, put('b', '1', 4))))).toBe('PROTOCOL');
    expect(codeOf(() => mirror.apply(batch(2, put('b', '1', 2))))).toBe('PROTOCOL');
    expect(mirror.get('b')).toBeUndefined();
  });

  it('refuses the deletion of a key it does not hold, unless versions may be missing', () => {
    expect(codeOf(() => loaded(3).apply(batch(4, del('x', 4))))).toBe('PROTOCOL');
    expect(loaded(3).apply({ ...batch(4, del('x', 4)), gap: true })).toBeUndefined();
  });

  it('leaves out what it knows already', () => {
    const mirror = loaded(5, entry('a', 'new', 5, 1));
    const applied = mirror.apply({ ...batch(6, put('a', 'old', 4, 1), put('b', '1', 6)), gap: true });
    expect(applied?.changes.map(({ key }) => key)).toEqual(['b']);
    expect(mirror.get('a')?.revision).toBe(5);
  });
});

describe('a view', () => {
  it('does not show later batches', () => {
    const mirror = loaded(1, entry('a', '1', 1));
    const view = mirror.view();
    mirror.apply(batch(2, put('a', '2', 2, 1), put('b', '1', 2)));
    mirror.replace({ revision: at(9), entries: [] });
    expect(view.revision).toBe(1);
    expect(view.size).toBe(1);
    expect([...view.from('')].map(([key, { revision }]) => [key, revision])).toEqual([['a', 1]]);
  });

  it('is one and the same until something changes', () => {
    const mirror = loaded(1, entry('a', '1', 1));
    expect(mirror.view()).toBe(mirror.view());
    const before = mirror.view();
    mirror.apply(batch(2));
    expect(mirror.view()).not.toBe(before);
    expect(mirror.view().revision).toBe(2);
  });

  it('lists in the order of bytes, from the key asked for on', () => {
    const keys = ['a', 'a/b', 'a-b', 'b', '\uffff', '😀', 'é'];
    const mirror = loaded(1);
    mirror.apply(batch(2, ...keys.map((key) => put(key, '', 2))));
    const sorted = keys.toSorted((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    expect([...mirror.from('')].map(([key]) => key)).toEqual(sorted);
    expect([...mirror.from('b')].map(([key]) => key)).toEqual(sorted.slice(sorted.indexOf('b')));
  });
});

describe('replacing everything', () => {
  it('tells the difference as one batch with a gap', () => {
    const mirror = loaded(5, entry('changed', '1', 2), entry('gone', '1', 3), entry('kept', '1', 1));
    const difference = mirror.replace({
      revision: at(9),
      entries: [entry('changed', '2', 7, 2), entry('kept', '1', 1), entry('made', '1', 8)],
    });
    expect(difference?.gap).toBe(true);
    expect(difference?.revision).toBe(9);
    expect(difference?.changes.map(({ key, revision, before, after }) => [key, revision, before?.revision, after?.revision])).toEqual([
      ['gone', 9, 3, undefined],
      ['changed', 7, 2, 7],
      ['made', 8, undefined, 8],
    ]);
  });

  it('tells nothing when nothing differs, and takes over the revision', () => {
    const mirror = loaded(5, entry('a', '1', 1));
    expect(mirror.replace({ revision: at(9), entries: [entry('a', '1', 1)] })).toBeUndefined();
    expect(mirror.revision).toBe(9);
  });

  it('tells a key that was deleted and made again as both, the deletion first', () => {
    const mirror = loaded(5, entry('a', '1', 2, 2));
    const changes = mirror.replace({ revision: at(9), entries: [entry('a', '2', 8, 7)] })?.changes;
    expect(changes?.map(({ key, revision, after }) => [key, revision, after?.revision])).toEqual([
      ['a', 6, undefined],
      ['a', 8, 8],
    ]);
  });

  it('asks for the revision of a deletion, and takes the list’s where nobody knows', () => {
    const mirror = new Mirror((key) => (key === 'known' ? at(7) : undefined));
    mirror.replace({ revision: at(5), entries: [entry('known', '', 1), entry('unknown', '', 2)] });
    const changes = mirror.replace({ revision: at(9), entries: [] })?.changes;
    expect(changes?.map(({ key, revision }) => [key, revision])).toEqual([
      ['known', 7],
      ['unknown', 9],
    ]);
  });
});

describe('contradicts', () => {
  const mirror = loaded(5, entry('a', '1', 3), entry('b', '1', 5));

  it.each([
    ['the same state', false, { revision: at(5), entries: [entry('a', '1', 3), entry('b', '1', 5)] }],
    ['later changes', false, { revision: at(9), entries: [entry('a', '2', 8, 3), entry('c', '1', 9)] }],
    ['an older revision', true, { revision: at(4), entries: [entry('a', '1', 3)] }],
    ['an entry from the mirror’s time that it does not hold', true, { revision: at(9), entries: [entry('x', '1', 4)] }],
    ['an older version of an entry', true, { revision: at(9), entries: [entry('a', '0', 2)] }],
    ['another revision of the same time', true, { revision: at(9), entries: [entry('a', '1', 4)] }],
  ])('%s: %s', (_, expected, snapshot) => {
    expect(mirror.contradicts(snapshot)).toBe(expected);
  });
});

describe('lastChange', () => {
  it('is the change with the highest revision, after batches and after a list', () => {
    const mirror = loaded(5, entry('a', '1', 3), entry('b', '1', 5), entry('c', '1', 4));
    expect(mirror.lastChange?.key).toBe('b');
    mirror.apply(batch(6, del('b', 6)));
    expect(mirror.lastChange).toMatchObject({ key: 'b', revision: 6 });
    expect(mirror.lastChange?.after).toBeUndefined();
    mirror.apply(batch(9));
    expect(mirror.lastChange?.revision).toBe(6);
  });
});

it('holds the same after batches as after one list of their end', () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c', '😀', '\uffff'), value: fc.option(fc.string({ maxLength: 3 })) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat({ max: 40 }), (steps, cut) => {
      const followed = loaded(0);
      const relisted = loaded(0);
      const truth = new Map<string, ReturnType<typeof entry>>();
      steps.forEach(({ key, value }, index) => {
        const revision = index + 1;
        const known = truth.get(key);
        if (value === null && !known) return;
        if (value === null) truth.delete(key);
        else truth.set(key, entry(key, value, revision, known?.createdRevision ?? revision));
        const change = value === null ? del(key, revision) : put(key, value, revision, known?.createdRevision ?? revision);
        followed.apply(batch(revision, change));
        if (index < cut) relisted.apply(batch(revision, change));
      });
      const entries = [...truth.values()].sort((x, y) => Buffer.compare(Buffer.from(x.key), Buffer.from(y.key)));
      const before = new Map(relisted.from(''));
      const difference = relisted.replace({ revision: at(Math.max(steps.length, 1)), entries });
      expect([...relisted.from('')]).toEqual([...followed.from('')]);
      // Applied in order to the old state, the difference gives the new one.
      for (const { key, after } of difference?.changes ?? []) {
        if (after) before.set(key, after);
        else before.delete(key);
      }
      expect(before).toEqual(new Map(relisted.from('')));
    }),
  );
});
