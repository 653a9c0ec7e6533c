import assert from 'node:assert/strict';
import { isAttuneError, type Revision, type StoredBatch } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { assertFollowed, describeBatch, follow, runLoad } from './load.ts';
import { Random } from './random.ts';
import { defineCase, settled } from './scenario.ts';
import { inBackground } from './within.ts';

export const watchResume: ConformanceArea = {
  area: 'watch: where it begins',
  cases: [
    defineCase('Resumable', 'a watch after the head waits for the next commit', async (s) => {
      await s.put('a', 'old');
      const reader = s.watch({ after: await s.head() });
      const first = inBackground(reader.nextBatch());
      const revision = await s.put('a', 'new');
      assert.equal((await first).revision, revision);
    }),
    defineCase('Resumable', 'from any revision of the past a watch delivers exactly what came after it', async (s) => {
      const after = await s.head();
      const load = await runLoad(s, { writers: 4, commits: 8, seed: 61 });
      const all = await follow(s, '', after);
      await assertFollowed(s, '', all, load);
      if (!s.exact) return;
      for (let from = 0; from < all.batches.length; from += 3) {
        const position = all.batches[from]?.revision ?? after;
        const reader = s.watch({ after: position });
        const batches = await reader.until(load.last);
        assert.deepEqual(batches.map(describeBatch), load.journal.expected(s.key(''), position, load.last));
        await reader.abort();
      }
    }),
    defineCase('Resumable', 'a watch resumed at its last batch, cut at any moment, neither repeats nor misses', async (s) => {
      for (const seed of [71, 72, 73]) {
        const under = `round-${seed}/`;
        const random = new Random(seed);
        const following = inBackground(follow(s, under, await s.head(), () => 1 + random.below(4)));
        const load = await runLoad(s, { writers: 5, commits: 15, seed, folders: [under] });
        await assertFollowed(s, under, await following, load);
      }
    }),
    defineCase('Resumable', 'batches fetched but not read are delivered again by the watch that follows', async (s) => {
      const after = await s.put('start');
      const revisions: Revision[] = [];
      for (let round = 0; round < 10; round++) revisions.push(await s.put('a', String(round)));
      const reader = s.watch({ after });
      const first = await reader.nextBatch();
      await reader.abort();
      if (!s.exact) return;
      const next = s.watch({ after: first.revision });
      assert.deepEqual(
        (await next.until(revisions.at(-1) ?? after)).map((batch) => batch.revision),
        revisions.slice(1),
      );
    }),
    defineCase('Resumable', 'a watch after a future revision delivers only what comes after it', async (s) => {
      await s.put('a', 'before');
      const after = ((await s.head()) + 5) as Revision;
      const reader = s.watch({ after });
      const waiting = inBackground(reader.nextBatch());
      let revision = await s.put('a', '0');
      for (let round = 1; revision <= after; round++) {
        assert.ok(round < 10_000, 'the revision of the store does not grow');
        revision = await s.put('a', String(round));
      }
      const batch = await waiting;
      assert.deepEqual(
        batch.changes.map((change) => change.type === 'put' && change.entry.revision),
        [revision],
      );
    }),
    defineCase(
      'NoSilentLoss',
      'a watch from before the oldest history kept is told so',
      async (s) => {
        assert.ok(s.harness.compact);
        const revisions: Revision[] = [];
        for (let round = 0; round < 8; round++) revisions.push(await s.put('a', String(round)));
        const [first, , , , fifth = revisions[0], ...later] = revisions;
        assert.ok(first !== undefined && fifth !== undefined);
        await s.harness.compact(fifth);
        await s.refuses('COMPACTED', 'a watch after a compacted revision', s.watch({ after: first }).next());
        if (!s.exact) return;
        const reader = s.watch({ after: fifth });
        assert.deepEqual(
          (await reader.until(later.at(-1) ?? fifth)).map((batch) => batch.revision),
          later,
        );
      },
      ['compact'],
    ),
    defineCase(
      'NoSilentLoss',
      'a watch that has read everything lives on through a compaction',
      async (s) => {
        assert.ok(s.harness.compact);
        const reader = s.watch({ after: await s.head() });
        const seen = await s.put('a', 'one');
        await reader.until(seen);
        const waiting = inBackground(reader.nextBatch());
        await s.harness.compact(seen);
        const revision = await s.put('a', 'two');
        assert.equal((await waiting).revision, revision);
      },
      ['compact'],
    ),
    defineCase(
      'NoSilentLoss',
      'a watch that lags behind a compaction delivers all of it or is told',
      async (s) => {
        assert.ok(s.harness.compact);
        const after = await s.head();
        const reader = s.watch({ after });
        const revisions: Revision[] = [];
        for (let round = 0; round < 30; round++) revisions.push(await s.put('a', String(round)));
        const got: StoredBatch[] = [await reader.nextBatch()];
        const last = revisions.at(-1) ?? after;
        await s.harness.compact(last);
        const marker = await s.put('b', 'after');
        const rest = await settled(reader.until(marker));
        if ('error' in rest) {
          assert.ok(isAttuneError(rest.error, 'COMPACTED'), `NoSilentLoss: the watch fails with ${String(rest.error)}`);
          return;
        }
        got.push(...rest.value);
        if (s.exact)
          assert.deepEqual(
            got.map((batch) => batch.revision),
            [...revisions, marker],
          );
      },
      ['compact'],
    ),
    defineCase(
      'NeverUnknow',
      'a compaction takes away history, never a key',
      async (s) => {
        assert.ok(s.harness.compact);
        const kept = await s.put('kept', 'old');
        const gone = await s.put('gone');
        await s.remove('gone');
        const updated = await s.put('updated', 'one');
        const last = await s.put('updated', 'two');
        await s.harness.compact(last);
        const entries = (await s.list()).entries.map((entry) => [entry.key, entry.revision, entry.createdRevision]);
        assert.deepEqual(entries, [
          [s.key('kept'), kept, kept],
          [s.key('updated'), last, updated],
        ]);
        await s.refuses('CONFLICT', 'a check for a deleted revision', s.put('gone', 'x', [{ key: s.key('gone'), revision: gone }]));
        const again = await s.put('gone', 'x', [{ key: s.key('gone'), revision: null }]);
        assert.equal((await s.entry('gone'))?.createdRevision, again);
        assert.ok(again > last);
      },
      ['compact'],
    ),
  ],
};
