import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/core/provider.ts';
import { Cluster, EPOCH_KEY, NAMESPACE, until, type ClusterNode } from '../support/cluster.ts';
import type { RecordedWatcher } from '../support/recorded-watcher.ts';
import { readCursor } from '../support/true-history.ts';

/** What clients hold of `a` when the store is put back to before it was written. */
interface Held {
  /** The position, entity tag and version of the write that is lost. */
  readonly cursor: string;
  readonly etag: string;
  readonly version: number;
  /** A revision before the write. */
  readonly before: number;
}

async function writeThenHold(cluster: Cluster): Promise<Held> {
  await cluster.write(cluster.node, { key: 'a', value: 'kept' });
  await cluster.write(cluster.node, { key: 'b', value: 'kept' });
  const before = cluster.store.position.revision;
  const answer = await cluster.write(cluster.node, { key: 'a', value: 'lost' });
  await Promise.all(cluster.nodes.map((node) => cluster.caughtUp(node)));
  return { cursor: answer.header('attune-cursor') ?? '', etag: answer.body.etag ?? '', version: answer.body.version ?? 0, before };
}

/** Every way in which a client may send what it holds is refused. */
async function requireRefused(cluster: Cluster, node: ClusterNode, { cursor, etag }: Held): Promise<void> {
  const url = '/api/v1/configs';
  for (const path of [
    `${url}?watch&since=${cursor}&wait=0s`,
    `${url}/a?minRevision=${cursor}`,
    `${url}?minRevision=${cursor}`,
    `${url}?cursor=${cursor}`,
  ]) {
    expect(await cluster.call(node, path), path).toMatchObject({ status: 410, body: { code: 'CURSOR_GONE', reason: 'epoch' } });
  }
  expect((await cluster.call(node, `${url}/a`, { headers: { 'If-None-Match': `"${etag}"` } })).status).not.toBe(304);
  expect((await cluster.call(node, url, { headers: { 'If-None-Match': `"${cursor}"` } })).status).toBe(200);
  expect((await cluster.write(node, { key: 'a', value: 'over', ifMatch: etag })).status).toBe(412);
  expect((await cluster.write(node, { key: 'a', ifMatch: etag })).status).toBe(412);
  const stranger = cluster.watcher();
  await stranger.connect(node.server.url, { since: cursor });
  await stranger.untilEvent('synced');
  expect(stranger.events.filter(({ type }) => type !== 'status').slice(1, 2)).toEqual([{ type: 'reset', reason: 'epoch' }]);
}

const resetsOf = (watcher: RecordedWatcher): string[] => watcher.events.flatMap((event) => (event.type === 'reset' ? event.reason : []));

async function connected(cluster: Cluster, node: ClusterNode = cluster.node): Promise<RecordedWatcher> {
  const watcher = cluster.watcher({ wantsSnapshot: true });
  await watcher.connect(node.server.url);
  await watcher.untilEvent('synced');
  return watcher;
}

describe('a store that is put back to an earlier state', () => {
  it('under a live node: every stream is reset once, every old position and tag refused', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const held = await writeThenHold(cluster);
    const watchers = [await connected(cluster), await connected(cluster, cluster.nodeAt(1))];
    await cluster.store.rollBack(held.before);
    for (const node of cluster.nodes) {
      await cluster.caughtUp(node);
      await requireRefused(cluster, node, held);
    }
    await cluster.settle();
    expect(watchers.map(resetsOf)).toEqual([['epoch'], ['epoch']]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('under a live node, and its revisions used again by other tools', async () => {
    await using cluster = await Cluster.start();
    const held = await writeThenHold(cluster);
    const watcher = await connected(cluster);
    cluster.node.provider.down();
    await cluster.store.rollBack(held.before);
    while (cluster.store.position.revision < held.version + 2)
      await cluster.outside({ a: JSON.stringify(`theirs ${cluster.store.position.revision}`) });
    cluster.node.provider.up();
    await cluster.caughtUp(cluster.node);
    await requireRefused(cluster, cluster.node, held);
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual(['epoch']);
    expect(cluster.verdict()).toEqual([]);
  });

  it('to a state that lacks nothing of ours, and is written past by other tools before the node looks', async () => {
    await using cluster = await Cluster.start();
    await cluster.write(cluster.node, { key: 'a', value: 'kept' });
    const kept = cluster.store.position.revision;
    for (let count = 0; count < 5; count++) await cluster.elsewhere();
    await cluster.caughtUp(cluster.node);
    const watcher = await connected(cluster);
    cluster.node.provider.down();
    await cluster.store.rollBack(kept);
    await cluster.outside({ 'b/x': '"made in the past that the node knew"' });
    for (let count = 0; count < 5; count++) await cluster.elsewhere();
    cluster.node.provider.up();
    await cluster.caughtUp(cluster.node);
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual(['epoch']);
    expect(cluster.verdict()).toEqual([]);
  });

  it('under a node that is cut off while another one starts in it and writes the same key at the same revision', async () => {
    await using cluster = await Cluster.start();
    const survivor = cluster.node;
    await cluster.write(survivor, { key: 'a', value: 'kept' });
    const before = cluster.store.position.revision;
    // One revision for the link of the node that will start, then the one that is used twice.
    await cluster.elsewhere();
    const lost = await cluster.write(survivor, { key: 'a', value: 'lost' });
    const held: Held = { cursor: lost.header('attune-cursor') ?? '', etag: lost.body.etag ?? '', version: lost.body.version ?? 0, before };
    const watcher = await connected(cluster);
    survivor.provider.down();
    await cluster.store.rollBack(before);
    const started = await cluster.addNode();
    const again = await cluster.write(started, { key: 'a', value: 'other' });
    expect(again.body.version).toBe(lost.body.version);
    await cluster.write(started, { key: 'b', value: 'more' });
    survivor.provider.up();
    await cluster.caughtUp(survivor);
    for (const node of cluster.nodes) await requireRefused(cluster, node, held);
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual(['epoch']);
    expect(cluster.verdict()).toEqual([]);
  });

  it('while every node is down: every old position and tag is refused after the start', async () => {
    await using cluster = await Cluster.start();
    const held = await writeThenHold(cluster);
    const watcher = await connected(cluster);
    await cluster.stop(cluster.node);
    await cluster.store.rollBack(held.before);
    await cluster.restart(cluster.node);
    await cluster.caughtUp(cluster.node);
    await requireRefused(cluster, cluster.node, held);
    expect((await cluster.read(cluster.node, 'a')).body.value).toBe('kept');
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual(['epoch']);
    expect(cluster.verdict()).toEqual([]);
  });

  it('while every node is down: a position of the part that was kept is resumed', async () => {
    await using cluster = await Cluster.start();
    const held = await writeThenHold(cluster);
    const kept = `${readCursor(held.cursor).epoch}-${held.before}`;
    await cluster.stop(cluster.node);
    await cluster.store.rollBack(held.before);
    await cluster.restart(cluster.node);
    await cluster.caughtUp(cluster.node);
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url, { since: kept, isHeld: true });
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual([]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('and is older than the epoch it began after a wipe: its chain is not taken for that of another node', async () => {
    await using cluster = await Cluster.start();
    await cluster.write(cluster.node, { key: 'a', value: 'kept' });
    const backup = cluster.store.position.revision;
    const lost = await cluster.write(cluster.node, { key: 'a', value: 'lost' });
    await cluster.store.wipe(EPOCH_KEY);
    await cluster.caughtUp(cluster.node);
    await cluster.store.rollBack(backup);
    await cluster.outside({ b: '"theirs"' });
    await cluster.caughtUp(cluster.node);
    await requireRefused(cluster, cluster.node, {
      cursor: lost.header('attune-cursor') ?? '',
      etag: lost.body.etag ?? '',
      version: lost.body.version ?? 0,
      before: backup,
    });
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('settles everybody who waits: writes that stand, positions, polls', async () => {
    await using cluster = await Cluster.start();
    const { node } = cluster;
    const held = await writeThenHold(cluster);
    node.provider.hold();
    const writing = cluster.write(node, { key: 'c', value: 1 });
    await until('the commit', () => cluster.store.position.revision > held.version);
    const waiting = [
      cluster.call(node, `/api/v1/configs/a?minRevision=${cluster.store.position.revision}`),
      cluster.call(node, '/api/v1/configs/a?consistency=strong'),
      cluster.call(node, '/api/v1/configs?watch&key=a&wait=20s'),
      cluster.call(node, `/api/v1/configs/a?watch&version=${held.version}&wait=20s`),
      cluster.call(node, '/api/v1/configs/a', { headers: { 'If-None-Match': `"${held.etag}"`, Prefer: 'wait=20' } }),
    ];
    await until('the polls to be held', () => node.server.polls.size === 3);
    const start = performance.now();
    await cluster.store.rollBack(held.before);
    expect(await writing).toMatchObject({ status: 504, body: { code: 'DEADLINE_EXCEEDED', committed: true } });
    const answers = await Promise.all(waiting);
    expect(performance.now() - start).toBeLessThan(2_500);
    expect(answers.map(({ status }) => status)).toEqual([410, 200, 410, 200, 200]);
    expect(answers.slice(3).map(({ body }) => body.key)).toEqual(['a', 'a']);
    expect(answers[1]?.body.value).toBe('kept');
  });

  it('under a watch that is silent: a read of the head, a write, or a colliding one finds it out', async () => {
    for (const act of ['strong read', 'write', 'conditional write'] as const) {
      await using cluster = await Cluster.start();
      const { node } = cluster;
      const held = await writeThenHold(cluster);
      const watcher = await connected(cluster);
      node.provider.silence();
      node.provider.endSilence();
      await cluster.store.rollBack(held.before);
      const answer =
        act === 'strong read'
          ? await cluster.read(node, 'a', { isStrong: true })
          : await cluster.write(
              node,
              act === 'write'
                ? { key: 'c', value: 'new', isUnique: true }
                : { key: 'a', value: 'over', ifMatch: held.etag, isUnique: true },
            );
      expect(answer.status, act).toBe(act === 'write' ? 504 : 503);
      if (act === 'write') expect(answer.body).toMatchObject({ committed: true });
      await cluster.caughtUp(node, 1_000);
      await requireRefused(cluster, node, held);
      await cluster.settle();
      expect(resetsOf(watcher)).toEqual(['epoch']);
      expect(cluster.verdict()).toEqual([]);
    }
  });

  it('ConditionalWrite: a tag of the lost history does not pass though the restored one has that very version', async () => {
    await using cluster = await Cluster.start();
    const survivor = cluster.node;
    await cluster.write(survivor, { key: 'a', value: 'kept' });
    const before = cluster.store.position.revision;
    await cluster.elsewhere();
    const lost = await cluster.write(survivor, { key: 'a', value: 'lost' });
    survivor.provider.silence();
    survivor.provider.endSilence();
    await cluster.store.rollBack(before);
    const started = await cluster.addNode();
    const again = await cluster.write(started, { key: 'a', value: 'other' });
    expect(again.body.version).toBe(lost.body.version);
    // The survivor still shows what is lost, and by the numbers nothing has changed.
    const answer = await cluster.write(survivor, { key: 'a', value: 'over', ifMatch: lost.body.etag ?? '', isUnique: true });
    expect([412, 503]).toContain(answer.status);
    expect((await cluster.read(started, 'a')).body.value).toBe('other');
  });
});

describe('a namespace that is wiped', () => {
  it('under load is told as deletions and one reset, and is not filled again from anybody’s memory', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const watchers = [await connected(cluster), await connected(cluster, cluster.nodeAt(1))];
    await Promise.all(
      Array.from({ length: 30 }, (_, index) => cluster.write(cluster.nodeAt(index), { key: `old/${index}`, value: index })),
    );
    let isWriting = true;
    const writers = cluster.nodes.map(async (node, which) => {
      for (let index = 0; isWriting; index++)
        await cluster.write(node, { key: `new/${which}/${index % 5}`, value: `${which} ${index}`, isUnique: true });
    });
    await cluster.store.wipe(`${NAMESPACE}/`);
    await until('a fresh chain', () => cluster.nodes.every(({ server }) => server.service.epoch !== ''));
    for (const watcher of watchers) await watcher.until('the reset', () => resetsOf(watcher).length > 0);
    isWriting = false;
    await Promise.all(writers);
    await cluster.settle();
    expect(watchers.map(resetsOf)).toEqual([['epoch'], ['epoch']]);
    const { entries } = await cluster.store.list(`${NAMESPACE}/old/`);
    expect(entries).toEqual([]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('of its epoch key alone gets a fresh chain, and old positions and tags are refused', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const held = await writeThenHold(cluster);
    const watcher = await connected(cluster);
    await cluster.store.wipe(EPOCH_KEY);
    await watcher.until('the reset', () => resetsOf(watcher).length > 0);
    for (const node of cluster.nodes) {
      await cluster.caughtUp(node);
      await requireRefused(cluster, node, held);
    }
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual(['epoch']);
    expect(cluster.verdict()).toEqual([]);
  });

  it('of an epoch key that somebody overwrites with something else heals the same way', async () => {
    await using cluster = await Cluster.start();
    const held = await writeThenHold(cluster);
    const watcher = await connected(cluster);
    await cluster.store.commit({
      checks: [],
      operations: [{ type: 'put', key: EPOCH_KEY, value: Buffer.from('{"chain":[{"id":"stranger"}]}') }],
    });
    await watcher.until('the reset', () => resetsOf(watcher).length > 0);
    await cluster.caughtUp(cluster.node);
    await requireRefused(cluster, cluster.node, held);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('replaced by another, empty store is a new history', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const held = await writeThenHold(cluster);
    const watcher = await connected(cluster);
    await cluster.store.rollBack(0);
    for (const node of cluster.nodes) {
      await cluster.caughtUp(node);
      await requireRefused(cluster, node, held);
    }
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual(['epoch']);
    expect((await cluster.read(cluster.node, 'a')).status).toBe(404);
    expect(cluster.verdict()).toEqual([]);
  });
});

describe('the chain of epochs', () => {
  it('is one when five nodes start at once on an empty store', async () => {
    await using cluster = await Cluster.start({ nodes: 0 });
    await Promise.all(Array.from({ length: 5 }, () => cluster.addNode()));
    await Promise.all(cluster.nodes.map((node) => cluster.caughtUp(node)));
    const epochs = new Set(cluster.nodes.map(({ server }) => server.service.epoch));
    expect(epochs.size).toBe(1);
    const [history] = cluster.store.histories(NAMESPACE);
    expect(history?.chains.map((chain) => chain.length)).toEqual([5]);
    await cluster.write(cluster.node, { key: 'a', value: 1 });
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('written anew by another node is taken over with one reset', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const held = await writeThenHold(cluster);
    const watcher = await connected(cluster, cluster.nodeAt(1));
    cluster.nodeAt(1).provider.down();
    await cluster.store.rollBack(held.before);
    await cluster.caughtUp(cluster.node);
    await cluster.write(cluster.node, { key: 'a', value: 'other' });
    cluster.nodeAt(1).provider.up();
    await cluster.settle();
    expect(resetsOf(watcher)).toEqual(['epoch']);
    await requireRefused(cluster, cluster.nodeAt(1), held);
    expect(cluster.verdict()).toEqual([]);
  });

  it('written anew is not used for a state from before, however long the list of the new one takes', async () => {
    await using cluster = await Cluster.start();
    const { node } = cluster;
    const held = await writeThenHold(cluster);
    let failures = 3;
    node.provider.onRead = (kind) => {
      if (kind === 'list' && failures > 0) throw new UnavailableError(`the list failed, ${failures--} to come`);
    };
    const poller = cluster.poller();
    const { epoch } = node.server.service;
    const polling = (async () => {
      while (failures > 0) await poller.poll(node.server.url);
    })();
    await cluster.store.rollBack(held.before);
    await until('the list to fail', () => failures < 3);
    expect(node.server.service.epoch).toBe(epoch);
    await polling;
    await cluster.settle();
    expect(cluster.store.histories(NAMESPACE).at(-1)?.chains.at(-1)?.length).toBe(1);
    expect(cluster.verdict()).toEqual([]);
  });

  it('is not used up by a node whose first list fails again and again', async () => {
    await using cluster = await Cluster.start();
    const { node } = cluster;
    await cluster.stop(node);
    let failures = 8;
    node.provider.onRead = (kind) => {
      if (kind === 'list' && failures > 0) throw new UnavailableError(`the list failed, ${failures--} to come`);
    };
    await cluster.restart(node);
    await cluster.caughtUp(node);
    expect(failures).toBe(0);
    expect(cluster.store.histories(NAMESPACE)[0]?.chains.map((chain) => chain.length)).toEqual([2]);
  });

  it('that was lost between the start of a node and its first list is set again before the node is live', async () => {
    await using cluster = await Cluster.start();
    const { node } = cluster;
    await cluster.write(node, { key: 'a', value: 1 });
    await cluster.stop(node);
    let isFirst = true;
    node.provider.onRead = async (kind) => {
      if (kind !== 'list' || !isFirst) return;
      isFirst = false;
      await cluster.store.wipe(EPOCH_KEY);
    };
    await cluster.restart(node);
    await cluster.caughtUp(node);
    expect(isFirst).toBe(false);
    const chain = cluster.store.histories(NAMESPACE)[0]?.chains.at(-1);
    expect(chain?.at(-1)?.id).toBe(node.server.service.epoch);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });
});
