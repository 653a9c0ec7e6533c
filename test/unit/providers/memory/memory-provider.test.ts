import { describe, expect, it } from 'vitest';
import { REVISION_ZERO, type Revision } from '../../../../src/core/provider.ts';
import { MemoryProvider, type MemoryProviderOptions } from '../../../../src/providers/memory/memory-provider.ts';

async function fill(options: MemoryProviderOptions, commits: number, bytes = 1): Promise<MemoryProvider> {
  const provider = new MemoryProvider(options);
  await provider.open();
  for (let round = 0; round < commits; round++) {
    await provider.commit({ checks: [], operations: [{ type: 'put', key: `key-${round}`, value: new Uint8Array(bytes) }] });
  }
  return provider;
}

async function firstAfter(provider: MemoryProvider, after: number): Promise<number | string> {
  const watch = provider.watch('', { after: after as Revision, signal: new AbortController().signal });
  try {
    for await (const batch of watch) return batch.revision;
    return 'end';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('the memory provider', () => {
  it('serves a watch from the very beginning', async () => {
    const provider = await fill({}, 3);
    expect(await firstAfter(provider, REVISION_ZERO)).toBe(1);
  });

  it('keeps historyLimit revisions, no more', async () => {
    const provider = await fill({ historyLimit: 4 }, 10);
    expect(await firstAfter(provider, 5)).toBe('COMPACTED');
    expect(await firstAfter(provider, 6)).toBe(7);
    expect((await provider.list('', { at: 6 as Revision })).entries).toHaveLength(6);
    await expect(provider.list('', { at: 5 as Revision })).rejects.toMatchObject({ code: 'COMPACTED', details: { oldest: 6 } });
  });

  it('keeps no more than historyBytes of history, the newest revision always', async () => {
    const provider = await fill({ historyBytes: 1_000 }, 10, 300);
    expect(await firstAfter(provider, 6)).toBe('COMPACTED');
    expect(await firstAfter(provider, 7)).toBe(8);
    const large = await fill({ historyBytes: 10 }, 3, 300);
    expect(await firstAfter(large, 1)).toBe('COMPACTED');
    expect(await firstAfter(large, 2)).toBe(3);
  });

  it('compacts up to its head and no further', async () => {
    const provider = await fill({}, 3);
    provider.compact(100 as Revision);
    expect(await firstAfter(provider, 2)).toBe('COMPACTED');
    await provider.commit({ checks: [], operations: [{ type: 'delete', key: 'key-0' }] });
    expect(await firstAfter(provider, 3)).toBe(4);
    expect((await provider.list('key-')).entries).toHaveLength(2);
  });

  it('stores no key that another driver would store as a different one', async () => {
    const provider = await fill({}, 0);
    for (const key of ['a\0b', 'a\ud800']) {
      await expect(provider.commit({ checks: [], operations: [{ type: 'delete', key }] })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      await expect(provider.commit({ checks: [{ key, revision: null }], operations: [] })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    await provider.commit({ checks: [], operations: [{ type: 'put', key: '\u{1f600}', value: new Uint8Array(0) }] });
    expect((await provider.list('\ud83d')).entries).toEqual([]);
  });
});
