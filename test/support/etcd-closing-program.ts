import { once } from 'node:events';
import { EtcdProvider } from '../../src/providers/etcd/etcd-provider.ts';
import type { Revision } from '../../src/core/provider.ts';

// Run by etcd-calls.test.ts: it must end by itself, without process.exit, and with nothing unhandled.
const provider = new EtcdProvider({ hosts: [process.argv[2] ?? ''], namespace: 'closing' });
await provider.open({ deadlineMs: 300 }).catch(() => undefined);
process.stdout.write('freeze\n');
process.stdin.resume();
await once(process.stdin, 'end');
const options = { after: 0 as Revision, signal: new AbortController().signal };
const watches = [provider.watch('closing/', options), provider.watch('closing/', options)];
const pending = Promise.allSettled([
  provider.list('closing/'),
  provider.commit({ checks: [], operations: [{ type: 'put', key: 'closing/a', value: Buffer.from('b') }] }),
  ...watches.map((watch) => watch[Symbol.asyncIterator]().next()),
]);
await new Promise((resolve) => setTimeout(resolve, 100));
await provider.close();
await pending;
process.stdout.write('closed\n');
