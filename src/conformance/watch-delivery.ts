import assert from 'node:assert/strict';
import type { Revision, StoredBatch } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { assertFollowed, describeBatch, follow, runLoad } from './load.ts';
import { defineCase, describeChanges, putOf, textOf } from './scenario.ts';
import { inBackground, nextTurn } from './within.ts';

export const watchDelivery: ConformanceArea = {
  area: 'watch: what is delivered',
  cases: [
    defineCase('Reliable', 'a put, an update, an equal put, a delete and a put again are delivered, each with its revisions', async (s) => {
      const reader = s.watch({ after: await s.head() });
      const key = s.key('a');
      const created = await s.put('a', 'one');
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`put ${key}=one @${created} since ${created}`]);
      const updated = await s.put('a', 'two');
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`put ${key}=two @${updated} since ${created}`]);
      const equal = await s.put('a', 'two');
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`put ${key}=two @${equal} since ${created}`]);
      const deleted = await s.remove('a');
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`delete ${key} @${deleted}`]);
      const again = await s.put('a', 'two');
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`put ${key}=two @${again} since ${again}`]);
    }),
    defineCase('Reliable', 'what a batch says is what a read says', async (s) => {
      const reader = s.watch({ after: await s.head() });
      const revision = await s.put('a', 'value');
      const batch = await reader.nextBatch();
      const read = await s.read('a');
      const entry = read.entries[0];
      assert.ok(entry);
      assert.equal(batch.revision, revision);
      assert.deepEqual(describeChanges(batch), [`put ${entry.key}=value @${entry.revision} since ${entry.createdRevision}`]);
      assert.ok(read.revision >= batch.revision);
    }),
    defineCase('Reliable', 'nothing at or below `after` is delivered', async (s) => {
      await s.put('a', 'old');
      const after = await s.put('b', 'old');
      const reader = s.watch({ after });
      const revision = await s.put('c', 'new');
      assert.deepEqual(describeChanges(await reader.nextBatch()), [`put ${s.key('c')}=new @${revision} since ${revision}`]);
    }),
    defineCase('Reliable', 'a commit at the very moment a watch begins is delivered', async (s) => {
      for (let round = 0; round < 25; round++) {
        const after = await s.head();
        const before = round % 2 === 0 ? inBackground(s.put('a', String(round))) : undefined;
        const reader = s.watch({ after });
        const first = inBackground(reader.nextBatch());
        if (round % 3 === 0) await nextTurn();
        const revision = await (before ?? s.put('a', String(round)));
        assert.deepEqual(
          (await first).changes.map((change) => change.type === 'put' && change.entry.revision),
          [revision],
        );
        await reader.abort();
      }
    }),
    defineCase('Reliable', 'what was committed between a list and the first read of the watch is delivered', async (s) => {
      const { revision: after } = await s.list();
      const reader = s.watch({ after });
      const first = await s.put('a', '1');
      const second = await s.put('b', '2');
      const batches = await reader.until(second);
      assert.deepEqual(batches.map((batch) => batch.revision).slice(-1), [second]);
      if (s.exact)
        assert.deepEqual(
          batches.map((batch) => batch.revision),
          [first, second],
        );
    }),
    defineCase('Reliable', 'a reader who does not read for long misses nothing', async (s) => {
      const after = await s.head();
      const reader = s.watch({ after });
      await s.put('a', 'first');
      await reader.nextBatch();
      const revisions: Revision[] = [];
      for (let round = 0; round < 400; round++) revisions.push(await s.put(`key-${round % 7}`, String(round)));
      const batches = await reader.until(revisions.at(-1) ?? after);
      if (s.exact) {
        assert.deepEqual(
          batches.map((batch) => batch.revision),
          revisions,
        );
        assert.deepEqual(
          batches.map((batch) => (batch.changes[0]?.type === 'put' ? textOf(batch.changes[0].entry) : undefined)),
          revisions.map((_, round) => String(round)),
        );
      }
      const seen = new Set(batches.flatMap((batch) => describeChanges(batch)));
      for (const entry of (await s.list('key-')).entries) {
        assert.ok(
          seen.has(`put ${entry.key}=${textOf(entry)} @${entry.revision} since ${entry.createdRevision}`),
          `Converges: ${entry.key}`,
        );
      }
    }),
    defineCase('Reliable', 'a removal is delivered though the key was put again and removed in between', async (s) => {
      await s.put('a');
      const reader = s.watch({ after: await s.head() });
      await s.put('warm');
      await reader.nextBatch();
      for (let round = 0; round < 5; round++) {
        await s.remove('a');
        await s.put('a', String(round));
      }
      const removed = await s.remove('a');
      // Where changes are merged an earlier removal may have been the last that was to be told: then only progress comes.
      if (!s.exact) reader.watch.requestProgress();
      const batches = await reader.until(removed);
      const last = batches
        .flatMap((batch) => batch.changes)
        .findLast((change) => (change.type === 'put' ? change.entry.key : change.key) === s.key('a'));
      assert.equal(last?.type, 'delete');
      if (s.exact) assert.equal(batches.length, 11);
    }),
    defineCase('Reliable', 'watches of different prefixes each receive their own part', async (s) => {
      const after = await s.head();
      const prefixes = ['app/', 'app', 'ap', 'app/x', 'b/', ''];
      const readers = prefixes.map((under) => s.watch({ under, after }));
      const names = ['app/x', 'app/xy', 'app/y', 'apple', 'app', 'apq', 'b/1', 'c'];
      const shared = await s.commit(
        [],
        names.map((name) => putOf(s.key(name), name)),
      );
      const only = new Map<string, Revision>();
      for (const name of names) only.set(name, await s.put(name, 'alone'));
      const marker = await s.commit(
        [],
        prefixes.map((under) => putOf(s.key(`${under}~marker`), 'end')),
      );
      for (const [index, reader] of readers.entries()) {
        const under = prefixes[index] ?? '';
        const matching = names.filter((name) => name.startsWith(under));
        const batches = await reader.until(marker);
        const got = batches.slice(0, -1);
        if (!s.exact) continue; // The reader has judged the prefix of every change; how many batches they come in is free.
        assert.deepEqual(
          describeChanges(got[0] ?? { revision: shared, changes: [] }),
          matching.map((name) => `put ${s.key(name)}=${name} @${shared} since ${shared}`).sort(),
        );
        assert.deepEqual(
          got.slice(1).flatMap(describeChanges),
          matching.map((name) => `put ${s.key(name)}=alone @${only.get(name)} since ${shared}`),
        );
      }
    }),
    defineCase('Reliable', 'two watches of one prefix both receive everything', async (s) => {
      const after = await s.head();
      const readers = [s.watch({ after }), s.watch({ after }), s.watch({ after })];
      const load = await runLoad(s, { writers: 3, commits: 15, seed: 11 });
      const all: StoredBatch[][] = [];
      for (const reader of readers) all.push(await reader.until(load.last));
      if (!s.exact) return;
      for (const batches of all) assert.deepEqual(batches.map(describeBatch), load.journal.expected(s.key(''), after, load.last));
    }),
    defineCase('Ordered', 'revisions grow, under writers at the same time', async (s) => {
      const after = await s.head();
      const reader = s.watch({ after });
      const load = inBackground(runLoad(s, { writers: 8, commits: 15, seed: 23 }));
      const batches: StoredBatch[] = [];
      do batches.push(await reader.nextBatch());
      while (!batches.at(-1)?.changes.some((change) => change.type === 'put' && change.entry.key === s.key('marker')));
      const { last } = await load;
      assert.equal(batches.at(-1)?.revision, last);
      const revisions = batches.map((batch) => batch.revision);
      assert.deepEqual(
        revisions,
        revisions.toSorted((a, b) => a - b),
      );
    }),
    defineCase('Unique', 'under writers at the same time everything comes exactly once', async (s) => {
      const after = await s.head();
      const following = inBackground(follow(s, '', after));
      const load = await runLoad(s, { writers: 8, commits: 25, seed: 37 });
      await assertFollowed(s, '', await following, load);
    }),
    defineCase('Atomic', 'under writers at the same time no transaction is split between batches', async (s) => {
      const after = await s.head();
      const folders = ['', 'left/', 'right/'];
      const following = inBackground(Promise.all(folders.map(async (under) => follow(s, under, after))));
      const load = await runLoad(s, { writers: 6, commits: 20, seed: 41, folders });
      for (const [index, followed] of (await following).entries()) await assertFollowed(s, folders[index] ?? '', followed, load);
    }),
    defineCase('Converges', 'when writes stop, what a watch amounts to equals a list', async (s) => {
      for (const [seed, writers] of [
        [51, 1],
        [52, 4],
        [53, 12],
      ] as const) {
        const after = await s.head();
        const under = `round-${seed}/`;
        const following = inBackground(follow(s, under, after));
        const load = await runLoad(s, { writers, commits: 20, seed, folders: [under] });
        await assertFollowed(s, under, await following, load);
      }
    }),
  ],
};
