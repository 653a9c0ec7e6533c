import { describe, expect, it } from 'vitest';
import { Cluster, NAMESPACE, until } from '../support/cluster.ts';
import type { StoredBatch, StoredChange } from '../../src/core/provider.ts';
import type { RecordedWatcher } from '../support/recorded-watcher.ts';

/** A node and a watcher on it, which do not see what happens until {@link relist}. */
async function startCut(): Promise<{ readonly cluster: Cluster; readonly watcher: RecordedWatcher }> {
  const cluster = await Cluster.start({ nodes: 2 });
  await cluster.outside({ kept: '0', changed: '0', gone: '0', recreated: '0' });
  await cluster.write(cluster.nodeAt(1), { key: 'told', value: 0 });
  await cluster.caughtUp(cluster.node);
  const watcher = cluster.watcher({ wantsSnapshot: true });
  await watcher.connect(cluster.node.server.url);
  await watcher.untilEvent('synced');
  cluster.node.provider.down();
  await until('the node to be stale', () => cluster.node.server.service.state === 'stale');
  return { cluster, watcher };
}

/** The store has forgotten what happened meanwhile: the node lists. */
async function relist({ node }: Cluster): Promise<void> {
  node.provider.compact();
  node.provider.up();
}

const gapsOf = (watcher: RecordedWatcher) => watcher.events.flatMap((event) => (event.type === 'change' && event.gap ? [event] : []));

describe('a relist after compaction', () => {
  it('Reliable: is one batch with a gap and no reset for a live stream', async () => {
    const { cluster, watcher } = await startCut();
    await using _cluster = cluster;
    await cluster.outside({ changed: '1' });
    await cluster.outside({ changed: '2', gone: null, recreated: null });
    await cluster.outside({ recreated: '1', made: '1' });
    await relist(cluster);
    await cluster.settle();
    const [gap, ...others] = gapsOf(watcher);
    expect(others).toEqual([]);
    expect(gap?.changes.map(({ type, key }) => `${type} ${key}`).toSorted()).toEqual([
      'created made',
      'created recreated',
      'deleted gone',
      'deleted recreated',
      'updated changed',
    ]);
    expect(watcher.events.filter(({ type }) => type === 'reset')).toEqual([]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('tells a deletion by the revision of its tombstone, one of another tool by that of the list', async () => {
    const { cluster, watcher } = await startCut();
    await using _cluster = cluster;
    await cluster.write(cluster.nodeAt(1), { key: 'told' });
    const told = cluster.store.position.revision;
    await cluster.outside({ gone: null });
    await cluster.elsewhere();
    const listed = await cluster.outside({ kept: '1' });
    await relist(cluster);
    await cluster.settle();
    const versions = new Map(gapsOf(watcher)[0]?.changes.map(({ key, version }) => [key, version]));
    expect(versions.get('told')).toBe(told);
    expect(versions.get('gone')).toBe(listed);
    expect(cluster.verdict()).toEqual([]);
  });

  it('NoSilentLoss: a tombstone older than the key does not hide that another tool deleted it', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    await cluster.write(cluster.node, { key: 'a', value: 1 });
    await cluster.write(cluster.node, { key: 'a' });
    await cluster.outside({ a: '"theirs"' });
    await cluster.caughtUp(cluster.node);
    const watcher = cluster.watcher({ wantsSnapshot: true });
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    cluster.node.provider.down();
    await cluster.outside({ a: null });
    await relist(cluster);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('Resumable: a client that knows part of it from another node is told only what lies above its cursor', async () => {
    const { cluster } = await startCut();
    await using _cluster = cluster;
    const traveller = cluster.watcher({ wantsSnapshot: true });
    await traveller.connect(cluster.nodeAt(1).server.url);
    await cluster.outside({ changed: '1', gone: null });
    await cluster.write(cluster.nodeAt(1), { key: 'told', value: 1 });
    await traveller.untilContent('told', '1');
    traveller.cut();
    await cluster.outside({ changed: '2', made: '1' });
    await cluster.write(cluster.nodeAt(1), { key: 'told' });
    await relist(cluster);
    await cluster.caughtUp(cluster.node);
    await traveller.connect(cluster.node.server.url, { isHeld: true });
    await traveller.untilEvent('synced');
    await cluster.settle();
    const [gap] = gapsOf(traveller);
    expect(gap?.changes.map(({ type, key }) => `${type} ${key}`).toSorted()).toEqual([
      'created made',
      'deleted gone',
      'deleted told',
      'updated changed',
    ]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('a poll is told of it, marked as a gap', async () => {
    const { cluster } = await startCut();
    await using _cluster = cluster;
    const poller = cluster.poller();
    await poller.poll(cluster.node.server.url);
    await cluster.outside({ changed: '1' });
    await cluster.outside({ changed: '2' });
    await relist(cluster);
    await cluster.caughtUp(cluster.node);
    expect(await poller.poll(cluster.node.server.url)).toBe(200);
    expect(poller.events.some((event) => event.type === 'change' && event.gap)).toBe(true);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('that finds nothing changed tells nobody anything', async () => {
    const { cluster, watcher } = await startCut();
    await using _cluster = cluster;
    await cluster.elsewhere();
    await relist(cluster);
    await cluster.caughtUp(cluster.node);
    await cluster.settle();
    expect(gapsOf(watcher)).toEqual([]);
    expect(cluster.verdict()).toEqual([]);
  });
});

describe('a watch that breaks its protocol', () => {
  const nowhere: StoredChange = { type: 'delete', key: `${NAMESPACE}/nowhere`, revision: 0 as never };

  it.each([
    [
      'deletes what is not there',
      (batch: StoredBatch) => ({ ...batch, changes: [...batch.changes, { ...nowhere, revision: batch.revision }] }),
    ],
    ['goes back', (batch: StoredBatch) => ({ ...batch, revision: 1 as never })],
  ])('by a batch that %s has none of it applied, is listed again, and nothing is lost', async (_name, spoil) => {
    await using cluster = await Cluster.start();
    const watcher = cluster.watcher({ wantsSnapshot: true });
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    let spoilt = 0;
    cluster.node.provider.onBatch = (batch) => {
      if (batch.changes.length === 0 || spoilt++ > 0) return batch;
      return spoil(batch);
    };
    await cluster.outside({ a: '1', b: '2' });
    await cluster.settle();
    expect(spoilt).toBeGreaterThan(0);
    expect(cluster.verdict()).toEqual([]);
  });
});
