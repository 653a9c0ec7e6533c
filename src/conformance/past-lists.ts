import assert from 'node:assert/strict';
import { compareBytes, type Revision } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { defineCase, describeEntries, type Scenario } from './scenario.ts';

/** Where history is `latest` a past list is refused, and that is all there is to say; true if the case goes on. */
async function listsThePast(s: Scenario): Promise<boolean> {
  if (s.exact) return true;
  const past = await s.put('past');
  await s.put('past');
  await s.refuses('INVALID_ARGUMENT', 'a list of the past', s.list('', past));
  return false;
}

/** A few commits of every kind, and the state after each. */
async function writeHistory(s: Scenario): Promise<Map<Revision, string[]>> {
  const steps: (() => Promise<Revision>)[] = [
    async () => s.put('a', '1'),
    async () => s.put('b', '1'),
    async () => s.put('a', '2'),
    async () => s.remove('b'),
    async () => s.put('a', '2'),
    async () => s.put('b', '3'),
    async () => s.remove('a'),
    async () => s.put('c', ''),
  ];
  const states = new Map<Revision, string[]>();
  for (const step of steps) {
    const revision = await step();
    states.set(revision, describeEntries(await s.list()));
  }
  return states;
}

export const pastLists: ConformanceArea = {
  area: 'past lists',
  cases: [
    defineCase('PastReads', 'a list at a revision is the state as of that revision', async (s) => {
      if (!(await listsThePast(s))) return;
      const states = await writeHistory(s);
      for (const [revision, state] of states) {
        const past = await s.list('', revision);
        assert.deepEqual(describeEntries(past), state, `PastReads: at ${revision}`);
        assert.equal(past.revision, revision);
      }
    }),
    defineCase('PastReads', 'a list at the revision before a commit does not hold it', async (s) => {
      if (!(await listsThePast(s))) return;
      const before = await s.head();
      await s.put('a');
      assert.deepEqual((await s.list('', before)).entries, []);
    }),
    defineCase('PastReads', 'a list of the past keeps to its prefix', async (s) => {
      if (!(await listsThePast(s))) return;
      await s.put('x/a', '1');
      const at = await s.put('y/a', '1');
      await s.put('x/a', '2');
      assert.deepEqual(
        (await s.list('x', at)).entries.map((entry) => entry.key),
        [s.key('x/a')],
      );
    }),
    defineCase('PastReads', 'a list at the head is the list', async (s) => {
      if (!(await listsThePast(s))) return;
      await writeHistory(s);
      const now = await s.list();
      assert.deepEqual(describeEntries(await s.list('', now.revision)), describeEntries(now));
    }),
    defineCase('PastReads', 'a past list and the watch after it amount to the present', async (s) => {
      if (!(await listsThePast(s))) return;
      const revisions = [...(await writeHistory(s)).keys()];
      const last = revisions.at(-1);
      assert.ok(last);
      for (const at of revisions) {
        const keys = new Map((await s.list('', at)).entries.map((entry) => [entry.key, entry.revision]));
        const reader = s.watch({ after: at });
        for (const batch of await reader.until(last)) {
          for (const change of batch.changes) {
            if (change.type === 'put') keys.set(change.entry.key, change.entry.revision);
            else assert.ok(keys.delete(change.key), `a delete of '${change.key}', which was absent`);
          }
        }
        await reader.abort();
        assert.deepEqual(
          [...keys].sort(([a], [b]) => compareBytes(a, b)),
          (await s.list()).entries.map((entry) => [entry.key, entry.revision]),
        );
      }
    }),
    defineCase('PastReads', 'a list at a revision not yet reached is refused', async (s) => {
      await s.put('a');
      const future = ((await s.head()) + 1_000) as Revision;
      await s.refuses('INVALID_ARGUMENT', 'a list of the future', s.list('', future));
    }),
    defineCase(
      'PastReads',
      'a list at a compacted revision is refused, the oldest kept is still exact',
      async (s) => {
        assert.ok(s.harness.compact);
        if (!(await listsThePast(s))) return;
        const states = [...(await writeHistory(s))];
        const [first] = states[0] ?? [];
        const [oldest, state] = states[4] ?? [];
        assert.ok(first !== undefined && oldest !== undefined);
        await s.harness.compact(oldest);
        await s.refuses('COMPACTED', 'a list at a compacted revision', s.list('', first));
        for (const [revision, expected] of states.slice(4)) assert.deepEqual(describeEntries(await s.list('', revision)), expected);
        assert.deepEqual(describeEntries(await s.list('', oldest)), state);
      },
      ['compact'],
    ),
  ],
};
