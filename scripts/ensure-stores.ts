import { ensureConsul, ensureEtcd, ensureEtcdctl } from './stores.ts';

/* Prints the paths of etcd, etcdctl and Consul, and brings them into .cache first if they are not there. */

for (const ensure of [ensureEtcd, ensureEtcdctl, ensureConsul]) console.log(await ensure());
