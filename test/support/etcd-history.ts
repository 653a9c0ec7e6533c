import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ensureEtcdctl } from '../../scripts/stores.ts';
import type { Operation } from '../../src/core/provider.ts';
import { historyOf, type Log } from './recorded-store.ts';
import type { StoreServer } from './store-server.ts';
import type { TrueBatch, TrueHistory } from './true-history.ts';

const WITHIN_MS = 60_000;
/** To judge raw watches, which know no epochs, all positions are of one. */
const EPOCH = 'etcd';

interface WatchAnswer {
  readonly Events?: readonly {
    readonly type?: number;
    readonly kv: { readonly key: string; readonly mod_revision: number; readonly value?: string };
  }[];
  readonly CompactRevision: number;
}

/** Every transaction of `server` from `from` to `head`, in order, as etcd's own client tells them: none of our code is in between. */
export async function etcdLog(server: StoreServer, head: number, from = 1): Promise<Log> {
  const log = new Map<number, Operation[]>();
  const args = [`--endpoints=${server.host}`, 'watch', '', '--prefix', `--rev=${from}`, '-w', 'json'];
  const child = spawn(await ensureEtcdctl(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill(), WITHIN_MS);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const { Events = [], CompactRevision } = JSON.parse(line) as WatchAnswer;
      if (CompactRevision > 0) throw new Error(`etcd keeps nothing before ${CompactRevision}`);
      for (const { type, kv } of Events) {
        const key = Buffer.from(kv.key, 'base64').toString();
        const operations = log.get(kv.mod_revision) ?? [];
        log.set(kv.mod_revision, operations);
        operations.push(type === 1 ? { type: 'delete', key } : { type: 'put', key, value: Buffer.from(kv.value ?? '', 'base64') });
      }
      if (Math.max(0, ...[...log.keys()].slice(-1)) >= head) return log;
    }
    throw new Error(`etcdctl ended before revision ${head}`);
  } finally {
    clearTimeout(timer);
    child.kill();
  }
}

/** What users of `namespace` should have seen. */
export function namespaceHistory(log: Log, namespace: string): TrueHistory {
  return historyOf(log, `${namespace}/`);
}

/** What watches of `prefix` should have seen: keys and bytes as they are. */
export function rawHistory(log: Log, prefix: string): TrueHistory {
  const batches = [...log].map(([revision, operations]): TrueBatch => {
    const changes = operations
      .filter(({ key }) => key.startsWith(prefix))
      .map((operation) => ({
        key: operation.key,
        content: operation.type === 'put' ? Buffer.from(operation.value).toString('base64') : undefined,
      }));
    return { revision, changes };
  });
  return { chains: [[{ id: EPOCH, from: 0 }]], batches };
}

/** A position of a raw watch, as the judge reads them. */
export const rawCursor = (revision: number): string => `${EPOCH}-${revision}`;
