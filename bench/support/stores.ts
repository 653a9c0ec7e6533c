import { StoreServer } from '../../test/support/store-server.ts';
import type { Bench } from './bench.ts';
import { openFileLimit, pinTo } from './processor.ts';

/** A single etcd on loopback, fsync on, as installed; owned by the bench. */
export async function startEtcd(bench: Bench): Promise<StoreServer> {
  return bench.own(StoreServer.startEtcd({ before: pinTo('server', bench.options.isPinned) }));
}

/** Files Consul wants beside its connections. */
const SPARE_FILES = 500;

/** A single Consul server on loopback; its limit of connections per client (200) lifted as far as the machine allows: nobody could listen otherwise. */
export async function startConsul(bench: Bench): Promise<StoreServer> {
  return bench.own(
    StoreServer.startConsul({
      before: pinTo('server', bench.options.isPinned),
      args: [`-hcl=limits { http_max_conns_per_client = ${Math.min(100_000, openFileLimit() - SPARE_FILES)} }`],
    }),
  );
}
