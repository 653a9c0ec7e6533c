import { describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { readCursor } from '../support/true-history.ts';

/** A second node that is behind the first by one write of `a`; it goes on after `release`. */
async function startLagging(): Promise<{ readonly cluster: Cluster; readonly cursor: string; readonly version: number }> {
  const cluster = await Cluster.start({ nodes: 2 });
  await cluster.write(cluster.node, { key: 'a', value: 'old' });
  await cluster.caughtUp(cluster.nodeAt(1));
  cluster.nodeAt(1).provider.hold();
  const answer = await cluster.write(cluster.node, { key: 'a', value: 'new' });
  return { cluster, cursor: answer.header('attune-cursor') ?? '', version: answer.body.version ?? 0 };
}

const later = (run: () => void, ms = 100): void => void setTimeout(run, ms);

describe('a node that lags', () => {
  it('ReadYourWrites: waits for the minRevision of a write through another node', async () => {
    const { cluster, cursor, version } = await startLagging();
    await using _cluster = cluster;
    const lagging = cluster.nodeAt(1);
    expect((await cluster.read(lagging, 'a')).body.value).toBe('old');
    later(() => lagging.provider.release());
    for (const minimum of [cursor, String(version)]) {
      expect((await cluster.call(lagging, `/api/v1/configs/a?minRevision=${minimum}`)).body.value).toBe('new');
    }
    expect(cluster.verdict()).toEqual([]);
  });

  it('MonotonicReads: answers 503 rather than an older state', async () => {
    const { cluster, cursor } = await startLagging();
    await using _cluster = cluster;
    const answers = await Promise.all([
      cluster.read(cluster.nodeAt(1), 'a', { minimum: cursor }),
      cluster.read(cluster.nodeAt(1), 'a', { isStrong: true }),
      cluster.call(cluster.nodeAt(1), `/api/v1/configs?minRevision=${cursor}`),
      cluster.call(cluster.nodeAt(1), `/api/v1/configs?watch&since=${cursor}`),
    ]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 503, body: { code: 'NOT_READY' } });
  });

  it('keeps a stream with a cursor ahead of it until it has caught up', async () => {
    const { cluster, cursor } = await startLagging();
    await using _cluster = cluster;
    const watcher = cluster.watcher();
    await watcher.connect(cluster.nodeAt(1).server.url, { since: cursor, isHeld: true });
    later(() => cluster.nodeAt(1).provider.release());
    await watcher.untilEvent('synced');
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('sends a stream with a cursor ahead of it away, without a state, if it does not catch up', async () => {
    const { cluster, cursor } = await startLagging();
    await using _cluster = cluster;
    const watcher = cluster.watcher({ wantsSnapshot: true });
    await watcher.connect(cluster.nodeAt(1).server.url, { since: cursor });
    await watcher.untilEvent('goaway');
    expect(watcher.events.map(({ type }) => type)).not.toContain('synced');
    await watcher.connect(cluster.node.server.url, { since: cursor, isHeld: true });
    cluster.nodeAt(1).provider.release();
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('does not take the cursor of a node that has just started for one of another history', async () => {
    await using cluster = await Cluster.start();
    const lagging = cluster.node;
    await cluster.write(lagging, { key: 'a', value: 'old' });
    lagging.provider.hold();
    const started = await cluster.addNode();
    const cursor = (await cluster.write(started, { key: 'a', value: 'new' })).header('attune-cursor') ?? '';
    expect(readCursor(cursor).epoch).not.toBe(lagging.server.service.epoch);
    const watcher = cluster.watcher();
    const reading = Promise.all([
      cluster.read(lagging, 'a', { minimum: cursor }),
      cluster.call(lagging, `/api/v1/configs?minRevision=${cursor}`),
      cluster.call(lagging, `/api/v1/configs?watch&since=${cursor}&wait=0s`),
      watcher.connect(lagging.server.url, { since: cursor, isHeld: true }),
    ]);
    later(() => lagging.provider.release());
    const [item, list, poll] = await reading;
    expect([item.status, list.status, poll.status]).toEqual([200, 200, 200]);
    expect(item.body.value).toBe('new');
    await watcher.untilEvent('synced');
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('takes a cursor above the head of the store for what it is: gone', async () => {
    await using cluster = await Cluster.start();
    const { epoch } = cluster.node.server.service;
    const ahead = `${epoch}-999`;
    for (const path of [`/api/v1/configs?watch&since=${ahead}`, `/api/v1/configs/a?minRevision=${ahead}`]) {
      expect(await cluster.call(cluster.node, path)).toMatchObject({ status: 410, body: { code: 'CURSOR_GONE', reason: 'ahead' } });
    }
    expect(await cluster.call(cluster.node, '/api/v1/configs/a?minRevision=999')).toMatchObject({ status: 503 });
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url, { since: ahead });
    await watcher.untilEvent('synced');
    expect(watcher.events.find(({ type }) => type === 'reset')).toMatchObject({ reason: 'ahead' });
  });
});

describe('two nodes over one store', () => {
  it('Resumable: a stream moved back and forth with its cursor goes on without gap or repeat', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const watchers = [cluster.watcher({ wantsSnapshot: true }), cluster.watcher({ filter: { keys: ['b'], prefixes: ['a/'] } })];
    let isWriting = true;
    const writing = (async () => {
      for (let index = 0; isWriting; index++) {
        await cluster.write(cluster.nodeAt(index), { key: ['a/1', 'a/2', 'b', 'c'][index % 4] ?? 'a', value: index, isUnique: true });
        if (index % 7 === 0) await cluster.outside({ 'a/1': JSON.stringify(`out ${index}`), b: index % 2 ? null : '"b"' });
      }
    })();
    for (let move = 0; move < 25; move++) {
      const node = cluster.nodeAt(move);
      await Promise.all(
        watchers.map((watcher) => watcher.connect(node.server.url, { isHeld: watcher.lastId !== undefined, isInUrl: move % 3 === 0 })),
      );
      await Promise.all(watchers.map((watcher) => watcher.untilEvent(move % 2 ? 'synced' : 'change').catch(() => undefined)));
    }
    isWriting = false;
    await writing;
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('Resumable: a rolling restart resets nobody', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const watchers = [cluster.watcher(), cluster.watcher({ wantsSnapshot: true })];
    for (const [index, watcher] of watchers.entries()) await watcher.connect(cluster.nodeAt(index).server.url);
    for (let round = 0; round < 3; round++) {
      for (const node of cluster.nodes) {
        await cluster.write(node, { key: 'a', value: `${round} ${node.name}`, isUnique: true });
        await Promise.all(watchers.map((watcher) => watcher.until('an id', () => watcher.lastId !== undefined)));
        await cluster.restart(node);
        for (const watcher of watchers) if (!watcher.isConnected) await watcher.connect(node.server.url, { isHeld: true });
      }
    }
    await cluster.settle();
    expect(watchers.flatMap(({ events }) => events).filter(({ type }) => type === 'reset')).toEqual([]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('Resumable: changes that a store tells together with a new node bear the cursor of the new epoch', async () => {
    await using cluster = await Cluster.start({ nodes: 0 });
    const merging = await cluster.addNode({ isMerging: true });
    const watcher = cluster.watcher();
    await watcher.connect(merging.server.url);
    await watcher.untilEvent('synced');
    merging.provider.hold();
    const started = await cluster.addNode();
    const version = (await cluster.write(started, { key: 'a', value: 1 })).body.version ?? 0;
    merging.provider.release();
    await watcher.untilRevision(version);
    const cursor = watcher.lastId ?? '';
    await watcher.connect(started.server.url, { isHeld: true });
    await cluster.settle();
    expect(cursor.split('-')[0]).toBe(started.server.service.epoch);
    expect(cluster.verdict()).toEqual([]);
  });
});
