import assert from 'node:assert/strict';
import type { ConformanceArea } from './harness.ts';
import { defineCase, putOf, type Scenario } from './scenario.ts';

/** A key under the prefix of exactly `bytes` bytes, most of them in characters of more than one. */
function keyOfBytes(s: Scenario, bytes: number): string {
  const room = bytes - Buffer.byteLength(s.harness.prefix);
  assert.ok(room > 4, `the prefix '${s.harness.prefix}' leaves no room in a key of ${bytes} bytes`);
  return s.harness.prefix + 'é'.repeat(Math.floor(room / 2)) + 'x'.repeat(room % 2);
}

export const limits: ConformanceArea = {
  area: 'limits',
  cases: [
    defineCase('Limits', 'the limits are whole numbers above zero', async (s) => {
      const { history, ...numbers } = s.provider.capabilities;
      assert.ok(history === 'full' || history === 'latest');
      for (const [name, value] of Object.entries(numbers)) assert.ok(Number.isSafeInteger(value) && value > 0, `${name} is ${value}`);
      assert.ok(s.provider.name.length > 0);
      await s.head();
    }),
    defineCase('Limits', 'a key of the greatest length, in bytes, is stored; one more is refused', async (s) => {
      const { maxKeyBytes } = s.provider.capabilities;
      const key = keyOfBytes(s, maxKeyBytes);
      assert.equal(Buffer.byteLength(key), maxKeyBytes);
      const revision = await s.commit([], [putOf(key, 'x')]);
      assert.equal((await s.list()).entries[0]?.key, key);
      assert.equal((await s.within('a read', s.provider.read([key]))).entries[0]?.revision, revision);
      await s.refuses('VALUE_TOO_LARGE', 'a key too long', s.commit([], [putOf(keyOfBytes(s, maxKeyBytes + 1), 'x')]));
      assert.equal((await s.list()).entries.length, 1);
    }),
    defineCase('Limits', 'a key of no bytes and a key that is not Unicode are refused', async (s) => {
      for (const key of ['', s.key('\ud83d'), s.key('\ude00x')]) {
        await s.refuses('INVALID_ARGUMENT', `a put of the key ${JSON.stringify(key)}`, s.commit([], [putOf(key, 'x')]));
        await s.refuses('INVALID_ARGUMENT', `a delete of the key ${JSON.stringify(key)}`, s.commit([], [{ type: 'delete', key }]));
      }
      assert.deepEqual((await s.list()).entries, []);
    }),
    defineCase('Limits', 'a value of the greatest size is stored and watched; one more byte is refused', async (s) => {
      const { maxValueBytes } = s.provider.capabilities;
      const reader = s.watch({ after: await s.head() });
      const value = new Uint8Array(maxValueBytes).fill(0x61);
      value[maxValueBytes - 1] = 0x7a;
      await s.put('a', value);
      assert.equal(Buffer.compare((await s.entry('a'))?.value ?? new Uint8Array(0), value), 0);
      const change = (await reader.nextBatch()).changes[0];
      assert.ok(change?.type === 'put');
      assert.equal(Buffer.compare(change.entry.value, value), 0);
      await s.refuses('VALUE_TOO_LARGE', 'a value too large', s.put('b', new Uint8Array(maxValueBytes + 1)));
      assert.equal(await s.entry('b'), undefined);
    }),
    defineCase('Limits', 'a transaction of the greatest number of operations is applied; one more is refused', async (s) => {
      const { maxTransactionOperations: most } = s.provider.capabilities;
      const puts = (count: number) => Array.from({ length: count }, (_, index) => putOf(s.key(`key-${index}`), 'x'));
      await s.refuses('VALUE_TOO_LARGE', 'too many operations', s.commit([], puts(most + 1)));
      assert.deepEqual((await s.list()).entries, []);
      const revision = await s.commit([], puts(most));
      const { entries } = await s.list();
      assert.equal(entries.length, most);
      assert.ok(entries.every((entry) => entry.revision === revision));
    }),
    defineCase('Limits', 'checks and operations together may fill the number of operations', async (s) => {
      const { maxTransactionOperations: most } = s.provider.capabilities;
      const half = Math.floor(most / 2);
      await s.commit(
        Array.from({ length: most - half }, (_, index) => ({ key: s.key(`key-${index}`), revision: null })),
        Array.from({ length: half }, (_, index) => putOf(s.key(`key-${index}`), 'x')),
      );
      assert.equal((await s.list()).entries.length, half);
    }),
    defineCase('Limits', 'a transaction of more bytes than allowed is refused, though each value is small enough', async (s) => {
      const { maxTransactionBytes, maxTransactionOperations, maxValueBytes } = s.provider.capabilities;
      const size = Math.min(maxValueBytes, maxTransactionBytes);
      const count = Math.floor(maxTransactionBytes / size) + 1;
      if (count > maxTransactionOperations) return; // No transaction of allowed values can be too large.
      const value = new Uint8Array(size);
      await s.refuses(
        'VALUE_TOO_LARGE',
        'a transaction too large',
        s.commit(
          [],
          Array.from({ length: count }, (_, index) => putOf(s.key(`key-${index}`), value)),
        ),
      );
      assert.deepEqual((await s.list()).entries, []);
    }),
  ],
};
