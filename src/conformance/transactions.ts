import assert from 'node:assert/strict';
import type { Operation } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { defineCase, describeChanges, describeEntries, putOf, textOf } from './scenario.ts';

export const transactions: ConformanceArea = {
  area: 'transactions',
  cases: [
    defineCase('Atomic', 'all operations of a transaction have one revision', async (s) => {
      const old = await s.put('old');
      const names = ['a', 'b', 'c', 'd'];
      const revision = await s.commit([], [...names.map((name) => putOf(s.key(name), name)), { type: 'delete', key: s.key('old') }]);
      assert.ok(revision > old);
      const { entries } = await s.list();
      assert.deepEqual(
        entries.map((entry) => [entry.key, entry.revision, entry.createdRevision]),
        names.map((name) => [s.key(name), revision, revision]),
      );
    }),
    defineCase('Atomic', 'a watch receives all changes of a transaction in one batch', async (s) => {
      const old = await s.put('old');
      const kept = await s.put('kept');
      const reader = s.watch({ after: kept });
      const revision = await s.commit(
        [],
        [putOf(s.key('z'), '1'), { type: 'delete', key: s.key('old') }, putOf(s.key('a'), '2'), putOf(s.key('kept'), '3')],
      );
      const batch = await reader.nextBatch();
      assert.ok(old < revision);
      assert.equal(batch.revision, revision);
      assert.deepEqual(
        describeChanges(batch),
        [
          `delete ${s.key('old')} @${revision}`,
          `put ${s.key('a')}=2 @${revision} since ${revision}`,
          `put ${s.key('kept')}=3 @${revision} since ${kept}`,
          `put ${s.key('z')}=1 @${revision} since ${revision}`,
        ].sort(),
      );
    }),
    defineCase('Atomic', 'a delete of an absent key beside other operations adds no change', async (s) => {
      const reader = s.watch({ after: await s.head() });
      const revision = await s.commit([], [{ type: 'delete', key: s.key('absent') }, putOf(s.key('a'), '1')]);
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`put ${s.key('a')}=1 @${revision} since ${revision}`]);
    }),
    defineCase('Versioned', 'a transaction that changes nothing returns the current revision and is not announced', async (s) => {
      const last = await s.put('a');
      const reader = s.watch({ after: last });
      for (const operations of [[], [{ type: 'delete', key: s.key('absent') }]] satisfies Operation[][]) {
        const revision = await s.commit([], operations);
        assert.ok(revision >= last && revision <= (await s.head()));
      }
      const marker = await s.put('marker');
      assert.equal((await reader.until(marker)).length, 1);
    }),
    defineCase('TypedErrors', 'a key in two operations is refused, and nothing is applied', async (s) => {
      const pairs: Operation[][] = [
        [putOf(s.key('a'), '1'), putOf(s.key('a'), '2')],
        [putOf(s.key('a'), '1'), { type: 'delete', key: s.key('a') }],
        [{ type: 'delete', key: s.key('a') }, putOf(s.key('a'), '1')],
        [
          { type: 'delete', key: s.key('a') },
          { type: 'delete', key: s.key('a') },
        ],
      ];
      for (const pair of pairs) await s.refuses('INVALID_ARGUMENT', 'a key twice', s.commit([], [putOf(s.key('b'), 'x'), ...pair]));
      assert.deepEqual((await s.list()).entries, []);
    }),
    defineCase('Atomic', 'a transaction with one value too large applies none of its operations', async (s) => {
      const before = await s.put('a', 'before');
      const large = new Uint8Array(s.provider.capabilities.maxValueBytes + 1);
      await s.refuses('VALUE_TOO_LARGE', 'a value too large', s.commit([], [putOf(s.key('a'), 'after'), putOf(s.key('b'), large)]));
      assert.deepEqual(describeEntries(await s.list()), [`${s.key('a')}=before @${before} since ${before}`]);
    }),
    defineCase('Atomic', 'a transaction may reach beside the prefix: one revision, and a watch receives the part below it', async (s) => {
      const reader = s.watch({ after: await s.head() });
      const revision = await s.commit([], [putOf(s.outside('record'), 'r'), putOf(s.key('a'), '1')]);
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`put ${s.key('a')}=1 @${revision} since ${revision}`]);
      const beside = (await s.within('a read', s.provider.read([s.outside('record')]))).entries[0];
      assert.deepEqual([beside?.revision, textOf(beside)], [revision, 'r']);
      await s.refuses('CONFLICT', 'a check beside the prefix', s.put('a', '2', [{ key: s.outside('record'), revision: null }]));
      assert.equal((await s.entry('a'))?.revision, revision);
    }),
    defineCase('Converges', 'transactions at the same time end as if one came after the other', async (s) => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      const commits = Array.from({ length: 30 }, async (_, index) => {
        const revision = await s.commit(
          [],
          names.map((name) => putOf(s.key(name), String(index))),
        );
        return { revision, value: String(index) };
      });
      const last = (await Promise.all(commits)).reduce((latest, commit) => (commit.revision > latest.revision ? commit : latest));
      for (const entry of (await s.list()).entries) assert.deepEqual([textOf(entry), entry.revision], [last.value, last.revision]);
    }),
  ],
};
