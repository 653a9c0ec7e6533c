import assert from 'node:assert/strict';
import type { Revision, StoredBatch } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { runLoad } from './load.ts';
import { defineCase, type Scenario } from './scenario.ts';
import { inBackground, nextTurn } from './within.ts';

/** Reads until progress at `revision` or later, asking again as a caller does; the batches before it. */
async function progressAt(s: Scenario, reader: ReturnType<Scenario['watch']>, revision: Revision): Promise<StoredBatch[]> {
  const batches: StoredBatch[] = [];
  const deadline = Date.now() + s.timeoutMs;
  for (;;) {
    const answer = await reader.progress();
    batches.push(...answer.batches);
    if (answer.revision >= revision) return batches;
    await nextTurn();
    assert.ok(Date.now() < deadline, `Bookmarkable: progress stays at ${answer.revision}, the store is at ${revision}`);
  }
}

export const watchProgress: ConformanceArea = {
  area: 'watch: progress',
  cases: [
    defineCase('Bookmarkable', 'an idle watch answers with the store’s revision', async (s) => {
      await s.put('a');
      const head = await s.head();
      const reader = s.watch({ after: head });
      const answer = await reader.progress();
      assert.deepEqual(answer.batches, []);
      assert.ok(answer.revision >= head, `Bookmarkable: progress ${answer.revision} below the head ${head}`);
    }),
    defineCase('Bookmarkable', 'progress asked for before the first read is answered', async (s) => {
      const after = await s.put('a');
      const { watch, controller } = s.bareWatch(after);
      watch.requestProgress();
      const iterator = watch[Symbol.asyncIterator]();
      const result = await s.within('progress', iterator.next());
      assert.ok(result.done !== true);
      assert.deepEqual(result.value.changes, []);
      controller.abort();
      await s.within('the end', iterator.next());
    }),
    defineCase('Bookmarkable', 'progress asked for while a read waits is answered', async (s) => {
      const reader = s.watch({ after: await s.head() });
      const waiting = inBackground(reader.next());
      await s.head();
      reader.watch.requestProgress();
      assert.deepEqual((await waiting)?.changes, []);
    }),
    defineCase('Bookmarkable', 'every request is answered, one after the other', async (s) => {
      const reader = s.watch({ after: await s.head() });
      for (let round = 0; round < 10; round++) await reader.progress();
      const revision = await s.put('a');
      assert.equal((await reader.nextBatch()).revision, revision);
      assert.ok((await reader.progress()).revision >= revision);
    }),
    defineCase('Bookmarkable', 'progress comes after everything at or below it', async (s) => {
      const after = await s.head();
      const reader = s.watch({ after });
      const revisions: Revision[] = [];
      for (let round = 0; round < 20; round++) revisions.push(await s.put(`key-${round}`));
      const batches = await progressAt(s, reader, revisions.at(-1) ?? after);
      const delivered = new Set(batches.flatMap((batch) => batch.changes.map((change) => change.type === 'put' && change.entry.revision)));
      assert.deepEqual(
        [...delivered].sort((a, b) => Number(a) - Number(b)),
        revisions,
        'Bookmarkable: a change at or below the progress was not delivered before it',
      );
    }),
    defineCase('Bookmarkable', 'progress moves with commits that the watch does not see', async (s) => {
      const reader = s.watch({ under: 'watched/', after: await s.head() });
      await s.put('watched/seen');
      await reader.nextBatch();
      await s.put('elsewhere/a');
      await s.put('elsewhere/b');
      const head = await s.head('watched/');
      assert.deepEqual(await progressAt(s, reader, head), []);
      const revision = await s.put('watched/a');
      assert.equal((await reader.nextBatch()).revision, revision);
    }),
    defineCase('Bookmarkable', 'progress moves with commits beside the prefix', async (s) => {
      const reader = s.watch({ after: await s.head() });
      await s.put('seen');
      await reader.nextBatch();
      await s.within(
        'a commit',
        s.provider.commit({ checks: [], operations: [{ type: 'put', key: s.outside('a'), value: Uint8Array.of(1) }] }),
      );
      assert.deepEqual(await progressAt(s, reader, await s.head()), []);
    }),
    defineCase('Bookmarkable', 'a watch may be resumed from a progress', async (s) => {
      const reader = s.watch({ under: 'watched/', after: await s.head() });
      await s.put('elsewhere/a');
      const { revision: position } = await reader.progress();
      await reader.abort();
      const revision = await s.put('watched/a');
      const next = s.watch({ under: 'watched/', after: position });
      assert.deepEqual(
        (await next.nextBatch()).changes.map((change) => change.type === 'put' && change.entry.revision),
        [revision],
      );
    }),
    defineCase(
      'Bookmarkable',
      'under writers at the same time nothing at or below a progress follows or is missing before it',
      async (s) => {
        const after = await s.head();
        const reader = s.watch({ after });
        let writing = true;
        const load = inBackground(runLoad(s, { writers: 5, commits: 20, seed: 83 }).finally(() => (writing = false)));
        const batches: StoredBatch[] = [];
        // The reader itself fails if anything follows at or below a progress.
        const bookmarks: { revision: Revision; delivered: number }[] = [];
        while (writing) {
          const answer = await reader.progress();
          batches.push(...answer.batches);
          bookmarks.push({ revision: answer.revision, delivered: batches.length });
          await nextTurn(); // A store in this process answers within the turn and would starve the writers.
        }
        const { journal, last } = await load;
        batches.push(...(await reader.until(last)));
        if (!s.exact) return;
        for (const { revision, delivered } of bookmarks) {
          assert.equal(
            delivered,
            journal.expected(s.key(''), after, revision).length,
            `Bookmarkable: delivered before progress ${revision}`,
          );
        }
        assert.equal(batches.length, journal.expected(s.key(''), after, last).length);
      },
    ),
    defineCase('Bookmarkable', 'asking a watch that has ended does nothing', async (s) => {
      const reader = s.watch({ after: await s.head() });
      await reader.abort();
      reader.watch.requestProgress();
      assert.equal(await reader.next(), undefined);
    }),
  ],
};
