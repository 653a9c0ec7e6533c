import { describe } from 'vitest';
import { LatestProvider } from './latest-provider.ts';
import { runConformance } from './run-conformance.ts';

describe('a provider without history', () => {
  runConformance({ compact: false, reopen: false }, async () => {
    const provider = new LatestProvider();
    await provider.open();
    return { provider, prefix: 'conformance/', timeoutMs: 2_000, dispose: async () => provider.close() };
  });
});
