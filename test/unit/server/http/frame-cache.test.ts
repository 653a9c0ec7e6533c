import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { MemoryProvider } from '../../../../src/providers/memory/memory-provider.ts';
import { ConfigService, selectChanges, type ConfigBatch } from '../../../../src/server/config-service.ts';
import { FrameCache } from '../../../../src/server/http/frame-cache.ts';

describe('change frames', () => {
  let provider: MemoryProvider;
  let service: ConfigService;
  let frames: FrameCache;

  /** One batch of as many keys. */
  const commit = async (count: number): Promise<ConfigBatch> => {
    const before = service.revision;
    const operations = Array.from({ length: count }, (_, index) => ({
      type: 'put' as const,
      key: `app/k${index}`,
      value: Buffer.from(String(index)),
    }));
    await service.reached(await provider.commit({ checks: [], operations }));
    return service.window.next(before)!;
  };
  const frameOf = (batch: ConfigBatch, keys: readonly string[]): Buffer =>
    frames.changeFrame(batch, selectChanges(batch, { keys, prefixes: [] }, 0 as typeof batch.revision));
  const keysOf = (frame: Buffer): readonly string[] => [...frame.toString().matchAll(/"key":"(\w+)"/g)].map(([, key]) => key!);

  beforeEach(async () => {
    provider = new MemoryProvider();
    service = new ConfigService({ provider, namespace: 'app' });
    service.start();
    await service.reached(service.revision);
    frames = new FrameCache(service);
  });
  afterEach(async () => {
    await service.close();
    await provider.close();
  });

  it('are the same bytes for all who want the same changes, however they ask', async () => {
    const batch = await commit(3);
    expect(frames.changeFrame(batch, batch.derived)).toBe(frameOf(batch, ['k0', 'k1', 'k2']));
    expect(frameOf(batch, ['k0', 'k2'])).toBe(frameOf(batch, ['k2', 'k0', 'absent']));
  });

  it.each([
    [3, ['k0'], ['k1']],
    [14, ['k1', 'k2'], ['k12']],
    [100, Array.from({ length: 50 }, (_, index) => `k${index}`), Array.from({ length: 50 }, (_, index) => `k${index + 1}`)],
  ])('of %d changes are told apart by which of them they hold', async (count, one, other) => {
    const batch = await commit(count);
    for (const keys of [one, other, one]) expect(keysOf(frameOf(batch, keys))).toEqual(keys);
  });
});
