import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConformanceHarness } from '../../src/conformance/index.ts';
import type { ConfigProvider, Revision } from '../../src/core/provider.ts';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { CachedProvider } from '../../src/server/cache/cached-provider.ts';
import { unmarkedHistory } from '../../src/server/cache/history-guard.ts';
import { DEFAULT_WINDOW, type WindowLimits } from '../../src/server/cache/window.ts';
import { runConformance } from './run-conformance.ts';

const PREFIX = 'conformance/';

async function openCached(provider: ConfigProvider, window: WindowLimits = DEFAULT_WINDOW): Promise<CachedProvider<undefined>> {
  const cached = new CachedProvider({
    provider,
    prefix: PREFIX,
    guard: unmarkedHistory(provider, PREFIX),
    derive: () => undefined,
    window,
  });
  await cached.open();
  return cached;
}

// A compaction of the store does not reach the cache: it goes on serving from its window. What it forgets by itself is tested below.
describe('cache in front of the memory provider', () => {
  runConformance({ compact: false, reopen: false }, async (): Promise<ConformanceHarness> => {
    const provider = await openCached(new MemoryProvider());
    return { provider, prefix: PREFIX, dispose: () => provider.close() };
  });
});

describe('cache in front of the embedded provider', () => {
  runConformance({ compact: false, reopen: true }, async (): Promise<ConformanceHarness> => {
    const directory = await mkdtemp(path.join(tmpdir(), 'attune-cache-'));
    const open = async (): Promise<ConfigProvider> => openCached(new EmbeddedProvider(directory));
    let provider = await open();
    return {
      provider,
      prefix: PREFIX,
      reopen: async () => {
        await provider.close();
        provider = await open();
        return provider;
      },
      dispose: async () => {
        await provider.close();
        await rm(directory, { recursive: true });
      },
    };
  });
});

describe('the window of the cache', () => {
  it('NoSilentLoss: ends a watch that starts before it with CompactedError', async () => {
    await using provider = await openCached(new MemoryProvider(), { minAgeMs: -1, minBatches: 4, maxBytes: 1024 * 1024 });
    const start = await provider.head(PREFIX);
    for (let count = 0; count < 6; count++) {
      await provider.commit({ checks: [], operations: [{ type: 'put', key: `${PREFIX}a`, value: Buffer.from(String(count)) }] });
    }
    await provider.list(PREFIX); // The mirror has caught up.
    const next = async (after: number): Promise<unknown> => {
      const stop = new AbortController();
      for await (const batch of provider.watch(PREFIX, { after: after as Revision, signal: stop.signal })) return batch.revision;
      return undefined;
    };
    await expect(next(start + 1)).rejects.toMatchObject({ code: 'COMPACTED' });
    await expect(next(start + 2)).resolves.toBe(start + 3);
  });
});
