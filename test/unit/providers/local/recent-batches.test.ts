import { describe, expect, it } from 'vitest';
import type { Revision, StoredBatch } from '../../../../src/core/provider.ts';
import { RecentBatches } from '../../../../src/providers/local/recent-batches.ts';

function batch(revision: number, key = `key-${revision}`, bytes = 1): StoredBatch {
  const entry = { key, value: new Uint8Array(bytes), revision: revision as Revision, createdRevision: revision as Revision };
  return { revision: entry.revision, changes: [{ type: 'put', entry }] };
}

function fill(recent: RecentBatches, from: number, to: number): RecentBatches {
  for (let revision = from; revision <= to; revision++) recent.push(batch(revision));
  return recent;
}

function revisionsAfter(recent: RecentBatches, after: number, prefix = ''): number[] {
  return recent.read(prefix, after as Revision).batches.map(({ revision }) => revision);
}

describe('recent batches', () => {
  it('begin after the head they were made with', () => {
    const recent = fill(new RecentBatches(40 as Revision), 41, 43);
    expect(recent.oldest).toBe(40);
    expect(revisionsAfter(recent, 40)).toEqual([41, 42, 43]);
    expect(revisionsAfter(recent, 42)).toEqual([43]);
    expect(recent.read('', 43 as Revision)).toEqual({ batches: [], upTo: 43 });
  });

  it('keep the newest maxBatches, over many times their number', () => {
    const recent = new RecentBatches(0 as Revision, { maxBatches: 5 });
    for (let head = 1; head <= 100; head++) {
      recent.push(batch(head));
      const oldest = Math.max(0, head - 5);
      expect(recent.oldest).toBe(oldest);
      expect(revisionsAfter(recent, oldest)).toEqual(Array.from({ length: head - oldest }, (_, index) => oldest + 1 + index));
    }
  });

  it('keep no more than maxBytes of keys and values, nothing at all if the newest is larger', () => {
    const recent = new RecentBatches(0 as Revision, { maxBytes: 250 });
    for (let revision = 1; revision <= 4; revision++) recent.push(batch(revision, 'k'.repeat(20), 80));
    expect(recent.oldest).toBe(2);
    recent.push(batch(5, 'k', 300));
    expect(recent.oldest).toBe(5);
    expect(revisionsAfter(recent, 5)).toEqual([]);
    recent.push(batch(6));
    expect(revisionsAfter(recent, 5)).toEqual([6]);
  });

  it('show of a batch what lies under the prefix, and read on past what does not', () => {
    const recent = new RecentBatches(0 as Revision);
    const [first] = batch(1, 'a/1').changes;
    const [second] = batch(1, 'b/1').changes;
    if (!first || !second) throw new Error('unreachable');
    recent.push({ revision: 1 as Revision, changes: [first, second] });
    recent.push(batch(2, 'b/2'));
    expect(recent.read('a/', 0 as Revision)).toEqual({ batches: [{ revision: 1, changes: [first] }], upTo: 2 });
  });

  it('are read in bounded parts', () => {
    const recent = fill(new RecentBatches(0 as Revision), 1, 1_500);
    const { batches, upTo } = recent.read('', 0 as Revision);
    expect(batches).toHaveLength(upTo);
    expect(upTo).toBeLessThan(1_500);
    expect(revisionsAfter(recent, 1_400)).toHaveLength(100);
  });
});
