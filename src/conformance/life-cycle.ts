import assert from 'node:assert/strict';
import { isAttuneError } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { defineCase, putOf, settled } from './scenario.ts';

export const lifeCycle: ConformanceArea = {
  area: 'life cycle',
  cases: [
    defineCase('CleanStop', 'closing twice, and at the same time, is closing once', async (s) => {
      await s.put('a');
      await s.within('close', Promise.all([s.provider.close(), s.provider.close()]));
      await s.within('close again', s.provider.close());
      await s.within('dispose', s.provider[Symbol.asyncDispose]());
    }),
    defineCase('CleanStop', 'disposing is closing', async (s) => {
      await s.within('dispose', s.provider[Symbol.asyncDispose]());
      await s.refuses('CLOSED', 'a read after dispose', s.provider.read([s.key('a')]));
    }),
    defineCase('TypedErrors', 'after close every call fails with ClosedError', async (s) => {
      const after = await s.put('a');
      const { provider } = s;
      await s.within('close', provider.close());
      await s.refuses('CLOSED', 'read', provider.read([s.key('a')]));
      await s.refuses('CLOSED', 'list', provider.list(s.harness.prefix));
      await s.refuses('CLOSED', 'head', provider.head(s.harness.prefix));
      await s.refuses('CLOSED', 'commit', provider.commit({ checks: [], operations: [putOf(s.key('b'), 'x')] }));
      await s.refuses('CLOSED', 'open', provider.open());
      const watch = provider.watch(s.harness.prefix, { after, signal: new AbortController().signal });
      await s.refuses('CLOSED', 'a watch', watch[Symbol.asyncIterator]().next());
    }),
    defineCase('CleanStop', 'close ends every watch that waits with ClosedError', async (s) => {
      const after = await s.head();
      const { provider } = s;
      const waiting = Array.from({ length: 5 }, async () => settled(s.bareWatch(after).watch[Symbol.asyncIterator]().next()));
      await s.head();
      await s.within('close', provider.close());
      for (const outcome of await s.within('the end of the watches', Promise.all(waiting))) {
        assert.ok('error' in outcome && isAttuneError(outcome.error, 'CLOSED'), `a watch of a closed provider: ${JSON.stringify(outcome)}`);
      }
    }),
    defineCase('CleanStop', 'after a watch failed it is at its end', async (s) => {
      const { watch } = s.bareWatch(await s.head());
      const iterator = watch[Symbol.asyncIterator]();
      const waiting = settled(iterator.next());
      await s.head();
      await s.within('close', s.provider.close());
      await s.within('the failure', waiting);
      assert.equal((await s.within('the end', iterator.next())).done, true);
    }),
    defineCase(
      'CleanStop',
      'calls under way when the provider closes all end, each as done or with an error of the contract',
      async (s) => {
        const { provider } = s;
        const pending = Array.from({ length: 20 }, async (_, index) =>
          settled(provider.commit({ checks: [], operations: [putOf(s.key(`key-${index}`), 'x')] })),
        );
        const reads = Array.from({ length: 5 }, async () => settled(provider.list(s.harness.prefix)));
        await s.within('close', provider.close());
        for (const outcome of await s.within('the calls under way', Promise.all([...pending, ...reads]))) {
          if ('value' in outcome) continue;
          assert.ok(
            isAttuneError(outcome.error, 'CLOSED') || isAttuneError(outcome.error, 'OUTCOME_UNKNOWN'),
            `TypedErrors: ${String(outcome.error)}`,
          );
        }
      },
    ),
  ],
};
