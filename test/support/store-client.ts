import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ensureConsul } from '../../scripts/stores.ts';
import { etcdctl as runEtcdctl } from './etcd-tools.ts';
import type { StoreServer } from './store-server.ts';

const run = promisify(execFile);
const LIMIT_MS = 10_000;

/** What operators have: the store's own command line. */
export interface StoreClient {
  put(key: string, value: string): Promise<void>;
  /** The value as the tool prints it, without the line feed at its end; empty if there is none. */
  get(key: string): Promise<string>;
  delete(key: string): Promise<void>;
  deletePrefix(prefix: string): Promise<void>;
}

export async function etcdctl(server: StoreServer): Promise<StoreClient> {
  const call = async (...words: readonly string[]): Promise<string> => (await runEtcdctl(server, ...words)).replace(/\n$/, '');
  return {
    put: async (key, value) => void (await call('put', '--', key, value)),
    get: async (key) => call('get', '--print-value-only', '--', key),
    delete: async (key) => void (await call('del', '--', key)),
    deletePrefix: async (prefix) => void (await call('del', '--prefix', '--', prefix)),
  };
}

export async function consulKv({ host }: StoreServer): Promise<StoreClient> {
  const program = await ensureConsul();
  const call = async (...words: readonly string[]): Promise<string> => {
    const [command = '', ...rest] = words;
    const { stdout } = await run(program, ['kv', command, `-http-addr=${host}`, ...rest], { timeout: LIMIT_MS });
    return stdout.replace(/\n$/, '');
  };
  return {
    put: async (key, value) => void (await call('put', key, value)),
    get: async (key) => call('get', key),
    delete: async (key) => void (await call('delete', key)),
    deletePrefix: async (prefix) => void (await call('delete', '-recurse', prefix)),
  };
}
