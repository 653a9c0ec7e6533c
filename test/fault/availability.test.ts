import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/core/provider.ts';
import { Cluster, until } from '../support/cluster.ts';
import { HANGS } from '../support/faulty-provider.ts';

async function stale(cluster: Cluster): Promise<void> {
  cluster.node.provider.down();
  await until('the node to be stale', () => cluster.node.server.service.state === 'stale');
}

describe('a node without its store', () => {
  it('Available: goes on serving reads, lists, polls and streams, marked stale', async () => {
    await using cluster = await Cluster.start();
    const { body, header } = await cluster.write(cluster.node, { key: 'a', value: 1 });
    const cursor = header('attune-cursor') ?? '';
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    await stale(cluster);
    for (const path of [
      '/api/v1/configs/a',
      '/api/v1/configs/a?raw',
      '/api/v1/configs',
      `/api/v1/configs/a?minRevision=${cursor}`,
      `/api/v1/configs?watch&since=${cursor}&wait=0s`,
    ]) {
      const answer = await cluster.call(cluster.node, path);
      expect(answer.status, path).toBe(200);
      expect(Number(answer.header('attune-stale')), path).toBeGreaterThanOrEqual(0);
      expect(answer.header('attune-cursor'), path).toBe(cursor);
    }
    expect((await cluster.call(cluster.node, '/api/v1/configs/a', { headers: { 'If-None-Match': `"${body.etag}"` } })).status).toBe(304);
    expect((await cluster.call(cluster.node, '/api/v1/configs/none')).status).toBe(404);
    expect(await cluster.call(cluster.node, '/readyz')).toMatchObject({ status: 200 });
    expect((await cluster.call(cluster.node, '/api/v1/status')).body.state).toBe('stale');
    expect(watcher.isConnected).toBe(true);
  });

  it('Available: refuses writes with 503 at once, unsent', async () => {
    await using cluster = await Cluster.start();
    await stale(cluster);
    const sent = cluster.node.provider.calls.filter((call) => call === 'commit').length;
    const start = performance.now();
    const answers = await Promise.all([
      cluster.write(cluster.node, { key: 'a', value: 1, isUnique: true }),
      cluster.write(cluster.node, { key: 'b' }),
      cluster.write(cluster.node, { key: 'c', value: 1, ifAbsent: true, isUnique: true }),
    ]);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
      expect(answer.header('retry-after')).toBeDefined();
    }
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(cluster.node.provider.calls.filter((call) => call === 'commit').length).toBe(sent);
    expect(cluster.verdict()).toEqual([]);
  });

  it('answers what only the store could tell with 503, in 2 s', async () => {
    await using cluster = await Cluster.start();
    await stale(cluster);
    const { epoch } = cluster.node.server.service;
    const start = performance.now();
    for (const path of [
      '/api/v1/configs/a?consistency=strong',
      `/api/v1/configs/a?minRevision=${epoch}-99`,
      `/api/v1/configs?watch&since=${epoch}-99`,
    ]) {
      expect((await cluster.call(cluster.node, path)).status, path).toBe(503);
    }
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url, { since: `${epoch}-99` });
    await watcher.untilEvent('goaway');
    expect(watcher.events.slice(0, 2).map(({ type }) => type)).toEqual(['connect', 'goaway']);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  it('tells its streams, and what they missed once it is back, without a reset', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const watcher = cluster.watcher({ wantsSnapshot: true });
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    await stale(cluster);
    await watcher.until('stale', () => watcher.events.some((event) => event.type === 'status' && event.state === 'stale'));
    for (let index = 0; index < 5; index++) await cluster.write(cluster.nodeAt(1), { key: 'a', value: index });
    cluster.node.provider.up();
    await cluster.settle();
    expect(watcher.events.flatMap((event) => (event.type === 'status' ? event.state : event.type === 'reset' ? 'reset' : []))).toEqual([
      'stale',
      'live',
    ]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('NeverUnknow: gives a new stream the whole snapshot it asks for, then synced', async () => {
    await using cluster = await Cluster.start();
    await cluster.write(cluster.node, { key: 'a', value: 1 });
    await stale(cluster);
    const watcher = cluster.watcher({ wantsSnapshot: true });
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    expect(watcher.events.map(({ type }) => type).filter((type) => type !== 'status')).toEqual(['connect', 'snapshot', 'synced']);
    cluster.node.provider.up();
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('resets a foreign position and then tells the whole state', async () => {
    await using cluster = await Cluster.start();
    await cluster.write(cluster.node, { key: 'a', value: 1 });
    await stale(cluster);
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url, { since: 'foreign-1' });
    await watcher.untilEvent('synced');
    expect(watcher.events.map(({ type }) => type).filter((type) => type !== 'status')).toEqual(['connect', 'reset', 'snapshot', 'synced']);
  });

  it('that it never had is not ready, says so, and heals by itself', async () => {
    await using cluster = await Cluster.start();
    const { provider } = cluster.node;
    provider.down();
    await cluster.stop(cluster.node);
    const restarting = cluster.restart(cluster.node);
    await restarting;
    expect(await cluster.call(cluster.node, '/api/v1/configs/a')).toMatchObject({ status: 503, body: { code: 'NOT_READY' } });
    expect(await cluster.write(cluster.node, { key: 'a', value: 1 })).toMatchObject({ status: 503, body: { code: 'NOT_READY' } });
    expect((await cluster.call(cluster.node, '/readyz')).status).toBe(503);
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('goaway');
    provider.up();
    await cluster.caughtUp(cluster.node);
    expect((await cluster.write(cluster.node, { key: 'a', value: 1 })).status).toBe(201);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });
});

describe('a store that answers badly', () => {
  it('Reliable: each watch cut after a few batches loses nothing and repeats nothing', async () => {
    for (const after of [1, 2, 3, 7]) {
      await using cluster = await Cluster.start();
      const watchers = [cluster.watcher(), cluster.watcher({ filter: { keys: ['a'], prefixes: [] }, wantsSnapshot: true })];
      for (const watcher of watchers) await watcher.connect(cluster.node.server.url);
      cluster.node.provider.cutWatchesAfter(after);
      cluster.node.provider.cutWatches();
      for (let index = 0; index < 40; index++)
        await cluster.outside({ a: JSON.stringify(index), [`b/${index % 5}`]: index % 3 ? JSON.stringify(index) : null });
      cluster.node.provider.cutWatchesAfter(undefined);
      await cluster.settle();
      expect(watchers.flatMap(({ events }) => events).filter(({ type }) => type === 'reset')).toEqual([]);
      expect(cluster.verdict()).toEqual([]);
    }
  });

  it('heals after any number of failed reads, lists and heads', async () => {
    await using cluster = await Cluster.start();
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url);
    let failures = 20;
    cluster.node.provider.onRead = () => {
      if (failures-- > 0) throw failures % 2 ? new UnavailableError('no leader') : new TypeError('a fault nobody foresaw');
    };
    cluster.node.provider.cutWatches();
    await cluster.outside({ a: '1' });
    await until('the failures to be over', () => failures <= 0);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('a watch that is silent is dead after the time set, and nothing is lost', async () => {
    await using cluster = await Cluster.start({ feed: { progressEveryMs: 20, silenceMs: 150 } });
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    cluster.node.provider.silence();
    cluster.node.provider.endSilence();
    await cluster.outside({ a: '1' });
    await watcher.until('stale', () => watcher.events.some((event) => event.type === 'status' && event.state === 'stale'));
    await cluster.settle();
    expect(watcher.events.filter(({ type }) => type === 'reset')).toEqual([]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('a watch is not dead while progress is heard, however quiet the keys are', async () => {
    await using cluster = await Cluster.start({ feed: { progressEveryMs: 20, silenceMs: 500 } });
    const watches = (): number => cluster.node.provider.calls.filter((call) => call.startsWith('watch')).length;
    const before = watches();
    const { heardAt } = await heard(cluster, 1_200);
    expect(heardAt).toBeGreaterThan(0);
    expect(watches()).toBe(before);
    expect(cluster.node.server.service.state).toBe('live');
  });

  it('a commit that hangs is answered in time', async () => {
    await using cluster = await Cluster.start();
    cluster.node.provider.onCommit = () => HANGS;
    const start = performance.now();
    expect(await cluster.write(cluster.node, { key: 'a', value: 1 })).toMatchObject({ status: 504, body: { code: 'OUTCOME_UNKNOWN' } });
    expect(performance.now() - start).toBeLessThan(2_500);
  });
});

/** Lets `ms` pass and tells when the node last heard the store. */
async function heard(cluster: Cluster, ms: number): Promise<{ readonly heardAt: number }> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return { heardAt: Date.now() - cluster.node.server.service.lagMs };
}
