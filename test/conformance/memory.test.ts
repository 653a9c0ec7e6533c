import { describe } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { runConformance } from './run-conformance.ts';

describe('memory provider', () => {
  runConformance({ compact: true, reopen: false }, async () => {
    const provider = new MemoryProvider();
    await provider.open();
    return {
      provider,
      prefix: 'conformance/',
      compact: async (revision) => provider.compact(revision),
      dispose: async () => provider.close(),
    };
  });
});
