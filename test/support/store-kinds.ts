import { readFile, writeFile } from 'node:fs/promises';
import { restoreEtcd, saveEtcd } from './etcd-tools.ts';
import { consulKv, etcdctl, type StoreClient } from './store-client.ts';
import { StoreServer } from './store-server.ts';

/** A store that operators run, and what they do with it. */
export interface StoreKind {
  readonly scheme: 'etcd' | 'consul';
  readonly start: () => Promise<StoreServer>;
  readonly client: (server: StoreServer) => Promise<StoreClient>;
  /** Writes what `server` holds now to `file`. */
  readonly save: (server: StoreServer, file: string) => Promise<void>;
  readonly restore: (server: StoreServer, file: string) => Promise<void>;
}

export const STORE_KINDS: readonly StoreKind[] = [
  { scheme: 'etcd', start: async () => StoreServer.startEtcd(), client: etcdctl, save: saveEtcd, restore: restoreEtcd },
  {
    scheme: 'consul',
    start: async () => StoreServer.startConsul(),
    client: consulKv,
    save: async ({ url }, file) => {
      const answer = await fetch(`${url}/v1/snapshot`);
      if (!answer.ok) throw new Error(`Consul gave no snapshot: ${answer.status} ${await answer.text()}`);
      await writeFile(file, Buffer.from(await answer.arrayBuffer()));
    },
    restore: async ({ url }, file) => {
      const answer = await fetch(`${url}/v1/snapshot`, { method: 'PUT', body: await readFile(file) });
      if (!answer.ok) throw new Error(`Consul did not take the snapshot: ${answer.status} ${await answer.text()}`);
    },
  },
];
