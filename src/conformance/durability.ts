import assert from 'node:assert/strict';
import { isAttuneError, type Revision } from '../core/provider.ts';
import type { ConformanceArea, ConformanceCase, Guarantee } from './harness.ts';
import { assertFollowed, describeBatch, runLoad, type Followed } from './load.ts';
import { defineCase, describeEntries, putOf, settled, type Scenario } from './scenario.ts';

async function reopen(s: Scenario): Promise<void> {
  assert.ok(s.harness.reopen);
  s.provider = await s.within('reopening', s.harness.reopen());
}

function durable(guarantee: Guarantee, name: string, steps: (s: Scenario) => Promise<void>): ConformanceCase {
  return defineCase(guarantee, name, steps, ['reopen']);
}

export const durability: ConformanceArea = {
  area: 'durability',
  cases: [
    durable('Durable', 'what was committed is there after a restart, with its revisions', async (s) => {
      await runLoad(s, { writers: 3, commits: 10, seed: 91 });
      await s.commit([], [putOf(s.key('empty'), ''), putOf(s.outside('record'), 'r')]);
      const before = await s.list();
      const head = await s.head();
      await reopen(s);
      assert.deepEqual(describeEntries(await s.list()), describeEntries(before));
      assert.ok((await s.head()) >= head);
      assert.equal((await s.within('a read', s.provider.read([s.outside('record')]))).entries.length, 1);
    }),
    durable('Durable', 'revisions continue after a restart', async (s) => {
      const created = await s.put('a', 'one');
      const deleted = await s.remove('b-absent');
      const last = await s.put('a', 'two');
      await reopen(s);
      const next = await s.put('a', 'three', [{ key: s.key('a'), revision: last }]);
      assert.ok(next > last && next > deleted);
      assert.equal((await s.entry('a'))?.createdRevision, created);
      await s.refuses('CONFLICT', 'a write checked before the restart', s.put('a', 'x', [{ key: s.key('a'), revision: last }]));
    }),
    durable('Durable', 'a delete as the last commit keeps its revision over a restart', async (s) => {
      await s.put('a');
      const deleted = await s.remove('a');
      await reopen(s);
      assert.ok((await s.head()) >= deleted);
      assert.equal(await s.entry('a'), undefined);
      assert.ok((await s.put('a')) > deleted);
    }),
    durable('Resumable', 'a watch resumes across a restart without gap or repeat', async (s) => {
      const after = await s.head();
      const first = s.watch({ after });
      const load = await runLoad(s, { writers: 3, commits: 10, seed: 93 });
      const batches = [await first.nextBatch()];
      // Where versions are merged, all that was committed may have come in one batch.
      if (s.exact) batches.push(await first.nextBatch());
      const position = first.position;
      await reopen(s);
      const second = s.watch({ after: position });
      if (!s.exact) {
        const outcome = await settled(second.until(load.last));
        assert.ok('value' in outcome || isAttuneError(outcome.error, 'COMPACTED'));
        return;
      }
      batches.push(...(await second.until(load.last)));
      assert.deepEqual(batches.map(describeBatch), load.journal.expected(s.key(''), after, load.last));
      const followed: Followed = { batches, after, state: describeEntries(await s.list()).sort() };
      await assertFollowed(s, '', followed, load);
    }),
    durable('PastReads', 'past lists reach back over a restart', async (s) => {
      const past = await s.put('a', 'one');
      await s.put('a', 'two');
      await s.remove('a');
      await reopen(s);
      if (!s.exact) {
        await s.refuses('INVALID_ARGUMENT', 'a list of the past', s.list('', past));
        return;
      }
      assert.deepEqual(describeEntries(await s.list('', past)), [`${s.key('a')}=one @${past} since ${past}`]);
    }),
    durable('Durable', 'what was acknowledged before a close is there, and nothing is there in part', async (s) => {
      const pending = Array.from({ length: 40 }, async (_, index) =>
        settled(s.provider.commit({ checks: [], operations: [putOf(s.key(`a/${index}`), 'x'), putOf(s.key(`b/${index}`), 'x')] })),
      );
      await pending[0];
      await reopen(s);
      const outcomes = await s.within('the commits', Promise.all(pending));
      const revisions = new Map((await s.list()).entries.map((entry) => [entry.key, entry.revision]));
      for (const [index, outcome] of outcomes.entries()) {
        const pair: (Revision | undefined)[] = [revisions.get(s.key(`a/${index}`)), revisions.get(s.key(`b/${index}`))];
        assert.equal(pair[0], pair[1], 'Atomic: half of a transaction');
        if ('value' in outcome) assert.equal(pair[0], outcome.value, 'Durable: an acknowledged commit is gone');
      }
    }),
    defineCase(
      'NoSilentLoss',
      'a compaction holds over a restart',
      async (s) => {
        assert.ok(s.harness.compact);
        const past = await s.put('a', 'one');
        await s.put('a', 'two');
        const oldest = await s.put('a', 'three');
        const last = await s.put('a', 'four');
        await s.harness.compact(oldest);
        await reopen(s);
        await s.refuses('COMPACTED', 'a watch after a compacted revision', s.watch({ after: past }).next());
        if (!s.exact) return;
        assert.deepEqual(
          (await s.watch({ after: oldest }).until(last)).map((batch) => batch.revision),
          [last],
        );
      },
      ['reopen', 'compact'],
    ),
  ],
};
