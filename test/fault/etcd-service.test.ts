import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { EtcdProvider } from '../../src/providers/etcd/etcd-provider.ts';
import { startHttpServer, type HttpServer } from '../../src/server/http-server.ts';
import { FAST_FEED, NAMESPACE, until } from '../support/cluster.ts';
import { put } from '../support/etcd-bench.ts';
import { etcdLog, namespaceHistory } from '../support/etcd-history.ts';
import { compactEtcd } from '../support/etcd-tools.ts';
import { EtcdWriter } from '../support/etcd-writer.ts';
import { judge, type Violation } from '../support/judge.ts';
import { callNode, pathOf, type AnyBody, type NodeAnswer } from '../support/node-call.ts';
import { RecordedWatcher } from '../support/recorded-watcher.ts';
import { IS_LONG, seededRandom } from '../support/seed.ts';
import { StoreServer } from '../support/store-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** A node over a real etcd, behind a network that can fail; writers and judge reach etcd directly. */
class Site implements AsyncDisposable {
  readonly etcd: StoreServer;
  readonly direct: EtcdProvider;
  readonly proxy: TcpProxy;
  readonly node: HttpServer;
  readonly watchers: RecordedWatcher[] = [];
  readonly #provider: EtcdProvider;
  readonly #target: { port: number };

  private constructor(etcd: StoreServer, proxy: TcpProxy, target: { port: number }, provider: EtcdProvider, node: HttpServer) {
    this.etcd = etcd;
    this.proxy = proxy;
    this.node = node;
    this.#target = target;
    this.#provider = provider;
    this.direct = new EtcdProvider({ hosts: [etcd.host], namespace: NAMESPACE });
  }

  static async start(): Promise<Site> {
    const etcd = await StoreServer.startEtcd();
    const target = { port: etcd.port };
    const proxy = await TcpProxy.start(() => target.port);
    const provider = new EtcdProvider({ hosts: [proxy.host], namespace: NAMESPACE });
    await provider.open();
    const feed = { ...FAST_FEED, progressEveryMs: 200, silenceMs: 30_000 };
    const node = await startHttpServer({ provider, namespace: NAMESPACE, service: { feed } });
    const site = new Site(etcd, proxy, target, provider, node);
    await site.live();
    return site;
  }

  async live(withinMs = 20_000): Promise<void> {
    await until('the node to follow etcd', () => this.node.service.state === 'live', withinMs);
  }

  async watch(): Promise<RecordedWatcher> {
    const watcher = new RecordedWatcher({ name: `stream ${this.watchers.length}`, filter: { keys: [], prefixes: [''] } });
    this.watchers.push(watcher);
    await watcher.connect(this.node.url);
    await watcher.untilEvent('synced');
    return watcher;
  }

  async put(key: string, value: unknown, headers: Readonly<Record<string, string>> = {}): Promise<NodeAnswer<AnyBody>> {
    return callNode(this.node.url, pathOf(key), {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify({ value }),
    });
  }

  cutOff(): void {
    this.#target.port = 1;
    this.proxy.reset();
  }

  reconnect(): void {
    this.#target.port = this.etcd.port;
  }

  /** Tells everybody one last change, and judges all they were told from `from` on. */
  async verdict(from = 1): Promise<readonly Violation[]> {
    const end = await this.direct.commit({ checks: [], operations: [put(`${NAMESPACE}/zz/end`, '"end"')] });
    await Promise.all(this.watchers.map(async (watcher) => watcher.untilContent('zz/end', '"end"').catch(() => undefined)));
    const history = namespaceHistory(await etcdLog(this.etcd, end, from), NAMESPACE);
    return judge({ histories: [history], watchers: this.watchers.map((watcher) => watcher.record(true)) }).slice(0, 5);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watcher of this.watchers) watcher.cut();
    await this.node.close({ graceMs: 200, spreadMs: 0 });
    await this.#provider.close();
    await this.direct.close();
    await this.proxy[Symbol.asyncDispose]();
    await this.etcd[Symbol.asyncDispose]();
  }
}

const change = (index: number): ReturnType<typeof put>[] => [put(`${NAMESPACE}/k/${index % 40}`, `${index}`)];

describe('a node over etcd', () => {
  it('cut off at random at 2,000 writes a second tells its streams each change once, in order', async () => {
    const random = seededRandom('a node cut at random');
    await using site = await Site.start();
    await site.watch();
    const writer = new EtcdWriter({ provider: site.direct, perSecond: 2_000, write: change });
    let cuts = 0;
    for (const end = performance.now() + (IS_LONG ? 20_000 : 3_000); performance.now() < end; cuts++) {
      await sleep(150 + random.below(251));
      site.proxy.reset();
    }
    await writer.stop();
    await site.live();
    const violations = await site.verdict();
    const told = site.watchers[0]?.events.filter(({ type }) => type === 'change').length ?? 0;
    console.info(`${writer.acknowledged.size} writes, ${cuts} cuts, ${told} changes told, ${violations.length} violations`);
    expect(violations).toEqual([]);
    expect(told).toBe(writer.acknowledged.size + 1);
    expect(site.watchers[0]?.events.filter(({ type }) => type === 'reset')).toEqual([]);
  });

  it('whose position was compacted while it was cut off tells a gap, and loses nothing in the end', async () => {
    await using site = await Site.start();
    await site.direct.commit({ checks: [], operations: change(1) });
    const watcher = await site.watch();
    site.cutOff();
    await until('the node to be stale', () => site.node.service.state === 'stale');
    let compacted = 0;
    for (let index = 0; index < 200; index++) {
      const revision = await site.direct.commit({ checks: [], operations: change(index) });
      if (index === 150) compacted = revision;
    }
    await site.direct.commit({ checks: [], operations: [{ type: 'delete', key: `${NAMESPACE}/k/1` }] });
    await compactEtcd(site.etcd, compacted);
    site.reconnect();
    await site.live();
    await site.put('after', 1);
    await watcher.untilContent('after', '1');
    expect(watcher.told.some(({ gap }) => gap)).toBe(true);
    expect(watcher.events.filter(({ type }) => type === 'reset')).toEqual([]);
    const copy = new Map<string, string>();
    for (const event of watcher.events) {
      if (event.type !== 'change') continue;
      for (const { key, content } of event.changes) {
        if (content === undefined) copy.delete(key);
        else copy.set(key, content);
      }
    }
    const { entries } = await site.direct.list(`${NAMESPACE}/`);
    const keys = entries.map(({ key }) => key.slice(NAMESPACE.length + 1)).filter((key) => !key.startsWith('.attune'));
    expect([...copy.keys()].sort()).toEqual(keys.sort());
    expect(copy.has('k/1')).toBe(false);
  });

  it.each([
    ['a put', {}],
    ['a compare-and-set', { 'If-None-Match': '*' }],
  ])('whose reply to %s was lost says 201 with the version, as it was its own write', async (_name, headers) => {
    await using site = await Site.start();
    await site.watch();
    await site.put('warm', 1);
    site.proxy.pause('toClient');
    const answer = site.put('mine', { of: 'mine' }, headers);
    const key = `${NAMESPACE}/mine`;
    while ((await site.direct.read([key])).entries.length === 0) await sleep(5);
    const { entries } = await site.direct.read([key]);
    site.proxy.reset();
    site.proxy.resume('toClient');
    expect(await answer).toMatchObject({ status: 201, body: { version: entries[0]?.revision } });
    await site.live();
    expect((await site.direct.read([key])).entries[0]?.revision).toBe(entries[0]?.revision);
    expect(await site.verdict()).toEqual([]);
  });

  it('whose etcd stands still answers in time, is stale, and heals without loss', async () => {
    await using site = await Site.start();
    await site.watch();
    await site.put('a', 1);
    site.etcd.freeze();
    const start = performance.now();
    // Long before etcd goes on: a write by its own deadline and that of settling it, a strong read by what it may wait.
    let writeMs = 0;
    const [write, read] = await Promise.all([
      site.put('a', 2).finally(() => (writeMs = performance.now() - start)),
      callNode(site.node.url, `${pathOf('a')}?consistency=strong`),
    ]);
    expect(writeMs).toBeLessThan(2_500);
    expect(performance.now() - start).toBeLessThan(4_000);
    expect([503, 504]).toContain(write.status);
    expect(read.status).toBe(503);
    await until('the node to be stale', () => site.node.service.state === 'stale', 12_000);
    expect((await callNode(site.node.url, pathOf('a'))).status).toBe(200);
    if (IS_LONG) await sleep(Math.max(0, 15_000 - (performance.now() - start)));
    site.etcd.thaw();
    await site.live();
    expect(await site.verdict()).toEqual([]);
  });

  it('whose etcd is killed under writers loses no acknowledged write and applies none twice', async () => {
    await using site = await Site.start();
    await site.watch();
    const outcomes = { acknowledged: [] as { key: string; version: number }[], unknown: 0, refused: 0 };
    let isWriting = true;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let index = 0; isWriting; index++) {
        const key = `w/${writer}/${index}`;
        const { status, body } = await site.put(key, index, { 'If-None-Match': '*' });
        if (status === 201) outcomes.acknowledged.push({ key, version: body.version ?? 0 });
        else if (status === 504) outcomes.unknown++;
        else if (status === 503) outcomes.refused++;
        else throw new Error(`${key} was answered with ${status}`);
        if (status !== 201) await sleep(20);
      }
    });
    for (let kills = 0; kills < 2; kills++) {
      await sleep(500);
      await site.etcd.end('SIGKILL');
      await site.etcd.start();
      await site.live();
    }
    await sleep(300);
    isWriting = false;
    await Promise.all(writers);
    console.info(`${outcomes.acknowledged.length} acknowledged, ${outcomes.unknown} unknown, ${outcomes.refused} refused`);
    const violations = await site.verdict();
    const log = await etcdLog(site.etcd, await site.direct.head(`${NAMESPACE}/`));
    const puts = [...log].flatMap(([revision, operations]) =>
      operations
        .filter(({ key }) => key.startsWith(`${NAMESPACE}/w/`))
        .map(({ key }) => ({ key: key.slice(NAMESPACE.length + 1), revision })),
    );
    expect(new Set(puts.map(({ key }) => key)).size).toBe(puts.length);
    const revisions = new Map(puts.map(({ key, revision }) => [key, revision]));
    for (const { key, version } of outcomes.acknowledged) expect(revisions.get(key), key).toBe(version);
    expect(outcomes.acknowledged.length).toBeGreaterThan(50);
    expect(violations).toEqual([]);
  });
});
