import { describe, expect, test } from 'vitest';
import { MAX_REMEMBERED_DELETIONS, Replica, type SeenChange } from '../../../src/client/replica.ts';
import { created, deleted, item, updated } from './wire-samples.ts';

const brief = (changes: readonly SeenChange[]) =>
  changes.map(({ type, key, oldValue, newValue, version }) => [type, key, oldValue, newValue, version]);

function replicaOf(...items: Parameters<Replica['replace']>[0]): Replica {
  const replica = new Replica();
  replica.replace(items, 10, false);
  return replica;
}

describe('apply', () => {
  test('takes a version above the known one, and tells the value known before', () => {
    const replica = replicaOf(item('a', 'old', 5));
    expect(brief(replica.apply([updated('a', 'new', 11), created('b', 1, 11)]))).toEqual([
      ['updated', 'a', 'old', 'new', 11],
      ['created', 'b', null, 1, 11],
    ]);
    expect(replica.get('a')).toMatchObject({ value: 'new', version: 11 });
  });

  test.each([5, 4])('ignores version %i of a key known at 5', (version) => {
    const replica = replicaOf(item('a', 'old', 5));
    expect(replica.apply([updated('a', 'other', version)])).toEqual([]);
    expect(replica.get('a')?.value).toBe('old');
  });

  test('takes a version below the last revision but above the one known of its key, as a relist brings it', () => {
    const replica = replicaOf(item('a', 'old', 5));
    replica.apply([created('z', 1, 20)]);
    expect(brief(replica.apply([updated('a', 'relisted', 7)]))).toEqual([['updated', 'a', 'old', 'relisted', 7]]);
  });

  test('ignores an older version of a key that it knows as deleted', () => {
    const replica = replicaOf(item('a', 'old', 5));
    replica.apply([deleted('a', 12)]);
    expect(replica.apply([created('a', 'ghost', 11)])).toEqual([]);
    expect(replica.get('a')).toBeUndefined();
    expect(brief(replica.apply([created('a', 'again', 13)]))).toEqual([['created', 'a', null, 'again', 13]]);
  });

  test('remembers the deletion of a key it never knew, without telling it', () => {
    const replica = replicaOf();
    expect(replica.apply([deleted('a', 12)])).toEqual([]);
    expect(replica.apply([created('a', 'ghost', 11)])).toEqual([]);
  });

  test('tells deleted and created of one key in one frame as two changes, in order, once', () => {
    const replica = replicaOf(item('a', 'old', 5));
    const frame = [deleted('a', 13), created('a', 'new', 14)];
    expect(brief(replica.apply(frame))).toEqual([
      ['deleted', 'a', 'old', null, 13],
      ['created', 'a', null, 'new', 14],
    ]);
    expect(replica.apply(frame)).toEqual([]);
  });

  test('takes deleted and created that share a version', () => {
    const replica = replicaOf(item('a', 'old', 5));
    const frame = [deleted('a', 14), created('a', 'new', 14)];
    expect(brief(replica.apply(frame))).toHaveLength(2);
    expect(replica.apply(frame)).toEqual([]);
    expect(replica.get('a')?.value).toBe('new');
  });

  test('calls created what it did not know, and updated what it did', () => {
    const replica = replicaOf(item('a', 'old', 5));
    expect(brief(replica.apply([created('a', 'new', 11), updated('b', 1, 11)]))).toEqual([
      ['updated', 'a', 'old', 'new', 11],
      ['created', 'b', null, 1, 11],
    ]);
  });

  test('forgets the oldest deletions beyond its bound', () => {
    const replica = replicaOf();
    for (let index = 0; index <= MAX_REMEMBERED_DELETIONS; index++) replica.apply([deleted(`k${index}`, 100 + index)]);
    expect(replica.versionOf('k0')).toBe(0);
    expect(replica.versionOf('k1')).toBe(101);
  });
});

describe('replace', () => {
  test('tells exactly the difference, in order of version', () => {
    const replica = replicaOf(item('same', 1, 3), item('gone', 2, 4), item('changed', 3, 5));
    const seen = replica.replace([item('same', 1, 3), item('new', 9, 12), item('changed', 4, 11)], 20, false);
    expect(brief(seen)).toEqual([
      ['updated', 'changed', 3, 4, 11],
      ['created', 'new', null, 9, 12],
      ['deleted', 'gone', 2, null, 20],
    ]);
    expect([...replica.keys()].sort()).toEqual(['changed', 'new', 'same']);
  });

  test('tells nothing of an equal content with another version, but takes the version', () => {
    const replica = replicaOf(item('a', { x: 1, y: [2] }, 5));
    expect(replica.replace([item('a', { y: [2], x: 1 }, 7)], 20, false)).toEqual([]);
    expect(replica.versionOf('a')).toBe(7);
  });

  test.each([
    ['the value', item('a', 2, 5)],
    ['the metadata', item('a', 1, 5, { metadata: { owner: 'me' } })],
    ['the content type', item('a', 1, 5, { contentType: 'text/plain' })],
  ])('of a foreign history tells a difference in %s under the same version', (_what, now) => {
    expect(replicaOf(item('a', 1, 5)).replace([now], 20, true)).toHaveLength(1);
  });

  test('of a foreign history lowers versions, so that its changes are taken', () => {
    const replica = replicaOf(item('a', 1, 10));
    replica.replace([item('a', 1, 2)], 3, true);
    expect(brief(replica.apply([updated('a', 5, 4)]))).toEqual([['updated', 'a', 1, 5, 4]]);
  });

  test('of a foreign history forgets deletions', () => {
    const replica = replicaOf(item('a', 1, 10));
    replica.apply([deleted('a', 50)]);
    replica.replace([], 3, true);
    expect(replica.apply([created('a', 5, 4)])).toHaveLength(1);
  });

  test('keeps what a write of this client brought after the snapshot was taken', () => {
    const replica = replicaOf(item('a', 'old', 5), item('b', 'old', 5));
    replica.applyItem(item('a', 'mine', 25), 10);
    replica.applyAbsent('b', 26, 10, undefined);
    expect(replica.replace([item('a', 'old', 5), item('b', 'old', 5)], 20, false)).toEqual([]);
    expect(replica.get('a')?.value).toBe('mine');
    expect(replica.get('b')).toBeUndefined();
  });
});

describe('answers to writes', () => {
  test('are taken once, whichever comes first, answer or stream', () => {
    const first = replicaOf(item('a', 'old', 5));
    expect(first.applyItem(item('a', 'mine', 11), 10)).toHaveLength(1);
    expect(first.apply([updated('a', 'mine', 11)])).toEqual([]);
    const second = replicaOf(item('a', 'old', 5));
    expect(second.apply([updated('a', 'mine', 11)])).toHaveLength(1);
    expect(second.applyItem(item('a', 'mine', 11), 11)).toEqual([]);
  });

  test('never bring back what the stream has told since', () => {
    const replica = replicaOf(item('a', 'old', 5));
    replica.apply([deleted('a', 12)]);
    replica.replace([], 12, false);
    expect(replica.applyItem(item('a', 'mine', 11), 12)).toEqual([]);
    expect(replica.applyAbsent('a', 12, 12, undefined)).toEqual([]);
    expect(replica.get('a')).toBeUndefined();
  });

  test('are not believed against a stream that has told more', () => {
    const replica = replicaOf(item('a', 'told', 5));
    expect(replica.applyAbsent('a', 13, 14, undefined)).toEqual([]);
    expect(replica.applyItem(item('a', 'answered', 13), 14)).toEqual([]);
    expect(replica.get('a')?.value).toBe('told');
  });

  test('an absent key is told as deleted, and older versions of it are ignored until the stream has passed', () => {
    const replica = replicaOf(item('a', 'old', 5));
    expect(brief(replica.applyAbsent('a', 15, 10, undefined))).toEqual([['deleted', 'a', 'old', null, 15]]);
    expect(replica.apply([updated('a', 'between', 12), deleted('a', 14)])).toEqual([]);
    expect(replica.apply([created('a', 'later', 16)])).toHaveLength(1);
  });
});

describe('a write that shows ahead of the stream', () => {
  const ahead = (...told: Parameters<Replica['apply']>[0]): Replica => {
    const replica = new Replica();
    replica.apply(told);
    replica.applyItem(item('a', 'mine', 6), 2);
    return replica;
  };
  const echo = updated('a', 'mine', 6);

  test('is not told again by its echo, and the stream counts from then on', () => {
    const replica = ahead(created('a', 1, 2));
    expect(replica.newestAhead()).toEqual(expect.objectContaining({ key: 'a' }));
    expect(replica.apply([echo])).toEqual([]);
    expect(replica.newestAhead()).toBeUndefined();
    expect(replica.passed(6)).toEqual([]);
    expect(replica.get('a')).toMatchObject({ value: 'mine', version: 6 });
  });

  test('gives way to another value of the same version: the store was put back and written again', () => {
    const replica = ahead(created('a', 1, 2));
    expect(replica.apply([updated('a', 'theirs', 6)])).toMatchObject([
      { type: 'updated', oldValue: 'mine', newValue: 'theirs', version: 6 },
    ]);
    expect(replica.get('a')?.value).toBe('theirs');
  });

  test('hides what the stream tells from before it, until the stream has passed it without telling of it', () => {
    const replica = ahead(created('a', 1, 2));
    expect(replica.apply([updated('a', 'before', 4)])).toEqual([]);
    expect(replica.passed(5)).toEqual([]);
    expect(replica.get('a')?.value).toBe('mine');
    expect(replica.passed(7)).toMatchObject([{ type: 'updated', key: 'a', oldValue: 'mine', newValue: 'before', version: 4 }]);
    expect(replica.get('a')).toMatchObject({ value: 'before', version: 4 });
    expect(replica.passed(8)).toEqual([]);
  });

  test('that made the key goes with the key', () => {
    const replica = ahead();
    expect(replica.passed(6)).toMatchObject([{ type: 'deleted', key: 'a', oldValue: 'mine', version: 6 }]);
    expect(replica.get('a')).toBeUndefined();
  });

  test('that deleted the key brings it back', () => {
    const replica = new Replica();
    replica.apply([created('a', 1, 2)]);
    expect(replica.applyAbsent('a', 6, 2, undefined)).toMatchObject([{ type: 'deleted', key: 'a' }]);
    expect(replica.passed(6)).toMatchObject([{ type: 'created', key: 'a', oldValue: null, newValue: 1 }]);
  });

  test('after others of its own keeps what the stream had told before the first', () => {
    const replica = ahead(created('a', 1, 2));
    replica.applyItem(item('a', 'mine too', 8), 2);
    expect(replica.passed(6)).toEqual([]);
    expect(replica.passed(8)).toMatchObject([{ type: 'updated', oldValue: 'mine too', newValue: 1 }]);
  });

  test('outlives a snapshot from before it, which is what is told in its place', () => {
    const replica = ahead(created('a', 1, 2));
    expect(replica.replace([item('a', 'snapshot', 3)], 4, false)).toEqual([]);
    expect(replica.get('a')?.value).toBe('mine');
    expect(replica.passed(7)).toMatchObject([{ type: 'updated', oldValue: 'mine', newValue: 'snapshot' }]);
  });

  test('does not outlive a snapshot from after it, or of another history', () => {
    expect(ahead().replace([item('a', 'theirs', 5)], 6, false)).toMatchObject([{ oldValue: 'mine', newValue: 'theirs' }]);
    expect(ahead().replace([item('a', 'theirs', 3)], 4, true)).toMatchObject([{ oldValue: 'mine', newValue: 'theirs' }]);
  });

  test('all go at once when they are known not to count', () => {
    const replica = ahead(created('a', 1, 2));
    replica.applyItem(item('b', 'mine', 9), 2);
    expect(replica.passed(2, Number.POSITIVE_INFINITY)).toMatchObject([
      { type: 'updated', key: 'a', newValue: 1 },
      { type: 'deleted', key: 'b' },
    ]);
  });
});
