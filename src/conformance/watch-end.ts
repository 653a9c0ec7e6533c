import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Revision } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { defineCase } from './scenario.ts';
import { inBackground, nextTurn } from './within.ts';

export const watchEnd: ConformanceArea = {
  area: 'watch: how it ends',
  cases: [
    defineCase('CleanStop', 'an abort ends a watch that waits, without an error', async (s) => {
      const controller = new AbortController();
      const reader = s.watch({ after: await s.head(), controller });
      const waiting = inBackground(reader.next());
      await nextTurn();
      controller.abort(new Error('the caller has had enough'));
      assert.equal(await waiting, undefined);
      assert.equal(await reader.next(), undefined);
    }),
    defineCase('CleanStop', 'a signal aborted before the watch begins ends it at once, whatever there is to deliver', async (s) => {
      const after = await s.head();
      await s.put('a');
      const controller = new AbortController();
      controller.abort();
      assert.equal(await s.watch({ after, controller }).next(), undefined);
    }),
    defineCase('CleanStop', 'an abort between opening a watch and reading it ends it', async (s) => {
      const after = await s.head();
      const controller = new AbortController();
      const reader = s.watch({ after, controller });
      await s.put('a');
      controller.abort();
      assert.equal(await reader.next(), undefined);
    }),
    defineCase('CleanStop', 'nothing is delivered after an abort, though more is there', async (s) => {
      const after = await s.head();
      for (let round = 0; round < 5; round++) await s.put('a', String(round));
      const controller = new AbortController();
      const reader = s.watch({ after, controller });
      await reader.nextBatch();
      controller.abort();
      assert.equal(await reader.next(), undefined);
    }),
    defineCase('CleanStop', 'a break ends the watch and releases the signal', async (s) => {
      const after = await s.head();
      const first = await s.put('a', '1');
      await s.put('a', '2');
      const { watch, controller } = s.bareWatch(after);
      const read = async (): Promise<Revision | undefined> => {
        for await (const batch of watch) return batch.revision;
        return undefined;
      };
      const revision = await s.within('a batch', read());
      if (s.exact) assert.equal(revision, first);
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0, 'CleanStop: a listener stays on the signal');
      const rest = await s.within('the end', watch[Symbol.asyncIterator]().next());
      assert.equal(rest.done, true);
    }),
    defineCase('CleanStop', 'an aborted watch releases the signal', async (s) => {
      const controller = new AbortController();
      const reader = s.watch({ after: await s.head(), controller });
      const waiting = inBackground(reader.next());
      await nextTurn();
      controller.abort();
      await waiting;
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0, 'CleanStop: a listener stays on the signal');
    }),
    defineCase('CleanStop', 'returning from a watch ends a read that waits', async (s) => {
      const { watch } = s.bareWatch(await s.head());
      const iterator = watch[Symbol.asyncIterator]();
      const waiting = iterator.next();
      await nextTurn();
      assert.ok(iterator.return, 'a watch can be returned from');
      await s.within('the return', iterator.return());
      assert.equal((await s.within('the waiting read', waiting)).done, true);
    }),
    defineCase('CleanStop', 'a watch is iterable once', async (s) => {
      const after = await s.head();
      await s.put('a');
      const { watch } = s.bareWatch(after);
      for await (const batch of watch) {
        assert.ok(batch.revision > after);
        break;
      }
      for await (const batch of watch) assert.fail(`Unique: revision ${batch.revision} from a second iteration`);
    }),
    defineCase('CleanStop', 'the end of one watch is not that of another', async (s) => {
      const after = await s.head();
      const ending = s.watch({ after });
      const staying = s.watch({ after });
      const waiting = inBackground(staying.nextBatch());
      await ending.abort();
      const revision = await s.put('a');
      assert.equal((await waiting).revision, revision);
    }),
    defineCase('CleanStop', 'a watch that is never read costs nothing and harms nobody', async (s) => {
      const after = await s.head();
      const unread = Array.from({ length: 50 }, () => s.bareWatch(after));
      await s.put('a');
      for (const { controller } of unread.slice(0, 25)) controller.abort();
      assert.equal((await s.list()).entries.length, 1);
    }),
  ],
};
