import type { LoadProcess } from './load/load-process.ts';
import { attune, consul, etcd } from './requests.ts';

/** Requests handed to the load process at a time. */
const BATCH = 5_000;
/** What a transaction may hold: 128 operations in etcd, 64 in Consul. */
const ETCD_OPERATIONS = 100;
const CONSUL_OPERATIONS = 64;

export const keyAt = (index: number, perFolder: number): string =>
  `bench/folder-${Math.floor(index / perFolder)}/key-${String(index).padStart(6, '0')}`;

/** A configuration of about `bytes` bytes of JSON. */
export function valueAt(index: number, bytes = 100): string {
  const value = { host: `host-${index}.internal`, port: 5_432, enabled: index % 2 === 0, note: '' };
  value.note = 'x'.repeat(Math.max(0, bytes - JSON.stringify(value).length));
  return JSON.stringify(value);
}

export interface Filling {
  readonly port: number;
  readonly keys: number;
  readonly perFolder: number;
  /** Of each value. Default 100. */
  readonly bytes?: number;
}

/** One PUT for each key, 64 at a time. */
export async function fillAttune(load: LoadProcess, { port, keys, perFolder, bytes }: Filling): Promise<void> {
  const requests = Array.from({ length: keys }, (_, index) => attune.put(keyAt(index, perFolder), JSON.parse(valueAt(index, bytes))));
  await sendAll(load, port, requests, 64);
}

/** Below `namespace/`, as somebody who knows nothing of Attune would write them. */
export async function fillEtcd(load: LoadProcess, filling: Filling, namespace: string): Promise<void> {
  await sendAll(load, filling.port, transactions(filling, namespace, ETCD_OPERATIONS).map(etcd.putMany), 4);
}

export async function fillConsul(load: LoadProcess, filling: Filling): Promise<void> {
  await sendAll(load, filling.port, transactions(filling, undefined, CONSUL_OPERATIONS).map(consul.putMany), 4);
}

function transactions({ keys, perFolder, bytes }: Filling, namespace: string | undefined, size: number) {
  const items = Array.from({ length: keys }, (_, index): readonly [string, string] => [
    `${namespace === undefined ? '' : `${namespace}/`}${keyAt(index, perFolder)}`,
    valueAt(index, bytes),
  ]);
  return Array.from({ length: Math.ceil(keys / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/** Every request once; any answer but 200 or 201 is an error. */
export async function sendAll(load: LoadProcess, port: number, requests: readonly string[], connections: number): Promise<void> {
  for (let begin = 0; begin < requests.length; begin += BATCH) {
    const some = requests.slice(begin, begin + BATCH);
    await load.do('requests', {
      port,
      requests: some,
      connections: Math.min(connections, some.length),
      statuses: [200, 201],
      until: 'each-once',
    });
  }
}
