import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareBytes } from '../../../../src/core/byte-order.ts';
import { MemoryProvider } from '../../../../src/providers/memory/memory-provider.ts';
import { KeyOrder } from '../../../../src/server/cache/key-order.ts';
import { Mirror } from '../../../../src/server/cache/mirror.ts';

// On both sides of where UTF-16 and UTF-8 differ, and of the surrogates themselves.
const text = fc.string({
  unit: fc.constantFrom('a', 'b', '/', 'é', '世', '\ud7ff', '\ue000', '\uffff', '𐀀', '😀', '\u{10ffff}'),
  maxLength: 6,
});

describe('the order of keys', () => {
  it('is that of their bytes, for whatever is looked up, whenever a key beyond the native order comes', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 12 }), text, (keys, wanted) => {
        const order = new KeyOrder();
        for (const [index, key] of keys.entries()) {
          order.admit(key);
          for (const known of keys.slice(0, index + 1)) {
            expect(Math.sign(order.compare(wanted, known))).toBe(Math.sign(compareBytes(wanted, known)));
            expect(Math.sign(order.compare(known, wanted))).toBe(Math.sign(compareBytes(known, wanted)));
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps a mirror sorted, and its keys found, as keys come and go', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text.filter(Boolean), fc.boolean()), { maxLength: 30 }), async (steps) => {
        const provider = new MemoryProvider();
        await provider.open();
        const mirror = new Mirror();
        const stop = new AbortController();
        const watch = provider.watch('', { after: mirror.revision, signal: stop.signal })[Symbol.asyncIterator]();
        const present = new Set<string>();
        for (const [key, isPut] of steps) {
          if (!isPut && !present.has(key)) continue;
          const operation = isPut ? ({ type: 'put', key, value: Buffer.from('1') } as const) : ({ type: 'delete', key } as const);
          const revision = await provider.commit({ checks: [], operations: [operation] });
          if (isPut) present.add(key);
          else present.delete(key);
          while (mirror.revision < revision) mirror.apply((await watch.next()).value);
          expect([...mirror.from('')].map(([name]) => name)).toEqual([...present].sort(compareBytes));
          for (const name of present) expect(mirror.get(name)?.key).toBe(name);
        }
        stop.abort();
        const loaded = new Mirror();
        loaded.load(await provider.list(''));
        expect([...loaded.from('')].map(([name]) => name)).toEqual([...present].sort(compareBytes));
        await provider.close();
      }),
      { numRuns: 100 },
    );
  });
});
