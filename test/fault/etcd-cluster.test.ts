import { describe, expect, it } from 'vitest';
import { EtcdProvider } from '../../src/providers/etcd/etcd-provider.ts';
import { until } from '../support/cluster.ts';
import { put } from '../support/etcd-bench.ts';
import { EtcdCluster } from '../support/etcd-cluster.ts';
import { EtcdWriter } from '../support/etcd-writer.ts';
import { RecordedStoreWatch } from '../support/recorded-store-watch.ts';

const PREFIX = 'app/config/';

describe('several members of etcd', () => {
  it('of which the first is dead: open, commit and watch go on with the next', async () => {
    await using cluster = await EtcdCluster.start();
    await using provider = new EtcdProvider({ hosts: ['127.0.0.1:1', ...cluster.hosts], namespace: 'app/config' });
    await provider.open();
    await using fresh = new EtcdProvider({ hosts: ['127.0.0.1:1', ...cluster.hosts], namespace: 'app/config' });
    // Its first call of all is a write.
    const revision = await fresh.commit({ checks: [], operations: [put(`${PREFIX}a`, '1')] });
    await using other = new EtcdProvider({ hosts: ['127.0.0.1:1', ...cluster.hosts], namespace: 'app/config' });
    const watch = new RecordedStoreWatch({ provider: other, prefix: PREFIX, after: revision - 1 });
    await until('the change', () => watch.batches === 1);
    await watch.stop();
  });

  it('of which the one in use is killed under writers: calls and watch move on, nothing is applied twice, nothing is lost', async () => {
    await using cluster = await EtcdCluster.start();
    await using provider = new EtcdProvider({ hosts: cluster.hosts, namespace: 'app/config' });
    await provider.open();
    const watch = new RecordedStoreWatch({ provider, prefix: PREFIX, after: await provider.head(PREFIX) });
    const writer = new EtcdWriter({ provider, perSecond: 100, write: (index) => [put(`${PREFIX}k/${index}`, `${index}`)] });
    await until('some writes', () => writer.acknowledged.size > 50, 10_000);
    await cluster.kill(0);
    const before = writer.acknowledged.size;
    await until('writes through another member', () => writer.acknowledged.size > before + 50, 20_000);
    await writer.stop();
    const end = await provider.commit({ checks: [], operations: [put(`${PREFIX}end`, '')] });
    await until('the last change', () => watch.position >= end, 10_000);
    const { events } = await watch.stop();
    const told = events.flatMap((event) => (event.type === 'change' ? event.changes : []));
    const revisions = new Map(told.map(({ key, version }) => [key, version]));
    expect(revisions.size).toBe(told.length);
    for (const [index, revision] of writer.acknowledged) expect(revisions.get(`${PREFIX}k/${index}`)).toBe(revision);
    for (const index of writer.refused) expect(revisions.has(`${PREFIX}k/${index}`)).toBe(false);
    const settled = told.filter(({ key }) => key !== `${PREFIX}end`).length;
    expect(settled).toBeLessThanOrEqual(writer.acknowledged.size + writer.unknown.length);
    console.info(`${writer.acknowledged.size} acknowledged, ${writer.unknown.length} unknown, ${writer.refused.length} refused`);
  });

  it('of which one lost the others: its watch ends instead of being silent', async () => {
    await using cluster = await EtcdCluster.start();
    await using provider = new EtcdProvider({ hosts: cluster.hosts.slice(0, 1), namespace: 'app/config' });
    await provider.open();
    const watch = new RecordedStoreWatch({ provider, prefix: PREFIX, after: await provider.head(PREFIX) });
    await until('the watch', () => watch.events.some(({ type }) => type === 'bookmark'));
    await cluster.kill(1);
    await cluster.kill(2);
    await until('the end of the watch', () => watch.failures.length > 0, 15_000);
    expect(watch.failures[0]).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('no leader') });
    await watch.stop();
  });
});
