import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { exchange, type Answer } from '../support/http-exchange.ts';
import { HttpStream } from '../support/http-stream.ts';
import { NodeProcess } from '../support/node-process.ts';
import { consulKv, etcdctl, type StoreClient } from '../support/store-client.ts';
import { StoreServer } from '../support/store-server.ts';

interface StoreCase {
  readonly name: string;
  readonly scheme: string;
  readonly start: () => Promise<StoreServer>;
  readonly client: (server: StoreServer) => Promise<StoreClient>;
  readonly namespaces: readonly string[];
  /** Outside the grammar of keys, but taken by the store's own tool. */
  readonly oddKeys: readonly string[];
}

const STORES: readonly StoreCase[] = [
  {
    name: 'etcd',
    scheme: 'etcd',
    start: () => StoreServer.startEtcd(),
    client: etcdctl,
    namespaces: ['app/config', '/app/config'],
    oddKeys: ['a//b', 'a/../b', 'a/', '.attuned/../x', 'x.attune/y'],
  },
  {
    name: 'consul',
    scheme: 'consul',
    start: () => StoreServer.startConsul(),
    client: consulKv,
    namespaces: ['app/config'],
    oddKeys: ['a/', 'x.attune/y', 'b.attune'],
  },
];

type WireChange = Readonly<Record<string, unknown>>;

const JSON_TYPE = { 'Content-Type': 'application/json' };
const get = async (node: NodeProcess, path: string): Promise<Answer> => exchange(node.port, { path: `/api/v1/${path}` });
const put = async (node: NodeProcess, key: string, body: unknown): Promise<Answer> =>
  exchange(node.port, { method: 'PUT', path: `/api/v1/configs/${key}`, headers: JSON_TYPE, body: JSON.stringify(body) });

const live = (node: NodeProcess) => async () => expect((await exchange(node.port, { path: '/readyz' })).status).toBe(200);

/** The changes that a stream tells, one by one. */
async function* changesOf(stream: HttpStream): AsyncGenerator<WireChange, void> {
  for (;;) {
    const block = await stream.event();
    if (block.event === 'change') yield* block.data.changes;
  }
}

for (const { name, scheme, start, client, namespaces, oddKeys } of STORES) {
  describe.each(namespaces)(`keys that other tools put into ${name} under %s`, (namespace) => {
    it('before the service starts are items, as JSON or text; those outside the grammar are skipped and counted', async () => {
      await using server = await start();
      const tool = await client(server);
      const values = {
        db: '{"pool": 20}',
        'db/host': 'db.example',
        version: '1.10',
        count: '42',
        list: '[1, 2]',
        empty: '',
        größe: '"XL"',
      };
      for (const [key, value] of Object.entries(values)) await tool.put(`${namespace}/${key}`, value);
      for (const odd of oddKeys) await tool.put(`${namespace}/${odd}`, 'odd');
      await tool.put(`${namespace}s/near`, 'another namespace');

      await using node = await NodeProcess.over(`${scheme}://${server.host}/${namespace}`);
      await eventually(live(node));
      const { items } = (await get(node, 'configs')).json();
      const seen = items.map(({ key, value, contentType, lastUpdated, metadata, updatedBy }: Record<string, unknown>) => {
        expect([lastUpdated, metadata, updatedBy]).toEqual([null, {}, undefined]);
        return [key, value, String(contentType).startsWith('application/json')];
      });
      expect(seen).toEqual([
        ['count', 42, true],
        ['db', { pool: 20 }, true],
        ['db/host', 'db.example', false],
        ['empty', '', false],
        ['größe', 'XL', true],
        ['list', [1, 2], true],
        ['version', '1.10', false],
      ]);
      expect((await get(node, 'configs/db?raw')).text).toBe('{"pool": 20}');
      expect((await get(node, 'status')).json()).toMatchObject({
        keys: 7,
        skippedKeys: oddKeys.length,
        store: { provider: name, namespace },
      });
      expect(node.stderr).toContain('a stored key is outside the grammar of keys and is skipped');
      // They stay where they are.
      for (const odd of oddKeys) expect(await tool.get(`${namespace}/${odd}`)).toBe('odd');
    });

    it('while it runs are told to streams, and what the service puts is read by those tools', async () => {
      await using server = await start();
      const tool = await client(server);
      await using node = await NodeProcess.over(`${scheme}://${server.host}/${namespace}`);
      await eventually(live(node));
      const stream = await HttpStream.open(node.port, { path: '/api/v1/watch?prefix=app/' });
      await stream.until('synced');
      const changes = changesOf(stream);
      const next = async (): Promise<WireChange> => (await changes.next()).value ?? {};

      await tool.put(`${namespace}/app/a`, '{"on":true}');
      expect(await next()).toMatchObject({ type: 'created', key: 'app/a', oldValue: null, newValue: { on: true }, timestamp: null });
      expect((await get(node, 'configs/app/a')).json()).toMatchObject({ value: { on: true }, lastUpdated: null });

      // Through Attune, with a sidecar; the value itself is as plain as before.
      const written = await put(node, 'app/a', { value: { on: false }, metadata: { owner: 'ops' } });
      expect(written.status).toBe(200);
      expect(await next()).toMatchObject({ type: 'updated', newValue: { on: false }, metadata: { owner: 'ops' } });
      expect(JSON.parse(await tool.get(`${namespace}/app/a`))).toEqual({ on: false });
      await put(node, 'app/text', { value: 'plain words', contentType: 'text/plain' });
      expect(await next()).toMatchObject({ type: 'created', key: 'app/text', newValue: 'plain words' });
      expect(await tool.get(`${namespace}/app/text`)).toBe('plain words');

      // Over a value that has a sidecar: its metadata stay, its writer and time are nobody's.
      await tool.put(`${namespace}/app/a`, '{"on":null}');
      expect(await next()).toMatchObject({ type: 'updated', newValue: { on: null }, metadata: { owner: 'ops' }, timestamp: null });
      const outside = (await get(node, 'configs/app/a')).json();
      expect(outside).toMatchObject({ metadata: { owner: 'ops' }, lastUpdated: null });
      expect(outside).not.toHaveProperty('updatedBy');
      await tool.put(`${namespace}/app/text`, '{"still":"text"}');
      expect(await next()).toMatchObject({ key: 'app/text', newValue: '{"still":"text"}' });

      // The old version is refused, the new one taken.
      const stale = await put(node, `app/a?ifVersion=${written.json().version}`, { value: 1 });
      expect([stale.status, stale.json().current.version]).toEqual([412, outside.version]);
      expect((await put(node, `app/a?ifVersion=${outside.version}`, { value: 2 })).status).toBe(200);
      expect(await next()).toMatchObject({ key: 'app/a', newValue: 2 });

      await tool.delete(`${namespace}/app/a`);
      expect(await next()).toMatchObject({ type: 'deleted', key: 'app/a', oldValue: 2, newValue: null });
      expect((await get(node, 'configs/app/a')).status).toBe(404);
      await tool.put(`${namespace}/app/odd.attune`, 'x');
      await put(node, 'app/end', { value: 'end' });
      expect(await next()).toMatchObject({ key: 'app/end' });
      expect((await get(node, 'status')).json()).toMatchObject({ keys: 2, skippedKeys: 1 });
      stream.close();
    });
  });
}

describe('a namespace that is empty while its twin is not', () => {
  it.each([
    ['app/config', '/app/config', 'no keys under app/config/, but 3 under /app/config/: did you mean etcd://HOST//app/config?'],
    ['/app/config', 'app/config', 'no keys under /app/config/, but 3 under app/config/: did you mean etcd://HOST/app/config?'],
  ])('%s for %s is told in the banner and the log, and the service runs', async (namespace, twin, warning) => {
    await using etcd = await StoreServer.startEtcd();
    const tool = await etcdctl(etcd);
    for (const key of ['a', 'b/c', 'd']) await tool.put(`${twin}/${key}`, '1');
    await tool.put(`${twin}//odd`, '1');
    const expected = warning.replace('HOST', etcd.host);
    {
      await using node = await NodeProcess.over(`etcd://${etcd.host}/${namespace}`);
      await eventually(() => expect(node.stdout).toContain(`warning: ${expected}\n`));
      await eventually(() => expect(node.stderr).toContain(expected));
      expect((await put(node, 'own', { value: 1 })).status).toBe(201);
    }
    // It has a key now, so it is what was meant.
    await using again = await NodeProcess.over(`etcd://${etcd.host}/${namespace}`);
    await eventually(live(again));
    expect(again.stdout + again.stderr).not.toContain('did you mean');
  });

  it('is told once the store is reached, if it was not at the start', async () => {
    await using etcd = await StoreServer.startEtcd();
    await (await etcdctl(etcd)).put('/app/config/a', '1');
    await etcd.end();
    await using node = await NodeProcess.over(`etcd://${etcd.host}`);
    await etcd.start();
    await eventually(
      () => expect(node.stderr).toContain(`but 1 under /app/config/: did you mean etcd://${etcd.host}//app/config?`),
      15_000,
    );
  });

  it('is not told of one that has nothing', async () => {
    await using etcd = await StoreServer.startEtcd();
    await using node = await NodeProcess.over(`etcd://${etcd.host}`);
    await eventually(live(node));
    expect(node.stdout + node.stderr).not.toContain('did you mean');
  });
});
