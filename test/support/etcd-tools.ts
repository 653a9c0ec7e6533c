import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ensureEtcdctl } from '../../scripts/stores.ts';
import type { StoreServer } from './store-server.ts';

const execute = promisify(execFile);

/** Runs etcd's own client against `server` and resolves to what it prints. */
export async function etcdctl(server: StoreServer, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(await ensureEtcdctl(), [`--endpoints=${server.host}`, ...args], { timeout: 30_000 });
  return stdout;
}

/** Forgets what came before `revision`. */
export async function compactEtcd(server: StoreServer, revision: number): Promise<void> {
  await etcdctl(server, 'compaction', String(revision));
}
