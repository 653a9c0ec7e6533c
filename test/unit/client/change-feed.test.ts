import { describe, expect, test } from 'vitest';
import { ChangeFeed, type FeedChange } from '../../../src/client/change-feed.ts';

const change = (type: FeedChange['type'], key: string, oldValue: unknown, newValue: unknown): FeedChange => ({
  type,
  key,
  oldValue,
  newValue,
});
const feedOf = (limit: number): ChangeFeed<FeedChange> => new ChangeFeed(() => undefined, limit);

async function drain(feed: ChangeFeed<FeedChange>): Promise<readonly FeedChange[]> {
  feed.end();
  const all: FeedChange[] = [];
  for await (const one of feed) all.push(one);
  return all;
}

describe('ChangeFeed', () => {
  test('delivers every change in order while the reader is at most the limit behind', async () => {
    const feed = feedOf(3);
    const changes = [change('created', 'a', null, 1), change('updated', 'a', 1, 2), change('deleted', 'a', 2, null)];
    for (const one of changes) feed.push(one);
    expect(await drain(feed)).toEqual(changes);
  });

  test('delivers to readers that wait already', async () => {
    const feed = feedOf(3);
    const [first, second] = [feed.next(), feed.next()];
    feed.push(change('created', 'a', null, 1));
    feed.push(change('created', 'b', null, 2));
    expect([(await first).value?.key, (await second).value?.key]).toEqual(['a', 'b']);
  });

  const beyond: readonly { readonly rule: string; readonly changes: readonly FeedChange[]; readonly expected: readonly unknown[] }[] = [
    {
      rule: 'updates of a key are merged into one',
      changes: [change('updated', 'a', 0, 1), change('updated', 'b', 0, 1), change('updated', 'a', 1, 2), change('updated', 'a', 2, 3)],
      expected: [
        { type: 'updated', key: 'b', oldValue: 0, newValue: 1 },
        { type: 'updated', key: 'a', oldValue: 0, newValue: 3, gap: true },
      ],
    },
    {
      rule: 'created then updated stays created',
      changes: [change('created', 'a', null, 1), change('updated', 'a', 1, 2), change('updated', 'b', 1, 2)],
      expected: [
        { type: 'created', key: 'a', oldValue: null, newValue: 2, gap: true },
        { type: 'updated', key: 'b', oldValue: 1, newValue: 2 },
      ],
    },
    {
      rule: 'created then deleted is not told',
      changes: [change('created', 'a', null, 1), change('deleted', 'a', 1, null), change('updated', 'b', 1, 2)],
      expected: [{ type: 'updated', key: 'b', oldValue: 1, newValue: 2 }],
    },
    {
      rule: 'updated then deleted is deleted, from the value first known',
      changes: [change('updated', 'a', 0, 1), change('deleted', 'a', 1, null), change('updated', 'b', 1, 2)],
      expected: [
        { type: 'deleted', key: 'a', oldValue: 0, newValue: null, gap: true },
        { type: 'updated', key: 'b', oldValue: 1, newValue: 2 },
      ],
    },
    {
      rule: 'deleted then created is updated',
      changes: [change('deleted', 'a', 0, null), change('created', 'a', null, 5), change('updated', 'b', 1, 2)],
      expected: [
        { type: 'updated', key: 'a', oldValue: 0, newValue: 5, gap: true },
        { type: 'updated', key: 'b', oldValue: 1, newValue: 2 },
      ],
    },
  ];
  test.each(beyond)('beyond the limit $rule', async ({ changes, expected }) => {
    const feed = feedOf(2);
    for (const one of changes) feed.push(one);
    expect(await drain(feed)).toEqual(expected);
  });

  test('is exact again once the reader has caught up', async () => {
    const feed = feedOf(1);
    feed.push(change('updated', 'a', 0, 1));
    feed.push(change('updated', 'a', 1, 2));
    expect((await feed.next()).value).toMatchObject({ newValue: 2, gap: true });
    feed.push(change('updated', 'a', 2, 3));
    expect((await feed.next()).value).toEqual(change('updated', 'a', 2, 3));
  });

  test('is exact again when all that was merged cancelled out', async () => {
    const feed = feedOf(1);
    feed.push(change('created', 'a', null, 1));
    feed.push(change('deleted', 'a', 1, null));
    const next = feed.next();
    feed.push(change('created', 'b', null, 1));
    expect((await next).value).toEqual(change('created', 'b', null, 1));
  });

  test('holds no more than one change for each key', () => {
    const feed = feedOf(10);
    for (let index = 0; index < 100_000; index++) feed.push(change('updated', `k${index % 20}`, index, index + 1));
    return expect(drain(feed)).resolves.toHaveLength(20);
  });

  test('break lets go of it and ends it', async () => {
    let isReleased = false;
    const feed = new ChangeFeed<FeedChange>(() => (isReleased = true));
    feed.push(change('created', 'a', null, 1));
    feed.push(change('created', 'b', null, 1));
    for await (const one of feed) {
      expect(one.key).toBe('a');
      break;
    }
    expect(isReleased).toBe(true);
    expect(await feed.next()).toEqual({ done: true, value: undefined });
  });

  test('end wakes readers that wait', async () => {
    const feed = feedOf(1);
    const next = feed.next();
    feed.end();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
