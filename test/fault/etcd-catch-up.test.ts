import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Revision, StoredBatch } from '../../src/core/provider.ts';
import { EtcdCatchUp } from '../../src/providers/etcd/etcd-catch-up.ts';
import { until } from '../support/cluster.ts';
import { EtcdBench } from '../support/etcd-bench.ts';
import { compactEtcd } from '../support/etcd-tools.ts';
import { EtcdWriter } from '../support/etcd-writer.ts';
import { eventually } from '../support/eventually.ts';
import { RecordedStoreWatch } from '../support/recorded-store-watch.ts';
import { IS_LONG, seededRandom } from '../support/seed.ts';
import { StoreServer } from '../support/store-server.ts';

/*
 * A watch that is thousands of revisions behind is several, each with a part of them: together they have to be one. Every provider here has seen the
 * store's revision, or there would be no parts.
 */

let server: StoreServer;

beforeAll(async () => {
  server = await StoreServer.startEtcd();
}, 120_000);

afterAll(async () => server[Symbol.asyncDispose]());

/** A figure of etcd's own metrics. */
async function metric(pattern: RegExp): Promise<number> {
  const text = await (await fetch(`http://${server.host}/metrics`)).text();
  return Number(pattern.exec(text)?.[1]);
}

/** Watches that etcd holds. */
const watchers = (): Promise<number> => metric(/^etcd_debugging_mvcc_watcher_total (\d+)$/m);

/** Watches that were opened since etcd began, each on a stream of its own. */
const opened = (): Promise<number> => metric(/^grpc_server_started_total\{grpc_method="Watch".*\} (\d+)$/m);

async function expectWatchers(count: number): Promise<void> {
  await eventually(async () => expect(await watchers()).toBe(count));
}

/** A namespace with `count` revisions after the first, in sixes of which the last is of another namespace; and the first. */
async function filled(bench: EtcdBench, count: number): Promise<Revision> {
  const start = await bench.direct.head(bench.prefix);
  for (let made = 0; made < count; made += 600) {
    await bench.fill(500);
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        bench.direct.commit({ checks: [], operations: [{ type: 'put', key: `other/${index}`, value: Buffer.from(String(made)) }] }),
      ),
    );
  }
  await bench.viaProxy.head(bench.prefix);
  return start;
}

describe('a watch of etcd thousands of revisions behind', () => {
  it('is told each revision once, in order, while more are written, and leaves one watch', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await filled(bench, 6_000);
    const [before, openedBefore] = [await watchers(), await opened()];
    const writer = new EtcdWriter({ provider: bench.direct, perSecond: 500, write: (index) => bench.change(index) });
    const watch = new RecordedStoreWatch({ provider: bench.viaProxy, prefix: bench.prefix, after: start });
    await until('the present', () => watch.position >= start + 6_000);
    await writer.stop();
    expect(await opened()).toBeGreaterThanOrEqual(openedBefore + 7);
    await expectWatchers(before + 1);
    const { changes, violations } = await bench.verdictOn(watch, start + 1);
    expect(violations).toEqual([]);
    expect(watch.batches).toBe(changes);
    expect(watch.failures).toEqual([]);
    expect(changes).toBeGreaterThan(5_000);
    await expectWatchers(before);
  });

  it('cut at random, loses and repeats nothing', async () => {
    const random = seededRandom('cut while catching up');
    await using bench = await EtcdBench.start(server);
    const start = await filled(bench, 4_200);
    for (let round = 0; round < (IS_LONG ? 100 : 12); round++) {
      const watch = new RecordedStoreWatch({ provider: bench.viaProxy, prefix: bench.prefix, after: start });
      for (let cuts = random.below(3); cuts >= 0; cuts--) {
        await sleep(random.below(120));
        if (random.below(2) === 0) bench.proxy.reset();
        else bench.proxy.resetAfter(random.below(200_000));
      }
      const { changes, violations } = await bench.verdictOn(watch, start + 1);
      expect(violations).toEqual([]);
      expect(watch.batches).toBe(changes);
    }
  });

  it('is told that its beginning was compacted, and leaves nothing', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await filled(bench, 4_200);
    const before = await watchers();
    await compactEtcd(server, start + 2_000);
    const watch = bench.viaProxy.watch(bench.prefix, { after: start, signal: new AbortController().signal })[Symbol.asyncIterator]();
    await expect(watch.next()).rejects.toMatchObject({ code: 'COMPACTED', details: { oldest: start + 2_000 } });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    await expectWatchers(before);
  });

  it('goes on where the revision it was seen at is not reached for long, as in a store put back', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await bench.put('a', '1');
    const stop = new AbortController();
    const ahead = (start + 50_000) as Revision;
    const warned = vi.fn();
    process.on('warning', warned);
    const open = (options: { readonly after: Revision; readonly signal: AbortSignal }) => bench.viaProxy.watch(bench.prefix, options);
    const watch = EtcdCatchUp.create(open as never, { after: start, signal: stop.signal }, ahead);
    const told: Revision[] = [];
    const done = (async () => {
      for await (const batch of watch!) if (batch.changes.length > 0) told.push(batch.revision);
    })();
    const written: Revision[] = [];
    for (let index = 0; index < 1_200; index++) written.push(await bench.put('a', String(index)));
    await until('the present', () => told.length === written.length);
    stop.abort();
    await done;
    expect(told).toEqual(written);
    process.off('warning', warned);
    // Of too many listeners of one signal.
    expect(warned).not.toHaveBeenCalled();
  });

  it('ends where it is left, aborted or closed, asked for several batches at once', async () => {
    await using bench = await EtcdBench.start(server);
    const start = await filled(bench, 3_600);
    const before = await watchers();
    for (const how of ['return', 'abort', 'close'] as const) {
      const stop = new AbortController();
      const watch = bench.viaProxy.watch(bench.prefix, { after: start, signal: stop.signal })[Symbol.asyncIterator]();
      const batches = await Promise.all(Array.from({ length: 1_500 }, () => watch.next()));
      const revisions = batches.map(({ value }) => (value as StoredBatch).revision);
      expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b));
      const rest = Array.from({ length: 20_000 }, () => watch.next().catch((error: unknown) => error));
      if (how === 'return') await watch.return?.();
      if (how === 'abort') stop.abort();
      if (how === 'close') await bench.viaProxy.close();
      const last = (await Promise.all(rest)).at(-1);
      expect(last).toEqual({ done: true, value: undefined });
      await expectWatchers(before);
    }
  });

  it('is one watch where it is less than a thousand behind', () => {
    const open = (): never => {
      throw new Error('not to be opened');
    };
    const options = { after: 100 as Revision, signal: new AbortController().signal };
    expect(EtcdCatchUp.create(open, options, 1_090 as Revision)).toBeUndefined();
    expect(EtcdCatchUp.create(open, options, 0 as Revision)).toBeUndefined();
    expect(() => EtcdCatchUp.create(open, options, 1_091 as Revision)).toThrow('not to be opened');
  });
});
