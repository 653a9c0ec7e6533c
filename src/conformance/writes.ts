import assert from 'node:assert/strict';
import type { ConformanceArea } from './harness.ts';
import { defineCase, putOf, textOf } from './scenario.ts';

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** Keys that a path, a pattern, a URL, a quoting rule or a normalisation would spoil. */
const AWKWARD_NAMES = [
  ' ',
  'a b',
  '%2F',
  '%',
  '_',
  '*',
  '?x=1&y=2#z',
  'a//b',
  '../up',
  './here',
  'trailing/',
  '"quoted"',
  "it's",
  "'; DROP TABLE versions; --",
  '\\back\\slash',
  '\ttab',
  'line\nfeed',
  '\u007f',
  '\ufeffmark',
  'é',
  'e\u0301',
  'K',
  'k',
  '\u212a',
  'ß',
  'ss',
  '日本語',
  '👩‍👩‍👧',
  '\u{10ffff}',
  '__proto__',
  'constructor',
];

export const writes: ConformanceArea = {
  area: 'writes',
  cases: [
    defineCase('Versioned', 'a first put sets both revisions to that of its commit', async (s) => {
      const before = await s.head();
      const revision = await s.put('a', 'one');
      assert.ok(revision > before, `a put returns a new revision, got ${revision} after ${before}`);
      const entry = await s.entry('a');
      assert.equal(entry?.revision, revision);
      assert.equal(entry.createdRevision, revision);
      assert.equal(entry.key, s.key('a'));
      assert.equal(textOf(entry), 'one');
    }),
    defineCase('Versioned', 'a later put moves the revision and keeps the created revision', async (s) => {
      const created = await s.put('a', 'one');
      const revision = await s.put('a', 'two');
      assert.ok(revision > created);
      const entry = await s.entry('a');
      assert.deepEqual([entry?.revision, entry?.createdRevision, textOf(entry)], [revision, created, 'two']);
    }),
    defineCase('Versioned', 'a put of an equal value is a new revision', async (s) => {
      const created = await s.put('a', 'same');
      const second = await s.put('a', 'same');
      const third = await s.put('a', 'same');
      assert.ok(third > second && second > created);
      const entry = await s.entry('a');
      assert.deepEqual([entry?.revision, entry?.createdRevision, textOf(entry)], [third, created, 'same']);
    }),
    defineCase('Versioned', 'a key deleted and put again has a new created revision', async (s) => {
      const first = await s.put('a', 'one');
      const deleted = await s.remove('a');
      assert.ok(deleted > first);
      assert.equal(await s.entry('a'), undefined);
      const again = await s.put('a', 'one');
      assert.ok(again > deleted);
      const entry = await s.entry('a');
      assert.deepEqual([entry?.revision, entry?.createdRevision], [again, again]);
    }),
    defineCase('Versioned', 'deleting an absent key changes nothing and returns the current revision', async (s) => {
      await s.put('a');
      const before = await s.head();
      const revision = await s.remove('never-there');
      assert.ok(revision >= before && revision <= (await s.head()));
      assert.equal(await s.entry('never-there'), undefined);
    }),
    defineCase('Ordered', 'commits that follow each other have growing revisions', async (s) => {
      let last = await s.head();
      for (let round = 0; round < 30; round++) {
        const revision = round % 3 === 2 ? await s.remove('a') : await s.put('a', String(round));
        assert.ok(revision > last, `Ordered: ${revision} after ${last}`);
        last = revision;
      }
    }),
    defineCase('Unique', 'commits at the same time have different revisions', async (s) => {
      const revisions = await Promise.all(Array.from({ length: 50 }, (_, index) => s.put(`key-${index}`)));
      assert.equal(new Set(revisions).size, 50);
      for (const [index, revision] of revisions.entries()) assert.equal((await s.entry(`key-${index}`))?.revision, revision);
    }),
    defineCase('ByteExact', 'a value of no bytes is a value', async (s) => {
      const revision = await s.put('a', new Uint8Array(0));
      const entry = await s.entry('a');
      assert.equal(entry?.revision, revision);
      assert.equal(entry.value.byteLength, 0);
      const listed = (await s.list()).entries[0];
      assert.equal(listed?.value.byteLength, 0);
    }),
    defineCase('ByteExact', 'every byte comes back, in a read, a list and a watch', async (s) => {
      const values = [
        EVERY_BYTE,
        EVERY_BYTE.toReversed(),
        Uint8Array.of(0),
        Uint8Array.of(0xff, 0xfe, 0x00),
        Uint8Array.of(0xef, 0xbb, 0xbf, 0x61),
      ];
      for (const value of values) {
        const reader = s.watch({ after: await s.head() });
        await s.put('a', value);
        const change = (await reader.nextBatch()).changes[0];
        assert.ok(change?.type === 'put');
        for (const got of [(await s.entry('a'))?.value, (await s.list()).entries[0]?.value, change.entry.value]) {
          assert.ok(got instanceof Uint8Array);
          assert.deepEqual([...got], [...value]);
        }
        await reader.abort();
      }
    }),
    defineCase('ByteExact', 'a value that is a part of a larger buffer is stored as that part', async (s) => {
      await s.put('view', EVERY_BYTE.subarray(100, 110));
      assert.deepEqual([...((await s.entry('view'))?.value ?? [])], [100, 101, 102, 103, 104, 105, 106, 107, 108, 109]);
      await s.put('buffer', Buffer.from('from a pool'));
      assert.equal(textOf(await s.entry('buffer')), 'from a pool');
    }),
    defineCase('ByteExact', 'a value of many bytes comes back', async (s) => {
      const value = new Uint8Array(Math.min(100_000, s.provider.capabilities.maxValueBytes)).map((_, index) => (index * 31) % 251);
      await s.put('a', value);
      assert.equal(Buffer.compare((await s.entry('a'))?.value ?? new Uint8Array(0), value), 0);
    }),
    defineCase('ByteExact', 'a buffer re-used after its commit does not change the store', async (s) => {
      const reader = s.watch({ after: await s.head() });
      const buffer = Buffer.from('as committed');
      await s.put('a', buffer);
      buffer.fill(0x58);
      assert.equal(textOf(await s.entry('a')), 'as committed');
      assert.equal(textOf((await s.list()).entries[0]), 'as committed');
      const change = (await reader.nextBatch()).changes[0];
      assert.equal(change?.type === 'put' ? textOf(change.entry) : undefined, 'as committed');
    }),
    defineCase('ByteExact', 'a key is any text: nothing is escaped, folded, normalised or trimmed', async (s) => {
      for (const name of AWKWARD_NAMES) await s.put(name);
      const listed = new Map((await s.list()).entries.map((entry) => [entry.key, textOf(entry)]));
      assert.deepEqual([...listed.keys()].sort(), AWKWARD_NAMES.map((name) => s.key(name)).sort());
      for (const name of AWKWARD_NAMES) {
        assert.equal(textOf(await s.entry(name)), name, `the value of '${JSON.stringify(name)}'`);
        assert.equal(listed.get(s.key(name)), name);
      }
    }),
    defineCase('ByteExact', 'a delete takes exactly its key, not what its name matches or begins', async (s) => {
      const others = ['x', 'a/b', 'ab', 'A', 'a%', '%', 'é'];
      await s.commit(
        [],
        [...others, 'a', '_', '*', 'e\u0301'].map((name) => putOf(s.key(name), name)),
      );
      for (const name of ['a', '_', '*', 'e\u0301']) await s.remove(name);
      assert.deepEqual(new Set((await s.list()).entries.map(textOf)), new Set(others));
    }),
  ],
};
