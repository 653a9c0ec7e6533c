import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigProvider, Operation, Revision, StoredBatch } from '../../src/core/provider.ts';
import { isAttuneError } from '../../src/core/provider.ts';
import { until } from '../support/cluster.ts';
import { collectGarbage } from '../support/collect-garbage.ts';
import { EtcdBench, put } from '../support/etcd-bench.ts';
import { compactEtcd } from '../support/etcd-tools.ts';
import { EtcdWriter } from '../support/etcd-writer.ts';
import { RecordedStoreWatch } from '../support/recorded-store-watch.ts';
import { IS_LONG, seededRandom } from '../support/seed.ts';
import { StoreServer } from '../support/store-server.ts';

let server: StoreServer;

beforeAll(async () => {
  server = await StoreServer.startEtcd();
}, 120_000);

afterAll(async () => server[Symbol.asyncDispose]());

async function firstBatches(provider: ConfigProvider, prefix: string, after: number, count: number): Promise<readonly StoredBatch[]> {
  const stop = new AbortController();
  const batches: StoredBatch[] = [];
  for await (const batch of provider.watch(prefix, { after: after as Revision, signal: stop.signal })) {
    batches.push(batch);
    if (batches.length >= count) break;
  }
  return batches;
}

describe('a watch of etcd that is cut', () => {
  it('at random, at 2,000 writes a second, loses and repeats nothing', async () => {
    const random = seededRandom('cut at random');
    await using bench = await EtcdBench.start(server);
    const start = await bench.direct.head(bench.prefix);
    const watch = new RecordedStoreWatch({ provider: bench.viaProxy, prefix: bench.prefix, after: start });
    const writer = new EtcdWriter({ provider: bench.direct, perSecond: 2_000, write: (index) => bench.change(index) });
    let cuts = 0;
    for (const end = performance.now() + (IS_LONG ? 20_000 : 4_000); performance.now() < end; cuts++) {
      await sleep(150 + random.below(251));
      bench.proxy.reset();
    }
    await writer.stop();
    const { changes, violations } = await bench.verdictOn(watch, start + 1);
    console.info(
      `${writer.sent} writes, ${changes} revisions, ${cuts} cuts, ${watch.batches} batches told, ${violations.length} violations`,
    );
    expect(violations).toEqual([]);
    expect(watch.batches).toBe(changes);
    expect(watch.failures.length).toBeGreaterThanOrEqual(cuts / 2);
    expect(writer.unknown).toEqual([]);
  });

  it('right after it was created, with 3,500 revisions to come, loses nothing', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await bench.direct.head(bench.prefix);
    await bench.fill(3_500);
    // Enough for the answer that says that the watch is created, which names the store's current revision, and not for a batch.
    bench.proxy.resetAfter(2_000);
    const watch = new RecordedStoreWatch({ provider: bench.viaProxy, prefix: bench.prefix, after: start });
    await until('the cut', () => watch.failures.length > 0);
    expect(watch.batches).toBe(0);
    const { changes, violations } = await bench.verdictOn(watch, start + 1);
    expect(violations).toEqual([]);
    expect(watch.batches).toBe(changes);
    expect(changes).toBe(3_501);
  });

  it('after its first batch, with 2,500 revisions to come, loses and repeats nothing', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await bench.direct.head(bench.prefix);
    await bench.fill(3_500);
    const watch = new RecordedStoreWatch({ provider: bench.viaProxy, prefix: bench.prefix, after: start });
    await until('the first batch', () => watch.batches > 0);
    bench.proxy.reset();
    const told = watch.batches;
    await until('the cut', () => watch.failures.length > 0);
    expect(told).toBeLessThan(3_500);
    const { changes, violations } = await bench.verdictOn(watch, start + 1);
    expect(violations).toEqual([]);
    expect(watch.batches).toBe(changes);
  });

  it('while what it has not heard is compacted is told so, with the oldest revision it may start after', async () => {
    await using bench = await EtcdBench.start(server);
    const first = await bench.put('a', '1');
    bench.cutOff();
    await bench.put('a', '2');
    const compacted = await bench.put('b', '1');
    const last = await bench.put('b', '2');
    await compactEtcd(server, compacted);
    bench.reconnect();
    let failure: unknown;
    for (let tries = 0; tries < 50 && !isAttuneError(failure, 'COMPACTED'); tries++) {
      await firstBatches(bench.viaProxy, bench.prefix, first, 1).catch((error: unknown) => (failure = error));
      await sleep(50);
    }
    expect(failure).toMatchObject({ code: 'COMPACTED', details: { oldest: compacted } });
    expect(await firstBatches(bench.viaProxy, bench.prefix, compacted, 1)).toMatchObject([{ revision: last }]);
    expect((await bench.viaProxy.list(bench.prefix, { at: compacted })).entries).toHaveLength(2);
  });
});

describe('a watch of etcd that has to catch up', () => {
  it('is told ten values of 1 MiB', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await bench.direct.head(bench.prefix);
    for (let index = 0; index < 10; index++) await bench.put(`big/${index}`, Buffer.alloc(1024 * 1024, index));
    const batches = await firstBatches(bench.viaProxy, bench.prefix, start, 10);
    expect(batches.map(({ changes }) => changes.length)).toEqual(Array.from({ length: 10 }, () => 1));
    for (const [index, { changes }] of batches.entries()) {
      const [change] = changes;
      const value = change?.type === 'put' ? change.entry.value : Buffer.alloc(0);
      expect(value.byteLength).toBe(1024 * 1024);
      expect(value.every((byte) => byte === index)).toBe(true);
    }
  });

  it('is told a revision as one batch though its answer comes in fragments', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await bench.direct.head(bench.prefix);
    const operations = (round: number): Operation[] =>
      Array.from({ length: 100 }, (_, index) => put(`${bench.prefix}part/${index}`, Buffer.alloc(12_000, round)));
    for (let round = 0; round < 8; round++) await bench.direct.commit({ checks: [], operations: operations(round) });
    const batches = await firstBatches(bench.viaProxy, bench.prefix, start, 8);
    expect(batches.map(({ changes }) => changes.length)).toEqual(Array.from({ length: 8 }, () => 100));
  });
});

describe('watches of etcd', () => {
  it('opened and closed by the hundred leave no connection, timer or listener behind', async () => {
    await using bench = await EtcdBench.start(server);
    const revision = await bench.put('a', '1');
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const timersNow = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const stop = new AbortController();
    const watches: WeakRef<object>[] = [];
    const openOne = async (): Promise<void> => {
      const watch = bench.viaProxy.watch(bench.prefix, { after: (revision - 1) as Revision, signal: stop.signal });
      watches.push(new WeakRef(watch));
      watch.requestProgress();
      for await (const batch of watch) if (batch.changes.length > 0) break;
    };
    await openOne();
    const [connections, timers] = [bench.proxy.connections, timersNow()];
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 10 }, openOne));
    await until('no more timers than before', () => timersNow() <= timers + 2);
    await until('the watches to be collected', () => {
      collectGarbage();
      return watches.every((watch) => watch.deref() === undefined);
    });
    expect(bench.proxy.connections).toBeLessThanOrEqual(connections);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
    process.off('warning', onWarning);
    expect(warnings.filter(({ message }) => !message.includes('AbortSignal'))).toEqual([]);
  });

  it('that are never read cost nothing, and are forgotten', async () => {
    await using bench = await EtcdBench.start(server);
    const revision = await bench.viaProxy.head(bench.prefix);
    const { connections } = bench.proxy;
    const stop = new AbortController();
    const open = (): WeakRef<object> => new WeakRef(bench.viaProxy.watch(bench.prefix, { after: revision, signal: stop.signal }));
    const watches = Array.from({ length: 200 }, open);
    await until('the watches to be collected', () => {
      collectGarbage();
      return watches.every((watch) => watch.deref() === undefined);
    });
    expect(bench.proxy.connections).toBe(connections);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  });

  it('whose reader is slow hold little, and tell everything once it reads', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await bench.direct.head(bench.prefix);
    const watch = bench.viaProxy.watch(bench.prefix, { after: start, signal: new AbortController().signal });
    const reader = watch[Symbol.asyncIterator]();
    const first = reader.next();
    await bench.put('big', Buffer.alloc(1_000));
    await first;
    for (let index = 0; index < 300; index++) await bench.put('big', Buffer.alloc(200_000, index));
    // Until nothing more comes: etcd takes its time for a watch that is behind.
    for (let before = -1; before < bench.proxy.sentToClients; await sleep(1_000)) before = bench.proxy.sentToClients;
    // Of 60 MB, 4 of values and what a stream reads ahead.
    expect(bench.proxy.sentToClients).toBeLessThan(12 * 1024 * 1024);
    const told: number[] = [];
    while (told.length < 300) {
      const { value } = await reader.next();
      if (value) told.push(value.revision);
    }
    expect(new Set(told).size).toBe(300);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    await reader.return?.();
  });
});
