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

  it('NoSilentLoss: a client whose position lies within it is reset, for what was made and deleted within is not told', async () => {
    const { cluster } = await startCut();
    await using _cluster = cluster;
    const traveller = cluster.watcher({ wantsSnapshot: true });
    await traveller.connect(cluster.nodeAt(1).server.url);
    await cluster.outside({ changed: '1', passing: '1' });
    await cluster.write(cluster.nodeAt(1), { key: 'told', value: 1 });
    await traveller.untilContent('told', '1');
    traveller.cut();
    const inside = traveller.lastId ?? '';
    await cluster.outside({ passing: null, changed: '2', made: '1' });
    await relist(cluster);
    await cluster.caughtUp(cluster.node);
    expect(await cluster.call(cluster.node, `/api/v1/configs?watch&since=${inside}&wait=0s`)).toMatchObject({
      status: 410,
      body: { reason: 'compacted' },
    });
    await traveller.connect(cluster.node.server.url);
    await traveller.untilEvent('synced');
    expect(traveller.events.filter(({ type }) => type === 'reset')).toEqual([{ type: 'reset', reason: 'compacted' }]);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('Resumable: begins at the oldest state that is kept, and a position after that is resumed version by version', async () => {
    const { cluster, watcher } = await startCut();
    await using _cluster = cluster;
    const traveller = cluster.watcher({ wantsSnapshot: true });
    await traveller.connect(cluster.nodeAt(1).server.url);
    await cluster.outside({ changed: '1' });
    const kept = await cluster.outside({ changed: '2', passing: '1' });
    await traveller.untilRevision(kept);
    traveller.cut();
    await cluster.outside({ changed: '3' });
    await cluster.outside({ changed: '4', passing: null });
    cluster.node.provider.compact(kept);
    cluster.node.provider.up();
    await cluster.caughtUp(cluster.node);
    await traveller.connect(cluster.node.server.url, { isHeld: true });
    await cluster.settle();
    expect(gapsOf(traveller)).toEqual([]);
    expect(gapsOf(watcher).map(({ revision }) => revision)).toEqual([kept]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('NoSilentLoss: after a restart over a store that has forgotten the node’s past, old positions are reset', async () => {
    await using cluster = await Cluster.start();
    await cluster.outside({ passing: '1' });
    await cluster.caughtUp(cluster.node);
    const watcher = cluster.watcher({ wantsSnapshot: true });
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    await cluster.outside({ passing: null });
    watcher.cut();
    await cluster.stop(cluster.node);
    let isFirst = true;
    // Between the first list, in the past, and the watch from there.
    cluster.node.provider.onRead = (kind) => {
      if (kind === 'list' && isFirst) setImmediate(() => cluster.node.provider.compact());
      isFirst &&= kind !== 'list';
    };
    cluster.node.provider.hold();
    const restarting = cluster.restart(cluster.node);
    await until('the first list', () => !isFirst);
    await new Promise((resolve) => setTimeout(resolve, 20));
    cluster.node.provider.release();
    await restarting;
    await cluster.caughtUp(cluster.node);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('NoSilentLoss: a store that merges versions tells by the tombstone of what came and went within one batch', async () => {
    await using cluster = await Cluster.start({ nodes: 0 });
    const merging = await cluster.addNode({ isMerging: true });
    const other = await cluster.addNode();
    const watcher = cluster.watcher({ wantsSnapshot: true });
    await cluster.caughtUp(merging);
    merging.provider.hold();
    await cluster.write(other, { key: 'passing', value: 1 });
    await watcher.connect(other.server.url);
    await watcher.untilEvent('synced');
    watcher.cut();
    await cluster.write(other, { key: 'passing' });
    await cluster.write(other, { key: 'made', value: 1 });
    merging.provider.release();
    await cluster.caughtUp(merging);
    await watcher.connect(merging.server.url);
    await watcher.untilEvent('change');
    expect(merging.server.service.keys).toBe(1);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('a poll that is held meanwhile is told of it, however old its position', async () => {
    const { cluster } = await startCut();
    await using _cluster = cluster;
    const { node } = cluster;
    const { cursor } = node.server.service;
    const polling = cluster.call(node, `/api/v1/configs?watch&key=changed&since=${cursor}&wait=20s`);
    await until('the poll to be held', () => node.server.polls.size === 1);
    await cluster.elsewhere();
    await cluster.outside({ kept: '1' });
    await cluster.outside({ changed: '1' });
    await relist(cluster);
    expect(await polling).toMatchObject({
      status: 200,
      body: { revision: cluster.store.position.revision, changes: [{ key: 'changed', newValue: 1 }], gap: true },
    });
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
