import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ClosedError, ConflictError, type Revision, type Transaction } from '../../../../src/core/provider.ts';
import { CommitQueue } from '../../../../src/providers/embedded/commit-queue.ts';

function put(key: string, value: Uint8Array = new Uint8Array(1)): Transaction {
  return { checks: [], operations: [{ type: 'put', key, value }] };
}

/** A queue whose groups are kept, and which numbers its writes. */
function createQueue(): { readonly queue: CommitQueue; readonly groups: (readonly Transaction[])[] } {
  const groups: (readonly Transaction[])[] = [];
  let revision = 0;
  const queue = new CommitQueue((group) => {
    groups.push(group);
    return group.map(() => ({ revision: ++revision as Revision }));
  });
  return { queue, groups };
}

describe('the commit queue', () => {
  it('makes one group of all writes of a turn', async () => {
    const { queue, groups } = createQueue();
    expect(await Promise.all([queue.add(put('a')), queue.add(put('b')), queue.add(put('c'))])).toEqual([1, 2, 3]);
    expect(groups.map((group) => group.length)).toEqual([3]);
    await queue.add(put('d'));
    expect(groups).toHaveLength(2);
  });

  it('splits what is too much for one turn, in order, and lets others have a turn in between', async () => {
    const { queue, groups } = createQueue();
    const writes = Promise.all(Array.from({ length: 600 }, async (_, index) => queue.add(put(String(index)))));
    await nextTurn();
    expect(groups).toHaveLength(1);
    await writes;
    expect(groups.map((group) => group.length)).toEqual([256, 256, 88]);
    expect(groups.flat().map((transaction) => transaction.operations[0]?.key)).toEqual(
      Array.from({ length: 600 }, (_, index) => String(index)),
    );
  });

  it('counts operations and bytes too, and takes a write that is too large by itself', async () => {
    const { queue, groups } = createQueue();
    const wide: Transaction = {
      checks: [],
      operations: Array.from({ length: 128 }, (_, index) => ({ type: 'delete', key: String(index) })),
    };
    await Promise.all(Array.from({ length: 9 }, async () => queue.add(wide)));
    expect(groups.map((group) => group.length)).toEqual([4, 4, 1]);
    groups.length = 0;
    const large = new Uint8Array(3 * 1024 * 1024);
    await Promise.all([queue.add(put('a', large)), queue.add(put('b', large)), queue.add(put('c', new Uint8Array(5 * 1024 * 1024)))]);
    expect(groups.map((group) => group.length)).toEqual([1, 1, 1]);
  });

  it('tells each write its own outcome, and all of them a failure of the group', async () => {
    let fails = false;
    const queue = new CommitQueue(() => {
      if (fails) throw new Error('the disk is full');
      return [{ revision: 7 as Revision }, { refused: new ConflictError('moved') }];
    });
    expect(await Promise.allSettled([queue.add(put('a')), queue.add(put('b'))])).toMatchObject([
      { status: 'fulfilled', value: 7 },
      { status: 'rejected', reason: { code: 'CONFLICT' } },
    ]);
    fails = true;
    expect(await Promise.allSettled([queue.add(put('a')), queue.add(put('b'))])).toMatchObject([
      { status: 'rejected', reason: { message: 'the disk is full' } },
      { status: 'rejected', reason: { message: 'the disk is full' } },
    ]);
  });

  it('does not begin a write whose signal aborted or whose deadline passed', async () => {
    const { queue, groups } = createQueue();
    const controller = new AbortController();
    const reason = new Error('not any more');
    const aborted = queue.add(put('a'), { signal: controller.signal });
    const late = queue.add(put('b'), { deadlineMs: -1 });
    const made = queue.add(put('c'), { deadlineMs: 60_000, signal: controller.signal });
    const unbounded = queue.add(put('d'));
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(late).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(made).rejects.toBe(reason);
    expect(await unbounded).toBe(1);
    expect(groups).toHaveLength(1);
  });

  it('owns what it was given: a buffer may be used again at once', async () => {
    const { queue, groups } = createQueue();
    const value = Uint8Array.of(1, 2, 3);
    const written = queue.add(put('a', value));
    value.fill(9);
    await written;
    expect(groups[0]?.[0]?.operations[0]).toMatchObject({ value: Uint8Array.of(1, 2, 3) });
  });

  it('refuses what waits and what comes once it is closed', async () => {
    const { queue, groups } = createQueue();
    const waiting = queue.add(put('a'));
    const closed = new ClosedError('closed');
    queue.close(closed);
    await expect(waiting).rejects.toBe(closed);
    await expect(queue.add(put('b'))).rejects.toBe(closed);
    await nextTurn();
    expect(groups).toEqual([]);
  });
});
