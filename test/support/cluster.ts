import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import type { ConfigProvider, Operation } from '../../src/core/provider.ts';
import type { FeedTiming } from '../../src/server/cache/store-cache.ts';
import { DEFAULT_WINDOW, type WindowLimits } from '../../src/server/cache/window.ts';
import { startHttpServer, type HttpServer } from '../../src/server/http-server.ts';
import { FaultyProvider } from './faulty-provider.ts';
import { judge, type CopyRecord, type Violation } from './judge.ts';
import type { Condition, ReadRecord, StorePosition, WriteOutcome, WriteRecord } from './judge-requests.ts';
import { callNode, pathOf, type AnyBody, type CallInit, type NodeAnswer } from './node-call.ts';
import { RecordedPoller } from './recorded-poller.ts';
import { formatContent, RecordedStore } from './recorded-store.ts';
import { RecordedWatcher, seenItem, type WatcherOptions, type WireItem } from './recorded-watcher.ts';
import { readCursor } from './true-history.ts';

export const NAMESPACE = 'app/config';
export const EPOCH_KEY = `${NAMESPACE}/.attune/system/epoch`;
/** Matched by every watcher of a cluster, so that its last change tells that nothing else is to come. */
const END_KEY = 'zz/end';

/** Faults heal within milliseconds. */
export const FAST_FEED: FeedTiming = Object.freeze({
  backoff: Object.freeze({ baseMs: 1, maxMs: 8, factor: 2 }),
  progressEveryMs: 20,
  silenceMs: 2_000,
});

/** Opens an empty store, each time another one. */
export type CreateStore = () => Promise<ConfigProvider>;

export interface ClusterOptions {
  readonly nodes?: number;
  /** Default: a memory store. */
  readonly create?: CreateStore;
  readonly feed?: FeedTiming;
  readonly window?: WindowLimits;
}

/** A node and its own, faulty connection to the store. */
export interface ClusterNode {
  readonly name: string;
  readonly provider: FaultyProvider;
  server: HttpServer;
}

/** One write as a user sends it. */
export interface UserWrite {
  readonly key: string;
  /** Undefined deletes. */
  readonly value?: unknown;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly ifVersion?: number;
  /** An entity tag without quotes, or `*`. */
  readonly ifMatch?: string;
  readonly ifAbsent?: boolean;
  /** No other write to this key has this value. */
  readonly isUnique?: boolean;
}

/** Nodes over one store, with everything asked and answered on record, for the judge. */
export class Cluster implements AsyncDisposable {
  readonly store: RecordedStore;
  readonly nodes: ClusterNode[] = [];
  readonly watchers: RecordedWatcher[] = [];
  readonly pollers: RecordedPoller[] = [];
  readonly reads: ReadRecord[] = [];
  readonly writes: WriteRecord[] = [];
  readonly #options: ClusterOptions;
  /** Watchers that are where they shall be at the end. */
  readonly #settled = new Set<RecordedWatcher | RecordedPoller>();
  #copies: CopyRecord[] = [];
  #clock = 0;
  #ends = 0;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.store = new RecordedStore(options.create ?? createMemory);
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(options);
    await cluster.store.open();
    for (let count = 0; count < (options.nodes ?? 1); count++) await cluster.addNode();
    return cluster;
  }

  /** The first node. */
  get node(): ClusterNode {
    return this.nodeAt(0);
  }

  nodeAt(index: number): ClusterNode {
    const node = this.nodes[index % this.nodes.length];
    if (!node) throw new Error('the cluster has no node');
    return node;
  }

  async addNode(options: { readonly isMerging?: boolean; readonly feed?: FeedTiming } = {}): Promise<ClusterNode> {
    const provider = new FaultyProvider(this.store);
    if (options.isMerging) provider.mergeVersions();
    const node: ClusterNode = { name: `node ${this.nodes.length}`, provider, server: await this.#serve(provider, options.feed ?? {}) };
    this.nodes.push(node);
    return node;
  }

  /** Stops a node as SIGTERM does; its clients are sent away. */
  async stop(node: ClusterNode): Promise<void> {
    await node.server.close({ graceMs: 200, spreadMs: 0 });
  }

  async restart(node: ClusterNode): Promise<void> {
    await this.stop(node);
    node.server = await this.#serve(node.provider, {});
  }

  /** Resolves when the node follows the store and has reached its head. */
  async caughtUp(node: ClusterNode, waitMs = 5_000): Promise<void> {
    const { service } = node.server;
    // What was cut just now is noticed first.
    await new Promise((resolve) => setImmediate(resolve));
    const isThere = (): boolean =>
      // One that is deceived may stand at the number of the store's position in a history that was rolled back.
      !node.provider.isDeceived &&
      service.state === 'live' &&
      service.revision >= this.store.position.revision &&
      this.#isCurrent(service.cursor, this.store.position);
    await until(`${node.name} to follow the store`, isThere, waitMs);
  }

  watcher(options: Partial<WatcherOptions> = {}): RecordedWatcher {
    const { keys, prefixes } = options.filter ?? { keys: [], prefixes: [''] };
    const watcher = new RecordedWatcher({
      name: options.name ?? `watcher ${this.watchers.length}`,
      filter: { keys: prefixes.includes('') ? keys : [...keys, END_KEY], prefixes },
      wantsSnapshot: options.wantsSnapshot ?? false,
    });
    this.watchers.push(watcher);
    return watcher;
  }

  poller(): RecordedPoller {
    const poller = new RecordedPoller(`poller ${this.pollers.length}`);
    this.pollers.push(poller);
    return poller;
  }

  call(node: ClusterNode, path: string, init?: CallInit): Promise<NodeAnswer<AnyBody>> {
    return callNode(node.server.url, path, init);
  }

  async write(node: ClusterNode, write: UserWrite): Promise<NodeAnswer<AnyBody>> {
    const { key, value, metadata, contentType } = write;
    const from = this.store.position;
    const begin = ++this.#clock;
    const answer = await this.call(node, pathOf(key) + (write.ifVersion === undefined ? '' : `?ifVersion=${write.ifVersion}`), {
      method: value === undefined && !('value' in write) ? 'DELETE' : 'PUT',
      headers: {
        'Content-Type': 'application/json',
        ...(write.ifMatch !== undefined && { 'If-Match': write.ifMatch === '*' ? '*' : `"${write.ifMatch}"` }),
        ...(write.ifAbsent && { 'If-None-Match': '*' }),
      },
      ...('value' in write && {
        body: JSON.stringify({ value, ...(metadata && { metadata }), ...(contentType !== undefined && { contentType }) }),
      }),
    });
    const isDeletion = !('value' in write);
    const condition = this.#conditionOf(write, from);
    this.writes.push({
      begin,
      end: ++this.#clock,
      node: node.name,
      key,
      content: isDeletion ? undefined : contentOfAnswer(answer.body),
      ...(write.isUnique && { mark: JSON.stringify(value) }),
      ...(condition && { condition }),
      outcome: outcomeOf(answer, isDeletion, from),
      from,
      to: this.store.position,
    });
    return answer;
  }

  async read(
    node: ClusterNode,
    key: string,
    options: { readonly minimum?: string; readonly isStrong?: boolean } = {},
  ): Promise<NodeAnswer<AnyBody>> {
    const begin = ++this.#clock;
    const query = new URLSearchParams({
      ...(options.minimum !== undefined && { minRevision: options.minimum }),
      ...(options.isStrong && { consistency: 'strong' }),
    });
    const answer = await this.call(node, `${pathOf(key)}?${query.toString()}`);
    const cursor = answer.header('attune-cursor');
    const { version, code } = answer.body;
    if (cursor !== undefined && (answer.status === 200 || code === 'NOT_FOUND')) {
      this.reads.push({
        begin,
        end: ++this.#clock,
        node: node.name,
        key,
        cursor,
        item: version === undefined ? undefined : { version, content: contentOfAnswer(answer.body) },
        ...(options.minimum !== undefined && { minimum: options.minimum }),
      });
    }
    return answer;
  }

  /** Writes values as other tools do, all in one transaction; null deletes. */
  async outside(values: Readonly<Record<string, string | Uint8Array | null>>): Promise<number> {
    const operations = Object.entries(values).map(([key, value]): Operation => {
      const storeKey = `${NAMESPACE}/${key}`;
      return value === null ? { type: 'delete', key: storeKey } : { type: 'put', key: storeKey, value: Buffer.from(value) };
    });
    return this.store.commit({ checks: [], operations });
  }

  /** Moves the store's revision without touching the namespace. */
  async elsewhere(): Promise<number> {
    return this.store.commit({ checks: [], operations: [{ type: 'put', key: 'elsewhere', value: Buffer.from(String(Math.random())) }] });
  }

  /**
   * Lets everything heal: every watcher and poller of `watchers` is brought to a live node and told one last change. What has not arrived
   * when the time is over is the judge's business.
   */
  async settle(watchers: readonly (RecordedWatcher | RecordedPoller)[] = [...this.watchers, ...this.pollers]): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.caughtUp(node)));
    let next = 0;
    for (const watcher of watchers) {
      if (watcher instanceof RecordedWatcher && !watcher.isConnected) await watcher.connect(this.nodeAt(next++).server.url);
    }
    const end = `end ${++this.#ends}`;
    await this.outside({ [END_KEY]: JSON.stringify(end) });
    await Promise.all(this.nodes.map((node) => this.caughtUp(node)));
    await Promise.all(
      watchers.map(async (watcher) => {
        this.#settled.add(watcher);
        if (watcher instanceof RecordedWatcher) await watcher.untilContent(END_KEY, JSON.stringify(end)).catch(() => undefined);
        else for (let polls = 0; polls < 3; polls++) await watcher.poll(this.node.server.url);
      }),
    );
    this.#copies = await Promise.all(this.nodes.map((node) => this.#copyOf(node)));
  }

  /** What the judge says of everything on record. */
  verdict(): readonly Violation[] {
    return judge({
      histories: this.store.histories(NAMESPACE),
      watchers: [...this.watchers, ...this.pollers].map((watcher) => watcher.record(this.#settled.has(watcher))),
      reads: this.reads,
      writes: this.writes,
      copies: this.#copies,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watcher of this.watchers) watcher.cut();
    // Nobody is left to be sent away.
    await Promise.all(this.nodes.map(async (node) => node.server.close({ graceMs: 0, spreadMs: 0 })));
    await this.store.close();
  }

  async #serve(provider: FaultyProvider, feed: FeedTiming): Promise<HttpServer> {
    const { window = DEFAULT_WINDOW } = this.#options;
    return startHttpServer({ provider, namespace: NAMESPACE, service: { window, feed: { ...FAST_FEED, ...this.#options.feed, ...feed } } });
  }

  async #copyOf(node: ClusterNode): Promise<CopyRecord> {
    const { body } = await callNode<{ items: readonly WireItem[] }>(node.server.url, '/api/v1/configs?limit=10000');
    return { name: node.name, items: new Map(body.items.map((item) => [item.key, seenItem(item)])) };
  }

  /** What `write` asks of the version that is there. A tag of another history is asked of no version at all. */
  #conditionOf(write: UserWrite, from: StorePosition): Condition | undefined {
    const { ifVersion, ifMatch, ifAbsent } = write;
    const parts: Condition[] = [];
    if (!('value' in write) || ifMatch === '*') parts.push({ text: 'existing', holds: (version) => version > 0 });
    if (ifVersion !== undefined) parts.push({ text: `ifVersion ${ifVersion}`, holds: (version) => version === ifVersion });
    if (ifAbsent) parts.push({ text: 'If-None-Match *', holds: (version) => version === 0 });
    if (ifMatch !== undefined && ifMatch !== '*') {
      const { revision } = readCursor(ifMatch);
      const isKnown = this.#isCurrent(ifMatch, from);
      parts.push({ text: `If-Match ${ifMatch}`, holds: (version) => isKnown && version === revision });
    }
    if (parts.length === 0) return undefined;
    return { text: parts.map(({ text }) => text).join(' and '), holds: (version) => parts.every(({ holds }) => holds(version)) };
  }

  /** Whether the newest chain of the history at `place` covers `cursor`. */
  #isCurrent(cursor: string, { history }: StorePosition): boolean {
    const { epoch, revision } = readCursor(cursor);
    const chain = this.store.histories(NAMESPACE)[history]?.chains.at(-1) ?? [];
    return (chain.findLast((link) => link.from <= revision) ?? chain[0])?.id === epoch;
  }
}

export async function createMemory(): Promise<ConfigProvider> {
  const provider = new MemoryProvider();
  await provider.open();
  return provider;
}

function contentOfAnswer({ value, contentType, metadata }: AnyBody): string {
  return formatContent(value, contentType ?? '', metadata ?? {});
}

function outcomeOf({ status, body, header }: NodeAnswer<AnyBody>, isDeletion: boolean, from: StorePosition): WriteOutcome {
  if (status === 204) return { type: 'applied', etag: header('attune-cursor') ?? '' };
  if ((status === 200 || status === 201) && !isDeletion) {
    const etag = body.etag ?? '';
    return { type: status === 201 || readCursor(etag).revision > from.revision ? 'applied' : 'unchanged', etag };
  }
  if (status === 412 || body.code === 'NOT_FOUND') return { type: 'refused' };
  return body.code === 'OUTCOME_UNKNOWN' || body.committed ? { type: 'unknown' } : { type: 'failed' };
}

/** Looks every millisecond. @throws {Error} `isThere` does not hold within `waitMs`. */
export async function until(what: string, isThere: () => boolean, waitMs = 5_000): Promise<void> {
  const end = performance.now() + waitMs;
  while (!isThere()) {
    if (performance.now() > end) throw new Error(`waited ${waitMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
