import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { isAttuneError, type CallOptions } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { defineCase, putOf, settled, textOf, type Scenario } from './scenario.ts';
import { nextTurn } from './within.ts';

/** Every call that takes options, by name. */
function callsOf(s: Scenario): Map<string, (options: CallOptions) => Promise<unknown>> {
  return new Map<string, (options: CallOptions) => Promise<unknown>>([
    ['read', async (options) => s.provider.read([s.key('a')], options)],
    ['list', async (options) => s.provider.list(s.harness.prefix, options)],
    ['head', async (options) => s.provider.head(s.harness.prefix, options)],
    ['commit', async (options) => s.provider.commit({ checks: [], operations: [putOf(s.key('called'), 'x')] }, options)],
  ]);
}

export const calls: ConformanceArea = {
  area: 'signals and deadlines',
  cases: [
    defineCase('CleanStop', 'a call with a signal aborted before it fails with the signal’s reason and does nothing', async (s) => {
      for (const [name, call] of callsOf(s)) {
        const controller = new AbortController();
        const reason = new Error('not any more');
        controller.abort(reason);
        const outcome = await s.within(name, settled(call({ signal: controller.signal })));
        assert.ok('error' in outcome && outcome.error === reason, `${name} with an aborted signal: ${JSON.stringify(outcome)}`);
      }
      assert.equal(await s.entry('called'), undefined);
    }),
    defineCase('CleanStop', 'a call that ended leaves no listener on its signal', async (s) => {
      const controller = new AbortController();
      for (const [name, call] of callsOf(s)) {
        for (let round = 0; round < 3; round++) await s.within(name, call({ signal: controller.signal }));
        await nextTurn();
        assert.equal(getEventListeners(controller.signal, 'abort').length, 0, `CleanStop: ${name} leaves a listener on its signal`);
      }
    }),
    defineCase('TypedErrors', 'a commit aborted on its way is applied, or not, or says that it does not know', async (s) => {
      for (let round = 0; round < 30; round++) {
        const controller = new AbortController();
        const name = `key-${round}`;
        const pending = settled(s.provider.commit({ checks: [], operations: [putOf(s.key(name), 'x')] }, { signal: controller.signal }));
        for (let turns = 0; turns < round % 4; turns++) await nextTurn();
        controller.abort();
        const outcome = await s.within('an aborted commit', pending);
        const entry = await s.entry(name);
        if ('value' in outcome) assert.equal(entry?.revision, outcome.value, 'an acknowledged commit is there');
        else if (!isAttuneError(outcome.error, 'OUTCOME_UNKNOWN'))
          assert.equal(entry, undefined, `${String(outcome.error)}, and yet the commit was applied`);
      }
      await s.put('after', 'all is well');
      assert.equal(textOf(await s.entry('after')), 'all is well');
    }),
    defineCase('CleanStop', 'a call with a long deadline ends as soon as it can', async (s) => {
      for (const [name, call] of callsOf(s)) await s.within(name, call({ deadlineMs: 600_000 }));
    }),
    defineCase('TypedErrors', 'one call that fails is that call’s failure alone', async (s) => {
      const revision = await s.put('a');
      const outcomes = await s.within(
        'commits together',
        Promise.all([
          settled(s.put('b', 'x')),
          settled(s.put('c', 'x', [{ key: s.key('a'), revision: null }])),
          settled(s.commit([], [putOf('', 'a key of no bytes')])),
          settled(s.commit([], [putOf(s.key('d'), 'x'), putOf(s.key('d'), 'x')])),
          settled(s.put('e', 'x', [{ key: s.key('a'), revision }])),
        ]),
      );
      assert.deepEqual(
        outcomes.map((outcome) =>
          'value' in outcome ? 'applied' : isAttuneError(outcome.error) ? outcome.error.code : String(outcome.error),
        ),
        ['applied', 'CONFLICT', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'applied'],
      );
      assert.deepEqual(
        (await s.list()).entries.map((entry) => entry.key),
        ['a', 'b', 'e'].map((name) => s.key(name)),
      );
    }),
  ],
};
