import assert from 'node:assert/strict';
import { isAttuneError, type Check, type Revision } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { defineCase, putOf, settled, textOf } from './scenario.ts';

/** Runs every attempt at once; the indices of those that won. All others must have lost to a check. */
async function winners(attempts: readonly (() => Promise<Revision>)[]): Promise<number[]> {
  const outcomes = await Promise.all(attempts.map(async (attempt) => settled(attempt())));
  return outcomes.flatMap((outcome, index) => {
    if ('value' in outcome) return [index];
    assert.ok(isAttuneError(outcome.error, 'CONFLICT'), `ConditionalWrite: a loser fails with ${String(outcome.error)}`);
    return [];
  });
}

export const checks: ConformanceArea = {
  area: 'checks',
  cases: [
    defineCase('ConditionalWrite', 'a check for absence holds only while the key is absent', async (s) => {
      const absent: Check[] = [{ key: s.key('a'), revision: null }];
      const created = await s.put('a', 'one', absent);
      await s.refuses('CONFLICT', 'creating a present key', s.put('a', 'two', absent));
      const entry = await s.entry('a');
      assert.deepEqual([textOf(entry), entry?.revision], ['one', created]);
      await s.remove('a');
      await s.put('a', 'three', absent);
      assert.equal(textOf(await s.entry('a')), 'three');
    }),
    defineCase('ConditionalWrite', 'a check for a revision holds only while the key is at it', async (s) => {
      const first = await s.put('a', 'one');
      const second = await s.put('a', 'two', [{ key: s.key('a'), revision: first }]);
      await s.refuses('CONFLICT', 'a write with a stale revision', s.put('a', 'three', [{ key: s.key('a'), revision: first }]));
      await s.refuses(
        'CONFLICT',
        'a write with a future revision',
        s.put('a', 'three', [{ key: s.key('a'), revision: (second + 1) as Revision }]),
      );
      await s.refuses('CONFLICT', 'a delete with a stale revision', s.remove('a', [{ key: s.key('a'), revision: first }]));
      assert.equal(textOf(await s.entry('a')), 'two');
      await s.remove('a', [{ key: s.key('a'), revision: second }]);
      assert.equal(await s.entry('a'), undefined);
    }),
    defineCase('ConditionalWrite', 'a check for a revision of an absent key does not hold', async (s) => {
      const revision = await s.put('other');
      await s.refuses('CONFLICT', 'a write checked against an absent key', s.put('a', 'x', [{ key: s.key('a'), revision }]));
      assert.equal(await s.entry('a'), undefined);
    }),
    defineCase('ConditionalWrite', 'a revision from before a delete no longer holds, though the value came back', async (s) => {
      const first = await s.put('a', 'same');
      const check = { key: s.key('a'), revision: first };
      await s.remove('a');
      await s.refuses('CONFLICT', 'a write checked against a deleted key', s.put('a', 'x', [check]));
      await s.put('a', 'same');
      await s.refuses('CONFLICT', 'a write checked against a recreated key', s.put('a', 'x', [check]));
      assert.equal(textOf(await s.entry('a')), 'same');
    }),
    defineCase('ConditionalWrite', 'a put of an equal value makes older checks fail', async (s) => {
      const first = await s.put('a', 'same');
      await s.put('a', 'same');
      await s.refuses('CONFLICT', 'a write checked before an equal put', s.put('a', 'x', [{ key: s.key('a'), revision: first }]));
    }),
    defineCase('ConditionalWrite', 'a check may name a key that is not written', async (s) => {
      const guard = await s.put('guard');
      await s.put('a', 'one', [{ key: s.key('guard'), revision: guard }]);
      const moved = await s.put('guard');
      await s.refuses('CONFLICT', 'a write behind a moved guard', s.put('a', 'two', [{ key: s.key('guard'), revision: guard }]));
      const entry = await s.entry('guard');
      assert.deepEqual([textOf(await s.entry('a')), entry?.revision], ['one', moved]);
    }),
    defineCase('ConditionalWrite', 'one check that fails among many refuses the whole transaction', async (s) => {
      const a = await s.put('a');
      const b = await s.put('b');
      const good: Check[] = [
        { key: s.key('a'), revision: a },
        { key: s.key('c'), revision: null },
      ];
      for (const bad of [
        { key: s.key('b'), revision: a },
        { key: s.key('b'), revision: null },
      ]) {
        for (const all of [
          [bad, ...good],
          [...good, bad],
        ]) {
          await s.refuses(
            'CONFLICT',
            'a transaction with one failing check',
            s.commit(all, [putOf(s.key('c'), 'x'), { type: 'delete', key: s.key('a') }]),
          );
        }
      }
      assert.deepEqual([(await s.entry('a'))?.revision, (await s.entry('b'))?.revision, await s.entry('c')], [a, b, undefined]);
    }),
    defineCase('ConditionalWrite', 'checks are made against the state before the transaction', async (s) => {
      const absent = { key: s.key('b'), revision: null };
      const a = await s.put('a');
      await s.commit([absent, { key: s.key('a'), revision: a }], [{ type: 'delete', key: s.key('a') }, putOf(s.key('b'), 'moved')]);
      assert.equal(await s.entry('a'), undefined);
      assert.equal(textOf(await s.entry('b')), 'moved');
    }),
    defineCase('ConditionalWrite', 'a transaction of checks alone changes nothing and says whether they hold', async (s) => {
      const a = await s.put('a');
      const before = await s.head();
      const revision = await s.commit(
        [
          { key: s.key('a'), revision: a },
          { key: s.key('b'), revision: null },
        ],
        [],
      );
      assert.ok(revision >= before && revision <= (await s.head()));
      await s.refuses('CONFLICT', 'a transaction of a failing check', s.commit([{ key: s.key('b'), revision: a }], []));
      assert.equal((await s.entry('a'))?.revision, a);
    }),
    defineCase('ConditionalWrite', 'a refused transaction leaves no trace in a watch', async (s) => {
      const a = await s.put('a');
      const reader = s.watch({ after: a });
      await s.refuses('CONFLICT', 'a refused write', s.put('b', 'x', [{ key: s.key('a'), revision: null }]));
      await s.refuses('CONFLICT', 'a refused delete', s.remove('a', [{ key: s.key('b'), revision: a }]));
      await s.commit([{ key: s.key('a'), revision: a }], []);
      const marker = await s.put('marker');
      const batches = await reader.until(marker);
      assert.deepEqual(
        batches.flatMap((batch) => batch.changes.map((change) => (change.type === 'put' ? change.entry.key : change.key))),
        [s.key('marker')],
      );
    }),
    defineCase('ConditionalWrite', 'of many that create the same key at once exactly one wins', async (s) => {
      for (let round = 0; round < 5; round++) {
        const check = { key: s.key(`key-${round}`), revision: null };
        const won = await winners(Array.from({ length: 20 }, (_, index) => async () => s.put(`key-${round}`, String(index), [check])));
        assert.equal(won.length, 1, `ConditionalWrite: ${won.length} of 20 creators won`);
        assert.equal(textOf(await s.entry(`key-${round}`)), String(won[0]));
      }
    }),
    defineCase('ConditionalWrite', 'of many that update the same revision at once exactly one wins, deletes among them', async (s) => {
      for (let round = 0; round < 5; round++) {
        const check = { key: s.key('a'), revision: await s.put('a') };
        const won = await winners(
          Array.from(
            { length: 20 },
            (_, index) => async () => (index % 4 === 3 ? s.remove('a', [check]) : s.put('a', String(index), [check])),
          ),
        );
        assert.equal(won.length, 1, `ConditionalWrite: ${won.length} of 20 writers won`);
        assert.equal(textOf(await s.entry('a')), (won[0] ?? 0) % 4 === 3 ? undefined : String(won[0]));
      }
    }),
    defineCase('ConditionalWrite', 'increments by read and compare-and-set lose none', async (s) => {
      await s.put('counter', '0');
      const increment = async (): Promise<void> => {
        for (;;) {
          const entry = await s.entry('counter');
          assert.ok(entry);
          const outcome = await settled(
            s.put('counter', String(Number(textOf(entry)) + 1), [{ key: entry.key, revision: entry.revision }]),
          );
          if ('value' in outcome) return;
          assert.ok(isAttuneError(outcome.error, 'CONFLICT'), String(outcome.error));
        }
      };
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          for (let round = 0; round < 6; round++) await increment();
        }),
      );
      assert.equal(textOf(await s.entry('counter')), '48');
    }),
    defineCase('ConditionalWrite', 'two that check what the other writes never both win', async (s) => {
      for (let round = 0; round < 10; round++) {
        const a = await s.put('a', 'free');
        const b = await s.put('b', 'free');
        const won = await winners([
          async () => s.put('b', 'taken', [{ key: s.key('a'), revision: a }]),
          async () => s.put('a', 'taken', [{ key: s.key('b'), revision: b }]),
        ]);
        assert.equal(won.length, 1, 'ConditionalWrite: write skew');
      }
    }),
  ],
};
