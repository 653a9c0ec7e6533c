import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe } from 'vitest';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { runConformance } from './run-conformance.ts';

describe('embedded provider', () => {
  runConformance({ compact: true, reopen: true }, async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'attune-conformance-'));
    let provider = new EmbeddedProvider(directory);
    await provider.open();
    return {
      provider,
      prefix: 'conformance/',
      compact: async (revision) => provider.compact(revision),
      async reopen() {
        await provider.close();
        provider = new EmbeddedProvider(directory);
        await provider.open();
        return provider;
      },
      async dispose() {
        await provider.close();
        await rm(directory, { recursive: true });
      },
    };
  });
});
