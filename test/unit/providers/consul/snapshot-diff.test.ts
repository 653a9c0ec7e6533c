import { describe, expect, it } from 'vitest';
import type { Revision } from '../../../../src/core/provider.ts';
import type { ConsulEntry } from '../../../../src/providers/consul/consul-wire.ts';
import { compareSnapshots } from '../../../../src/providers/consul/snapshot-diff.ts';

const entry = (key: string, revision: number, createdRevision = revision, value = key): ConsulEntry => ({
  key,
  value: Buffer.from(value),
  revision: revision as Revision,
  createdRevision: createdRevision as Revision,
  flags: '0',
});
const state = (...entries: readonly ConsulEntry[]) => new Map(entries.map((each) => [each.key, each]));
const known = 10 as Revision;

describe('two lists of one prefix', () => {
  it('that are the same tell nothing', () => {
    expect(compareSnapshots(state(entry('a', 5)), [entry('a', 5)], known)).toEqual({ changes: [], missing: [], contradiction: undefined });
  });

  it('tell creations and updates in order of revision', () => {
    const updated = entry('a', 14, 5);
    const created = entry('b', 12);
    expect(compareSnapshots(state(entry('a', 5)), [updated, created], known).changes).toEqual([
      { type: 'put', entry: created },
      { type: 'put', entry: updated },
    ]);
  });

  it('tell a deletion before a key that was made again', () => {
    const again = entry('a', 15, 13);
    expect(compareSnapshots(state(entry('a', 5)), [again], known).changes).toEqual([
      { type: 'delete', key: 'a', revision: 12 },
      { type: 'put', entry: again },
    ]);
  });

  it('name what is gone without calling it deleted', () => {
    expect(compareSnapshots(state(entry('a', 5), entry('b', 6)), [entry('b', 6)], known)).toMatchObject({ changes: [], missing: ['a'] });
  });

  it.each([
    ['an entry that fell back', entry('a', 4)],
    ['the same version with other bytes', entry('a', 5, 5, 'other')],
    ['the same version of another life', entry('a', 5, 3)],
    ['a new version of a life that was not known', entry('a', 12, 7)],
    ['an old entry that was not known', entry('b', 9)],
  ])('of different histories contradict each other: %s', (_name, shown) => {
    expect(compareSnapshots(state(entry('a', 5)), [shown], known).contradiction).toBe(shown.key);
  });
});
