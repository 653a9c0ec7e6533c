import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { ensureEtcdctl, ensureEtcdutl } from '../../scripts/stores.ts';
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

/** Writes what `server` holds now to `file`. */
export async function saveEtcd(server: StoreServer, file: string): Promise<void> {
  await etcdctl(server, 'snapshot', 'save', file);
}

/** Puts `server` back to what `file` holds, as an operator does: stopped, its data replaced, started again at the same address. */
export async function restoreEtcd(server: StoreServer, file: string): Promise<void> {
  await server.end('SIGTERM');
  await rm(server.dataDir, { recursive: true });
  const peer = server.peerUrl;
  await execute(
    await ensureEtcdutl(),
    [
      'snapshot',
      'restore',
      file,
      `--data-dir=${server.dataDir}`,
      `--initial-cluster=default=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
    ],
    { timeout: 30_000 },
  );
  await server.start();
}
