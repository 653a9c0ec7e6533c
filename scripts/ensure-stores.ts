import { ensureConsul, ensureEtcd, ensureEtcdctl, ensureEtcdutl } from './stores.ts';

/* Prints the paths of etcd, its tools and Consul, and brings them into .cache first if they are not there. */

for (const ensure of [ensureEtcd, ensureEtcdctl, ensureEtcdutl, ensureConsul]) console.log(await ensure());
