import { afterAll, beforeAll, describe } from 'vitest';
import type { ConformanceHarness } from '../../src/conformance/index.ts';
import type { ConfigProvider, Revision } from '../../src/core/provider.ts';
import { EtcdProvider } from '../../src/providers/etcd/etcd-provider.ts';
import { CachedProvider } from '../../src/server/cache/cached-provider.ts';
import { unmarkedHistory } from '../../src/server/cache/history-guard.ts';
import { StoreServer } from '../support/store-server.ts';
import { compactEtcd } from '../support/etcd-tools.ts';
import { runConformance } from './run-conformance.ts';

let server: StoreServer;
let made = 0;

beforeAll(async () => {
  server = await StoreServer.startEtcd();
}, 120_000);

afterAll(async () => server[Symbol.asyncDispose]());

/** One server for all; every case has a namespace of its own in it. */
async function createHarness(wrap: (provider: ConfigProvider, prefix: string) => ConfigProvider): Promise<ConformanceHarness> {
  const namespace = `conformance-${++made}`;
  const prefix = `${namespace}/`;
  const open = async (): Promise<ConfigProvider> => {
    const provider = wrap(new EtcdProvider({ hosts: [server.host], namespace }), prefix);
    await provider.open();
    return provider;
  };
  let provider = await open();
  return {
    provider,
    prefix,
    compact: async (revision: Revision) => compactEtcd(server, revision),
    reopen: async () => {
      await provider.close();
      provider = await open();
      return provider;
    },
    dispose: () => provider.close(),
  };
}

describe('etcd provider', () => {
  runConformance({ compact: true, reopen: true }, async () => createHarness((provider) => provider));
});

// A compaction of the store does not reach the cache: it goes on serving from its window.
describe('cache in front of the etcd provider', () => {
  runConformance({ compact: false, reopen: true }, async () =>
    createHarness(
      (provider, prefix) => new CachedProvider({ provider, prefix, guard: unmarkedHistory(provider, prefix), derive: () => undefined }),
    ),
  );
});
