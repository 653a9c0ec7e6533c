import { ensureProgram } from './ensure-program.ts';

/** Older ones lose deletions at a compacted revision. */
const OLDEST_ETCD = [3, 5, 16] as const;

/** Resolves to the path of an etcd server for the tests, 3.5.16 or newer; see {@link ensureProgram}. */
export async function ensureEtcd(): Promise<string> {
  return ensureProgram({
    title: 'etcd',
    variable: 'ATTUNE_TEST_ETCD',
    names: ['etcd'],
    accepts: isEtcdNewEnough,
    debian: { package: 'etcd-server', executable: 'usr/bin/etcd', suite: 'sid', proof: ['--version'] },
  });
}

/** Resolves to the path of etcd's client, which makes snapshots. */
export async function ensureEtcdctl(): Promise<string> {
  return ensureProgram({
    title: 'etcdctl',
    variable: 'ATTUNE_TEST_ETCDCTL',
    names: ['etcdctl'],
    accepts: isEtcdNewEnough,
    debian: { package: 'etcd-client', executable: 'usr/bin/etcdctl', suite: 'sid', proof: ['version'] },
  });
}

/** Resolves to the path of the program that puts an etcd snapshot back. */
export async function ensureEtcdutl(): Promise<string> {
  return ensureProgram({
    title: 'etcdutl',
    variable: 'ATTUNE_TEST_ETCDUTL',
    names: ['etcdutl'],
    accepts: isEtcdNewEnough,
    debian: { package: 'etcd-server', executable: 'usr/bin/etcdutl', suite: 'sid', proof: ['version'] },
    folder: 'etcdutl',
  });
}

/** Resolves to the path of a Consul, server and client in one, for the tests; see {@link ensureProgram}. */
export async function ensureConsul(): Promise<string> {
  return ensureProgram({
    title: 'Consul',
    variable: 'ATTUNE_TEST_CONSUL',
    names: ['consul'],
    debian: { package: 'consul', executable: 'usr/bin/consul', suite: 'bullseye', proof: ['version'] },
  });
}

function isEtcdNewEnough(output: string): boolean {
  const version = /version: (\d+)\.(\d+)\.(\d+)/i.exec(output)?.slice(1).map(Number) ?? [];
  for (const [index, least] of OLDEST_ETCD.entries()) {
    const part = version[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}
