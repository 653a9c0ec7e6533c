import assert from 'node:assert/strict';
import { compareBytes } from '../core/provider.ts';
import type { ConformanceArea } from './harness.ts';
import { defineCase, describeEntries, latestOf, putOf, textOf } from './scenario.ts';
import { inBackground, nextTurn } from './within.ts';

/** Strings whose order by UTF-16 units, by code points and by locale differs from that of their bytes. */
const ORDER_NAMES = [
  'z',
  'a/b',
  'ab',
  'a',
  'A',
  'a-b',
  'é',
  'e\u0301',
  '\uffee',
  '\u{1f600}',
  '\ue000',
  '\u{10ffff}',
  '\ud7ff',
  '~',
  '\u0080',
];

export const reads: ConformanceArea = {
  area: 'reads',
  cases: [
    defineCase('ReadYourWrites', 'a read and a list see every write acknowledged before them', async (s) => {
      for (let round = 0; round < 20; round++) {
        const revision = await s.put('a', String(round));
        const read = await s.read('a');
        const list = await s.list();
        assert.equal(textOf(read.entries[0]), String(round));
        assert.equal(textOf(list.entries[0]), String(round));
        assert.ok(read.revision >= revision && list.revision >= revision && (await s.head()) >= revision);
      }
    }),
    defineCase('ReadYourWrites', 'a delete acknowledged before a read is seen by it', async (s) => {
      await s.put('a');
      const revision = await s.remove('a');
      const read = await s.read('a');
      assert.deepEqual(read.entries, []);
      assert.ok(read.revision >= revision);
      assert.deepEqual((await s.list()).entries, []);
    }),
    defineCase('Versioned', 'an absent key is left out, beside present ones', async (s) => {
      await s.put('b');
      assert.deepEqual(
        (await s.read('a', 'b', 'c')).entries.map((entry) => entry.key),
        [s.key('b')],
      );
    }),
    defineCase('Versioned', 'a read of no key and a list of an empty prefix carry a revision', async (s) => {
      const revision = await s.put('a');
      const none = await s.read();
      assert.deepEqual(none.entries, []);
      assert.ok(none.revision >= revision);
      const empty = await s.list('no-such-folder/');
      assert.deepEqual(empty.entries, []);
      assert.ok(empty.revision >= revision);
    }),
    defineCase('Versioned', 'the revision of a snapshot is at least that of every entry in it', async (s) => {
      for (const name of ['a', 'b', 'c', 'a']) await s.put(name);
      for (const snapshot of [await s.list(), await s.read('a', 'b', 'c')]) {
        assert.equal(snapshot.entries.length, 3);
        assert.ok(snapshot.revision >= latestOf(snapshot.entries));
      }
    }),
    defineCase('ByteOrder', 'a list comes in the byte order of its keys', async (s) => {
      for (const name of ORDER_NAMES) await s.put(name);
      assert.deepEqual(
        (await s.list()).entries.map((entry) => entry.key),
        ORDER_NAMES.map((name) => s.key(name)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    }),
    defineCase('ByteOrder', 'a read comes in byte order, whatever the order asked in, each key once', async (s) => {
      for (const name of ORDER_NAMES) await s.put(name);
      assert.deepEqual(
        (await s.read(...ORDER_NAMES, ...ORDER_NAMES.toReversed())).entries.map((entry) => entry.key),
        ORDER_NAMES.map((name) => s.key(name)).sort(compareBytes),
      );
    }),
    defineCase('Reliable', 'a prefix is a string, not a folder: it need not end at a slash', async (s) => {
      const matching = ['app', 'app/x', 'app/y/z', 'apple', 'app\u{10ffff}x', 'app~'];
      for (const name of [...matching, 'ap', 'apo', 'apq', 'App', 'b']) await s.put(name);
      assert.deepEqual(
        (await s.list('app')).entries.map((entry) => entry.key),
        matching.map((name) => s.key(name)).sort(compareBytes),
      );
    }),
    defineCase(
      'Reliable',
      'a prefix that ends in the last code point before a gap matches what starts with it, nothing else',
      async (s) => {
        const ends = ['p\u{10ffff}', 'p\ud7ff', 'p\u007f', 'p\u{ffff}'];
        for (const end of ends) {
          await s.put(end);
          await s.put(`${end}x`);
        }
        await s.put('q');
        for (const end of ends) assert.equal((await s.list(end)).entries.length, 2, `list('${JSON.stringify(end)}')`);
      },
    ),
    defineCase('Atomic', 'a list of many keys is whole', async (s) => {
      const names = Array.from({ length: 1_200 }, (_, index) => `many/${index}`);
      const size = Math.min(100, s.provider.capabilities.maxTransactionOperations);
      for (let from = 0; from < names.length; from += size) {
        await s.commit(
          [],
          names.slice(from, from + size).map((name) => putOf(s.key(name), name)),
        );
      }
      assert.deepEqual(
        (await s.list('many/')).entries.map((entry) => entry.key),
        names.map((name) => s.key(name)).sort(compareBytes),
      );
    }),
    defineCase('Atomic', 'a read and a list never show half of a transaction', async (s) => {
      const write = async (value: string) => s.commit([], [putOf(s.key('pair/a'), value), putOf(s.key('pair/z'), value)]);
      await write('start');
      let writing = true;
      const writer = inBackground(
        (async () => {
          for (let round = 0; round < 60; round++) {
            await write(String(round));
            await nextTurn();
          }
        })().finally(() => (writing = false)),
      );
      while (writing) {
        await nextTurn();
        for (const { entries } of [await s.read('pair/a', 'pair/z'), await s.list('pair/')]) {
          assert.equal(entries.length, 2);
          assert.equal(textOf(entries[0]), textOf(entries[1]), 'Atomic: two keys always written together differ');
          assert.equal(entries[0]?.revision, entries[1]?.revision);
        }
      }
      await writer;
    }),
    defineCase('Atomic', 'a read of more keys than a transaction holds is of one revision', async (s) => {
      const count = s.provider.capabilities.maxTransactionOperations * 2 + 1;
      const names = Array.from({ length: count }, (_, index) => `wide/${String(index).padStart(6, '0')}`);
      const first = s.key(names[0] ?? '');
      const last = s.key(names.at(-1) ?? '');
      const write = async (value: string) => s.commit([], [putOf(first, value), putOf(last, value)]);
      await write('start');
      let writing = true;
      const writer = inBackground(
        (async () => {
          for (let round = 0; round < 20; round++) {
            await write(String(round));
            await nextTurn();
          }
        })().finally(() => (writing = false)),
      );
      while (writing) {
        await nextTurn();
        const { entries } = await s.read(...names);
        assert.equal(entries.length, 2);
        assert.equal(textOf(entries[0]), textOf(entries[1]), 'Atomic: the read spans two revisions');
      }
      await writer;
    }),
    defineCase('MonotonicReads', 'the revisions of successive reads never fall', async (s) => {
      const writer = inBackground(
        (async () => {
          for (let round = 0; round < 40; round++) {
            await s.put('a', String(round));
            await nextTurn();
          }
        })(),
      );
      let last = await s.head();
      for (let round = 0; round < 20; round++) {
        for (const revision of [(await s.read('a')).revision, (await s.list()).revision, await s.head()]) {
          assert.ok(revision >= last, `MonotonicReads: ${revision} after ${last}`);
          last = revision;
        }
      }
      await writer;
    }),
    defineCase('Immutable', 'a snapshot stays what it was after later commits', async (s) => {
      await s.put('a', 'one');
      await s.put('b', 'two');
      const snapshot = await s.list();
      const before = describeEntries(snapshot);
      const revision = snapshot.revision;
      await s.put('a', 'changed');
      await s.remove('b');
      await s.put('c', 'new');
      assert.deepEqual(describeEntries(snapshot), before);
      assert.equal(snapshot.revision, revision);
    }),
    defineCase('ReadYourWrites', 'keys beside the prefix are written, read and listed like any other', async (s) => {
      const key = s.outside('records/1');
      assert.deepEqual((await s.within('a read', s.provider.read([key]))).entries, []);
      const revision = await s.commit([{ key, revision: null }], [putOf(key, 'beside')]);
      const read = await s.within('a read', s.provider.read([key]));
      assert.equal(textOf(read.entries[0]), 'beside');
      assert.equal(read.entries[0]?.revision, revision);
      assert.equal((await s.within('a list', s.provider.list(s.outside('')))).entries.length, 1);
      assert.deepEqual((await s.list()).entries, []);
    }),
  ],
};
