import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { exchange, type Answer } from '../support/http-exchange.ts';
import { EtcdCluster } from '../support/etcd-cluster.ts';
import { HttpStream } from '../support/http-stream.ts';
import { NodeProcess } from '../support/node-process.ts';
import { STORE_KINDS, type StoreKind } from '../support/store-kinds.ts';
import type { StoreServer } from '../support/store-server.ts';

const HOUR_MS = 3_600_000;
/** How long the store is away: a minute in the long form. */
const OUTAGE_MS = process.env['ATTUNE_LONG'] === '1' ? 60_000 : 4_000;
/** What the contract gives a write whose store is away. */
const REFUSAL_MS = 2_000;
let folder: string;

beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'attune-snapshots-'))));
afterAll(async () => rm(folder, { recursive: true }));

const configs = (key: string): string => `/api/v1/configs/${key}`;
const get = async (node: NodeProcess, key: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  exchange(node.port, { path: configs(key), headers });
const put = async (node: NodeProcess, key: string, value: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  exchange(node.port, {
    method: 'PUT',
    path: configs(key),
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ value }),
  });
const isLive = (node: NodeProcess) => async () => expect((await exchange(node.port, { path: '/readyz' })).status).toBe(200);

async function startNode({ scheme }: StoreKind, store: StoreServer, aheadMs = 0): Promise<NodeProcess> {
  const clock = `{const Own=Date;globalThis.Date=class extends Own{constructor(...a){if(a.length)super(...a);else super(Own.now()+${aheadMs})}static now(){return Own.now()+${aheadMs}}}}`;
  const env = aheadMs === 0 ? {} : { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(clock)}` };
  return NodeProcess.over(`${scheme}://${store.host}/app/config`, { env });
}

/** Everything a node serves, as key and value and version. */
async function copyOf(node: NodeProcess): Promise<readonly unknown[]> {
  const answer = await exchange(node.port, { path: '/api/v1/configs?limit=10000&consistency=strong' });
  expect(answer.status).toBe(200);
  return answer.json().items.map(({ key, value, version }: Record<string, unknown>) => [key, value, version]);
}

/** A client of one node: follows from its cursor, starts anew where it is told to, and keeps a copy. */
class Follower {
  readonly copy = new Map<string, unknown>();
  readonly resets: string[] = [];
  readonly versions: number[] = [];
  readonly states: string[] = [];
  #stop = false;
  #cursor = '';
  #stream: HttpStream | undefined;
  readonly #done: Promise<void>;

  constructor(node: () => NodeProcess) {
    this.#done = this.#run(node);
  }

  async close(): Promise<void> {
    this.#stop = true;
    this.#stream?.close();
    await this.#done;
  }

  async #run(node: () => NodeProcess): Promise<void> {
    while (!this.#stop) {
      try {
        const since = this.#cursor === '' ? '' : `&since=${this.#cursor}`;
        this.#stream = await HttpStream.open(node().port, { path: `/api/v1/watch?snapshot${since}` });
        for (;;) this.#take(await this.#stream.event());
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  #take({ event, id, data }: Awaited<ReturnType<HttpStream['event']>>): void {
    if (event === 'status') this.states.push(data.state);
    if (event === 'reset') {
      this.resets.push(data.reason);
      this.copy.clear();
      this.versions.length = 0;
    }
    for (const { key, value } of event === 'snapshot' ? data.items : []) this.copy.set(key, value);
    for (const { type, key, newValue, version } of event === 'change' ? data.changes : []) {
      this.versions.push(version);
      if (type === 'deleted') this.copy.delete(key);
      else this.copy.set(key, newValue);
    }
    if (id !== undefined) this.#cursor = id;
  }
}

describe.each(STORE_KINDS)('many nodes over one store at $scheme', (kind) => {
  it('five start at once on an empty store: one history, every write on every node', async () => {
    await using store = await kind.start();
    const nodes = await Promise.all(Array.from({ length: 5 }, async () => startNode(kind, store)));
    try {
      for (const node of nodes) await eventually(isLive(node));
      const written = await Promise.all(nodes.map(async (node, index) => put(node, `from/${index}`, index)));
      expect(written.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
      for (const node of nodes) {
        for (const [index, answer] of written.entries()) {
          const read = await exchange(node.port, { path: `${configs(`from/${index}`)}?minRevision=${answer.header('attune-cursor')}` });
          expect(read.json()).toMatchObject({ value: index, version: answer.json().version });
          // Any node's entity tag is good on every other.
          expect((await get(node, `from/${index}`, { 'If-None-Match': String(answer.header('etag')) })).status).toBe(304);
        }
      }
    } finally {
      await Promise.all(nodes.map(async (node) => node.end('SIGKILL')));
    }
  });

  it('with clocks two hours apart agree on versions, conditions and the order of changes', async () => {
    await using store = await kind.start();
    await using early = await startNode(kind, store, -HOUR_MS);
    await using late = await startNode(kind, store, HOUR_MS);
    await eventually(isLive(early));
    await eventually(isLive(late));
    const nodes = [early, late];
    let moves = 0;
    const follower = new Follower(() => nodes[moves++ % 2] ?? early);
    const versions: number[] = [];
    let tag: string | undefined;
    for (let round = 0; round < 60; round++) {
      const answer = await put(nodes[round % 2] ?? early, 'clock/key', round, tag === undefined ? {} : { 'If-Match': tag });
      expect([200, 201]).toContain(answer.status);
      versions.push(answer.json().version);
      tag = answer.header('etag');
    }
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
    const clocks = await Promise.all(nodes.map(async (node, index) => (await put(node, `clock/${index}`, 0)).json().lastUpdated as string));
    expect(Date.parse(clocks[1] ?? '') - Date.parse(clocks[0] ?? '')).toBeGreaterThan(HOUR_MS);
    await eventually(() => expect(follower.copy.get('clock/1')).toBe(0));
    await follower.close();
    expect(follower.resets).toEqual([]);
    expect(follower.versions).toEqual(follower.versions.toSorted((a, b) => a - b));
    expect(await copyOf(early)).toEqual(await copyOf(late));
  });

  it('whose whole prefix somebody deletes under load tell everybody, and nobody fills it again', async () => {
    await using store = await kind.start();
    await using a = await startNode(kind, store);
    await using b = await startNode(kind, store);
    await eventually(isLive(a));
    await eventually(isLive(b));
    await put(a, 'old/one', 1);
    await put(b, 'old/two', 2);
    const followers = [new Follower(() => a), new Follower(() => b)];
    await eventually(() => expect(followers.map(({ copy }) => copy.size)).toEqual([2, 2]));
    let isWriting = true;
    const acknowledged: Answer[] = [];
    const load = [a, b].map(async (node, index) => {
      for (let count = 0; isWriting; count++) acknowledged.push(await put(node, `load/${index}/${count % 5}`, count));
    });
    const client = await kind.client(store);
    for (let wipe = 0; wipe < 3; wipe++) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      await client.deletePrefix('app/config/');
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    isWriting = false;
    await Promise.all(load);
    await eventually(isLive(a));
    await eventually(isLive(b));
    expect(acknowledged.filter(({ status }) => ![200, 201, 503, 504].includes(status)).map(({ status }) => status)).toEqual([]);
    expect((await put(a, 'after/all', true)).status).toBe(201);
    await eventually(() => expect(followers.map(({ copy }) => copy.get('after/all'))).toEqual([true, true]));
    await Promise.all(followers.map(async (follower) => follower.close()));
    const copy = await copyOf(a);
    expect(copy).toEqual(await copyOf(b));
    expect(copy.map((item) => (item as [string])[0]).filter((key) => key.startsWith('old/'))).toEqual([]);
    for (const follower of followers) {
      expect(follower.resets.length).toBeGreaterThan(0);
      expect(new Set(follower.resets)).toEqual(new Set(['epoch']));
      expect([...follower.copy].toSorted(([one], [other]) => (one < other ? -1 : 1))).toEqual(
        copy.map((item) => (item as [string, unknown]).slice(0, 2)).toSorted(([one], [other]) => (String(one) < String(other) ? -1 : 1)),
      );
    }
  });
});

const RESTORES = STORE_KINDS.flatMap((kind) => [
  { kind, scheme: kind.scheme, title: 'nodes that live through it', isDown: false },
  { kind, scheme: kind.scheme, title: 'nodes that were down meanwhile', isDown: true },
]);

describe.each(RESTORES)('$scheme put back to a snapshot, $title', ({ kind, isDown }) => {
  it.each([
    { where: 'below the revisions clients hold', more: 0 },
    { where: 'and written past them again', more: 60 },
  ])('$where: refuses old cursors, entity tags and conditions; every client converges', async ({ more }) => {
    // A restored Consul goes on counting where it was: no revision is given out twice, and a node that starts then knows nothing that old.
    const reason = kind.scheme === 'consul' && isDown ? 'compacted' : 'epoch';
    await using store = await kind.start();
    const client = await kind.client(store);
    const nodes = [await startNode(kind, store), await startNode(kind, store)];
    const nodeAt = (index: number): NodeProcess => nodes[index] ?? (nodes[0] as NodeProcess);
    const followers: Follower[] = [];
    try {
      for (const node of nodes) await eventually(isLive(node));
      const kept = await put(nodeAt(0), 'kept', 'at the snapshot');
      const file = path.join(folder, `${kind.scheme}-${String(isDown)}-${more}.db`);
      await kind.save(store, file);
      let last = kept;
      for (let count = 0; count < 20; count++) last = await put(nodeAt(count % 2), 'lost', `lost ${count}`);
      await put(nodeAt(0), 'kept', 'lost too');
      followers.push(new Follower(() => nodeAt(0)), new Follower(() => nodeAt(1)));
      await eventually(() => expect(followers.map(({ copy }) => copy.get('kept'))).toEqual(['lost too', 'lost too']));
      const tag = String((await get(nodeAt(0), 'kept')).header('etag'));
      const cursor = String(last.header('attune-cursor'));

      if (isDown) for (const node of nodes) await node.end('SIGKILL');
      await kind.restore(store, file);
      if (isDown) nodes.splice(0, 2, await startNode(kind, store), await startNode(kind, store));
      if (isDown) for (const node of nodes) await eventually(isLive(node));
      for (let count = 0; count < more; count++) await client.put('elsewhere', String(count));
      for (const node of nodes) {
        await eventually(async () => expect((await get(node, 'kept')).json().value).toBe('at the snapshot'));
        await eventually(isLive(node));
      }
      for (const node of nodes) {
        expect((await get(node, 'kept', { 'If-None-Match': tag })).status).toBe(200);
        // While the other node marks the new history too, this one may refuse writes for a moment.
        await eventually(async () => expect((await put(node, 'kept', 'no', { 'If-Match': tag })).status).toBe(412));
        expect((await get(node, 'lost')).status).toBe(404);
        const poll = await exchange(node.port, { path: `/api/v1/configs?watch&since=${cursor}&wait=0s` });
        expect(poll.status).toBe(410);
        expect(poll.json()).toMatchObject({ reason });
      }
      await eventually(async () => expect([200, 201]).toContain((await put(nodeAt(1), 'after', true)).status));
      for (const { copy } of followers) {
        await eventually(() =>
          expect([...copy].toSorted()).toEqual([
            ['after', true],
            ['kept', 'at the snapshot'],
          ]),
        );
      }
      for (const { resets } of followers) {
        expect(resets.length).toBeGreaterThan(0);
        expect(new Set(resets)).toEqual(new Set([reason]));
      }
    } finally {
      await Promise.all(followers.map(async (follower) => follower.close()));
      await Promise.all(nodes.map(async (node) => node.end('SIGKILL')));
    }
  });
});

describe.each(STORE_KINDS)('$scheme put back while no node runs, and written past by other tools', (kind) => {
  it('is a new history once its epoch key is deleted, as the documentation says', async () => {
    await using store = await kind.start();
    let node = await startNode(kind, store);
    try {
      await eventually(isLive(node));
      await put(node, 'kept', 'at the snapshot');
      const file = path.join(folder, 'past.db');
      await kind.save(store, file);
      let last = await put(node, 'lost', 0);
      for (let count = 1; count < 10; count++) last = await put(node, 'lost', count);
      await node.end('SIGKILL');
      await kind.restore(store, file);
      const client = await kind.client(store);
      for (let count = 0; count < 30; count++) await client.put('elsewhere', String(count));
      await client.delete('app/config/.attune/system/epoch');
      node = await startNode(kind, store);
      await eventually(isLive(node));
      const poll = await exchange(node.port, { path: `/api/v1/configs?watch&since=${last.header('attune-cursor')}&wait=0s` });
      expect(poll.status).toBe(410);
      expect((await put(node, 'lost', 'no', { 'If-Match': String(last.header('etag')) })).status).toBe(412);
      expect((await get(node, 'kept')).json().value).toBe('at the snapshot');
    } finally {
      await node.end('SIGKILL');
    }
  });
});

describe.each(STORE_KINDS)('$scheme that goes away and comes back', (kind) => {
  it('leaves reads and streams, marked stale; writes are refused in time; all heals by itself', async () => {
    await using store = await kind.start();
    await using node = await startNode(kind, store);
    await eventually(isLive(node));
    await put(node, 'kept', 1);
    const follower = new Follower(() => node);
    await eventually(() => expect(follower.copy.get('kept')).toBe(1));
    await store.end('SIGKILL');
    const gone = performance.now();
    for (let isFirst = true; performance.now() - gone < OUTAGE_MS; isFirst = false) {
      const asked = performance.now();
      const refused = await put(node, 'kept', 2);
      expect(refused.status).toBe(isFirst && refused.status === 504 ? 504 : 503);
      expect(performance.now() - asked).toBeLessThan(REFUSAL_MS);
      const read = await get(node, 'kept');
      expect(read.json()).toMatchObject({ value: 1 });
      if (!isFirst) expect(Number.parseInt(String(read.header('attune-stale')), 10)).toBeGreaterThanOrEqual(0);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect((await exchange(node.port, { path: '/readyz' })).status).toBe(200);
    expect((await exchange(node.port, { path: '/healthz' })).status).toBe(200);
    expect(new Set(follower.states)).toEqual(new Set(['stale']));
    await store.start();
    await eventually(async () => expect((await put(node, 'kept', 3)).status).toBe(200));
    await eventually(() => expect(follower.copy.get('kept')).toBe(3));
    expect((await get(node, 'kept')).header('attune-stale')).toBeUndefined();
    await eventually(() => expect(follower.states.filter((state, index, all) => state !== all[index - 1])).toEqual(['stale', 'live']));
    await follower.close();
    expect(follower.resets).toEqual([]);
  });
});

describe.each(STORE_KINDS)('$scheme that comes back empty under live nodes', (kind) => {
  it('is a new history, and no node fills it again', async () => {
    await using store = await kind.start();
    await using node = await startNode(kind, store);
    await eventually(isLive(node));
    for (let count = 0; count < 10; count++) await put(node, 'gone', count);
    const old = await put(node, 'gone', 'last');
    const follower = new Follower(() => node);
    await eventually(() => expect(follower.copy.get('gone')).toBe('last'));
    await store.end('SIGKILL');
    await rm(store.dataDir, { recursive: true });
    await store.start();
    await eventually(async () => expect((await get(node, 'gone')).status).toBe(404), 20_000);
    await eventually(isLive(node));
    await eventually(async () => expect((await put(node, 'new', 1)).status).toBe(201));
    await eventually(() => expect([...follower.copy]).toEqual([['new', 1]]));
    await follower.close();
    expect(new Set(follower.resets)).toEqual(new Set(['epoch']));
    expect((await put(node, 'gone', 'no', { 'If-Match': String(old.header('etag')) })).status).toBe(412);
    expect((await exchange(node.port, { path: `/api/v1/configs?watch&since=${old.header('attune-cursor')}&wait=0s` })).status).toBe(410);
    expect((await copyOf(node)).map((item) => (item as [string])[0])).toEqual(['new']);
  });
});

/** The index of the member that leads. */
async function leaderOf({ hosts }: EtcdCluster): Promise<number> {
  for (const [index, host] of hosts.entries()) {
    const answer = await fetch(`http://${host}/v3/maintenance/status`, { method: 'POST', body: '{}' });
    const status = (await answer.json()) as { readonly leader: string; readonly header: { readonly member_id: string } };
    if (status.leader === status.header.member_id) return index;
  }
  throw new Error('no member of etcd leads');
}

describe('two nodes over three members of etcd', () => {
  it('whose leader is killed under load: writes resume, no acknowledged change is lost, told twice or out of order', async () => {
    await using cluster = await EtcdCluster.start();
    const url = `etcd://${cluster.hosts.join(',')}/app/config`;
    await using a = await NodeProcess.over(url);
    await using b = await NodeProcess.over(url);
    await eventually(isLive(a));
    await eventually(isLive(b));
    const followers = [new Follower(() => a), new Follower(() => b)];
    const acknowledged: number[] = [];
    const refused = new Set<number>();
    let isWriting = true;
    const load = [a, b].map(async (node, index) => {
      for (let count = 0; isWriting; count++) {
        const answer = await put(node, `load/${index}`, count);
        if (answer.status < 300) acknowledged.push(answer.json().version);
        else {
          refused.add(answer.status);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(50));
    await cluster.kill(await leaderOf(cluster));
    const killedAt = acknowledged.length;
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(killedAt + 50), 20_000);
    isWriting = false;
    await Promise.all(load);
    await eventually(isLive(a));
    await eventually(isLive(b));
    const end = (await put(a, 'end', true)).json().version as number;
    await eventually(() => expect(followers.map(({ versions }) => versions.at(-1))).toEqual([end, end]));
    await Promise.all(followers.map(async (follower) => follower.close()));
    expect([...refused].filter((status) => status !== 503 && status !== 504)).toEqual([]);
    for (const { versions, resets } of followers) {
      expect(resets).toEqual([]);
      expect(versions).toEqual([...new Set(versions)].toSorted((one, other) => one - other));
      const told = new Set(versions);
      expect(acknowledged.filter((version) => !told.has(version))).toEqual([]);
    }
    expect(await copyOf(a)).toEqual(await copyOf(b));
  });
});
