import { afterAll, beforeAll, describe } from 'vitest';
import { ConsulProvider } from '../../src/providers/consul/consul-provider.ts';
import { CachedProvider } from '../../src/server/cache/cached-provider.ts';
import { unmarkedHistory } from '../../src/server/cache/history-guard.ts';
import { StoreServer } from '../support/store-server.ts';
import { runConformance } from './run-conformance.ts';

let server: StoreServer;
let cases = 0;

beforeAll(async () => {
  server = await StoreServer.startConsul();
}, 60_000);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A namespace that no other case uses. */
function nextNamespace(): string {
  return `conformance-${String(++cases).padStart(4, '0')}`;
}

async function openConsul(namespace: string): Promise<ConsulProvider> {
  const provider = new ConsulProvider({ hosts: [server.host], namespace });
  await provider.open();
  return provider;
}

async function openCached(namespace: string): Promise<CachedProvider<undefined>> {
  const provider = new ConsulProvider({ hosts: [server.host], namespace });
  const prefix = `${namespace}/`;
  const cached = new CachedProvider({ provider, prefix, guard: unmarkedHistory(provider, prefix), derive: () => undefined });
  await cached.open();
  return cached;
}

for (const [name, open] of [
  ['consul provider', openConsul],
  ['cache in front of the consul provider', openCached],
] as const) {
  describe(name, () => {
    runConformance({ compact: false, reopen: true }, async () => {
      const namespace = nextNamespace();
      let provider = await open(namespace);
      return {
        provider,
        prefix: `${namespace}/`,
        reopen: async () => {
          await provider.close();
          provider = await open(namespace);
          return provider;
        },
        dispose: async () => provider.close(),
      };
    });
  });
}
