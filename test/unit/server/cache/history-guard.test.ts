import { describe, expect, it } from 'vitest';
import type { ConfigProvider, Revision } from '../../../../src/core/provider.ts';
import { MemoryProvider } from '../../../../src/providers/memory/memory-provider.ts';
import { unmarkedHistory, verifyHistory, type HistoryGuard } from '../../../../src/server/cache/history-guard.ts';
import { Mirror } from '../../../../src/server/cache/mirror.ts';

const { signal } = new AbortController();

async function set(provider: ConfigProvider, key: string, value = ''): Promise<Revision> {
  return provider.commit({ checks: [], operations: [{ type: 'put', key, value: Buffer.from(value) }] });
}

async function mirrorOf(provider: ConfigProvider): Promise<Mirror> {
  const mirror = new Mirror();
  mirror.replace(await provider.list('p/'));
  return mirror;
}

const verdict = (provider: ConfigProvider, mirror: Mirror, guard: HistoryGuard = unmarkedHistory(provider, 'p/')) =>
  verifyHistory(provider, mirror, guard, { prefix: 'p/', signal });

describe('after a lost connection', () => {
  it('the history is the same when nothing happened', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    expect(await verdict(provider, await mirrorOf(provider))).toBe('same');
  });

  it('the history is the same when other keys changed', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    const mirror = await mirrorOf(provider);
    await set(provider, 'p/b');
    expect(await verdict(provider, mirror)).toBe('same');
  });

  it('the history is the same when the newest known key changed again, was deleted, or made again', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    const mirror = await mirrorOf(provider);
    await set(provider, 'p/a', 'again');
    expect(await verdict(provider, mirror)).toBe('same');
    await provider.commit({ checks: [], operations: [{ type: 'delete', key: 'p/a' }] });
    expect(await verdict(provider, mirror)).toBe('same');
    await set(provider, 'p/a', 'anew');
    expect(await verdict(provider, mirror)).toBe('same');
  });

  it('only a list can tell, where something changed in a past that the mirror takes for quiet', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    await set(provider, 'elsewhere');
    const mirror = await mirrorOf(provider);
    expect(await verdict(provider, mirror)).toBe('same');
    const restored = new MemoryProvider();
    await set(restored, 'p/a');
    await set(restored, 'p/b');
    await set(restored, 'elsewhere');
    expect(await verdict(restored, mirror)).toBe('unsure');
  });

  it('only a list can tell, where that past is long, or is kept no more', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    for (let count = 0; count < 20; count++) await set(provider, 'elsewhere');
    const mirror = await mirrorOf(provider);
    expect(await verdict(provider, mirror)).toBe('same');
    provider.compact(10 as Revision);
    expect(await verdict(provider, mirror)).toBe('unsure');
    for (let count = 0; count < 10_000; count++) await set(provider, 'elsewhere');
    expect(await verdict(provider, await mirrorOf(provider))).toBe('unsure');
  });

  it('the history was replaced when the store is behind the mirror', async () => {
    const provider = new MemoryProvider();
    for (let count = 0; count < 5; count++) await set(provider, 'p/a');
    const mirror = await mirrorOf(provider);
    const restored = new MemoryProvider();
    await set(restored, 'p/a');
    expect(await verdict(restored, mirror)).toBe('replaced');
  });

  it('the history was replaced when the store went another way and has overtaken the mirror', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    await set(provider, 'p/b');
    const mirror = await mirrorOf(provider);
    const restored = new MemoryProvider();
    await set(restored, 'p/a');
    await set(restored, 'p/a');
    await set(restored, 'p/a');
    // The newest the mirror knows, p/b at 2, is not there; nor was it ever.
    expect(await verdict(restored, mirror)).toBe('replaced');
    // Made again later in the other history, it still was not there at 2.
    await set(restored, 'p/b');
    expect(await verdict(restored, mirror)).toBe('replaced');
  });

  it('the history was replaced when the newest known deletion did not happen in it', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    const mirror = await mirrorOf(provider);
    await provider.commit({ checks: [], operations: [{ type: 'delete', key: 'p/a' }] });
    mirror.apply({ revision: 2 as Revision, changes: [{ type: 'delete', key: 'p/a', revision: 2 as Revision }] });
    expect(await verdict(provider, mirror)).toBe('same');
    const restored = new MemoryProvider();
    await set(restored, 'p/a');
    await set(restored, 'elsewhere');
    expect(await verdict(restored, mirror)).toBe('replaced');
  });

  it('the history was replaced when the mark is not accepted', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    const mirror = await mirrorOf(provider);
    expect(await verdict(provider, mirror, { ...unmarkedHistory(provider, 'p/'), accepts: () => false })).toBe('replaced');
  });

  it('an empty mirror trusts a store that is not behind it', async () => {
    const provider = new MemoryProvider();
    const mirror = await mirrorOf(provider);
    await set(provider, 'p/a');
    expect(await verdict(provider, mirror)).toBe('same');
  });

  it('nothing can be said without a past to look at when the newest known key moved on', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    const mirror = await mirrorOf(provider);
    await set(provider, 'p/a', 'again');
    const latestOnly: ConfigProvider = Object.create(provider, {
      capabilities: { value: { ...provider.capabilities, history: 'latest' } },
    });
    const bound = new Proxy(latestOnly, {
      get: (target, name) => {
        const value: unknown = name === 'capabilities' ? target.capabilities : Reflect.get(provider, name);
        return typeof value === 'function' ? value.bind(provider) : value;
      },
    });
    expect(await verdict(bound, mirror)).toBe('unsure');
  });

  it('fails, to be asked again, when the past that would prove it is compacted', async () => {
    const provider = new MemoryProvider();
    await set(provider, 'p/a');
    const mirror = await mirrorOf(provider);
    await set(provider, 'p/a', 'again');
    await set(provider, 'p/a', 'and again');
    provider.compact(2 as Revision);
    await expect(verdict(provider, mirror)).rejects.toMatchObject({ code: 'COMPACTED' });
  });
});
