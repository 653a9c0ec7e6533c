import { afterEach, describe, expect, test } from 'vitest';
import { createApi } from '../../src/client/api.ts';
import { systemClock, type Clock } from '../../src/client/clock.ts';
import { ConfigClient, type ConfigClientOptions } from '../../src/client/index.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { startHttpServer, type HttpServer } from '../../src/server/http-server.ts';
import { CuttingProxy } from './client/cutting-proxy.ts';
import { AT_ONCE, recordChanges, statusOf } from './client/observe.ts';

const QUICK_CLOSE = { graceMs: 100, spreadMs: 0 };

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function openProvider(): Promise<MemoryProvider> {
  const provider = new MemoryProvider();
  await provider.open();
  opened.push({ [Symbol.asyncDispose]: () => provider.close() });
  return provider;
}

async function startServer(provider: MemoryProvider, port = 0): Promise<HttpServer> {
  const server = await startHttpServer({ provider, namespace: 'app/config', port });
  opened.push({ [Symbol.asyncDispose]: () => server.close(QUICK_CLOSE) });
  return server;
}

async function connect(url: string, options: Partial<ConfigClientOptions> = {}) {
  const errors: unknown[] = [];
  const client = await ConfigClient.connect(
    { url, prefix: 'app/', backoff: AT_ONCE, onError: (error) => errors.push(error), ...options },
    { timeoutMs: 20_000 },
  );
  opened.push(client);
  return { client, errors };
}

/** Waits a thousandth of what the client would wait between attempts; timeouts and the silence stay. */
const IMPATIENT: Clock = {
  now: () => systemClock.now(),
  // Not the time that a stream has for its head and its first byte.
  after: (delayMs, callback) =>
    systemClock.after(delayMs < 10_000 && delayMs !== 1_000 && delayMs !== 1_250 ? delayMs / 1_000 : delayMs, callback),
};

describe('against the server', () => {
  test('the API reads, writes, lists and polls what it wrote', async () => {
    const server = await startServer(await openProvider());
    const api = createApi({ url: server.url });
    const key = 'app/ü b/100%/a+b?#';
    const written = await api.put(key, { jsonText: '{"n":9007199254740993,"x":1.10}' }, { ifVersion: 0 });
    expect(written).toMatchObject({ created: true, valueText: '{"n":9007199254740993,"x":1.10}' });
    const read = await api.get(key, written.cursor === undefined ? {} : { minRevision: written.cursor });
    expect(read).toMatchObject({ item: { key, version: written.item.version }, valueText: '{"n":9007199254740993,"x":1.10}' });
    expect(new TextDecoder().decode((await api.getRaw(key)).bytes)).toBe('{"n":9007199254740993,"x":1.10}');
    await api.put('app/yaml', { raw: 'a: 1\n', contentType: 'application/yaml', comment: 'why', metadata: { owner: 'me' } });
    expect(await api.get('app/yaml')).toMatchObject({
      valueText: 'a: 1\n',
      item: { contentType: 'application/yaml', metadata: { owner: 'me' } },
    });
    const pages = [];
    for await (const page of api.list({ prefix: 'app/', limit: 1 })) pages.push(page);
    expect(pages.flatMap((page) => [...page.valueTexts()])).toEqual([
      ['app/yaml', 'a: 1\n'],
      [key, '{"n":9007199254740993,"x":1.10}'],
    ]);
    const keys = [];
    for await (const page of api.listKeys()) keys.push(...page.keys.map((entry) => entry.key));
    expect(keys).toEqual(['app/yaml', key]);
    await api.delete('app/yaml', { ifMatch: '*' });
    const polled = await api.poll({ since: pages[0]?.cursor ?? '', prefixes: ['app/'], waitMs: 1_000 });
    expect(polled.changes).toMatchObject([{ type: 'deleted', key: 'app/yaml' }]);
    expect((await api.status()).body).toMatchObject({ state: 'live', keys: 1 });
  });

  test('a client reads its own writes, and others hear of them', async () => {
    const server = await startServer(await openProvider());
    const { client } = await connect(server.url);
    const { client: other } = await connect(server.url);
    const changes = recordChanges(other);
    const { version } = await client.set('app/a', { n: 1 });
    expect(client.get('app/a')).toEqual({ n: 1 });
    expect(await client.set('app/a', { n: 1 })).toEqual({ version, created: false });
    await client.update('app/a', (old) => ({ ...(old as { n: number }), n: 2 }));
    expect(client.get('app/a')).toEqual({ n: 2 });
    expect(await client.delete('app/a')).toBe(true);
    expect(client.get('app/a')).toBeUndefined();
    expect(await client.delete('app/a')).toBe(false);
    await client.set('app/end', 'text');
    expect((await changes.through('app/end')).map(([type, , , value]) => [type, value])).toEqual([
      ['created', { n: 1 }],
      ['updated', { n: 2 }],
      ['deleted', null],
    ]);
    expect(other.get('app/end')).toBe('text');
  });

  test('of many that update at once none loses its update', async () => {
    const server = await startServer(await openProvider());
    const clients = await Promise.all([connect(server.url), connect(server.url), connect(server.url)]);
    await Promise.all(clients.map(async ({ client }) => client.update('app/count', (old) => ((old as number | undefined) ?? 0) + 1)));
    const { client } = await connect(server.url);
    expect(client.get('app/count')).toBe(3);
  });

  test('a restarted server sends clients away and takes them back without a reset', async () => {
    const provider = await openProvider();
    const first = await startServer(provider);
    const { client, errors } = await connect(first.url, { clock: IMPATIENT, backoff: { baseMs: 5_000, factor: 1, maxMs: 5_000 } });
    await client.set('app/a', 1);
    const changes = recordChanges(client);
    const stale = statusOf(client, 'stale');
    await first.close(QUICK_CLOSE);
    await stale;
    const second = await startServer(provider, first.port);
    await statusOf(client, 'live');
    await createApi({ url: second.url }).put('app/end', { value: 1 });
    expect(await changes.through('app/end')).toEqual([]);
    expect(client.get('app/a')).toBe(1);
    for (const error of errors) expect(error).toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('a replaced store is told as exactly the difference', async () => {
    const replacement = await openProvider();
    const elsewhere = await startServer(replacement);
    const api = createApi({ url: elsewhere.url });
    for (const [key, value] of Object.entries({ 'app/same': 1, 'app/changed': 'new' })) await api.put(key, { value });
    const first = await startServer(await openProvider());
    const { client } = await connect(first.url, { clock: IMPATIENT, backoff: { baseMs: 5_000, factor: 1, maxMs: 5_000 } });
    for (const [key, value] of Object.entries({ 'app/same': 1, 'app/changed': 'old', 'app/gone': 1 })) await client.set(key, value);
    const changes = recordChanges(client);
    const stale = statusOf(client, 'stale');
    await first.close(QUICK_CLOSE);
    await stale;
    await startServer(replacement, first.port);
    await statusOf(client, 'live');
    await api.put('app/end', { value: 1 });
    expect((await changes.through('app/end')).map(([type, key, before, now]) => [type, key, before, now])).toEqual([
      ['updated', 'app/changed', 'old', 'new'],
      ['deleted', 'app/gone', 1, null],
    ]);
    expect([client.get('app/same'), client.get('app/gone')]).toEqual([1, undefined]);
  });

  test('a client whose connection is cut at random hears what one hears that is not', { timeout: 60_000 }, async () => {
    const server = await startServer(await openProvider());
    await using proxy = await CuttingProxy.start(server.port);
    const { client: calm } = await connect(server.url);
    const { client: shaken } = await connect(proxy.url, { clock: IMPATIENT });
    const [heardCalm, heardShaken] = [recordChanges(calm), recordChanges(shaken)];
    const api = createApi({ url: server.url });
    // However fast the server answers, the client is given the time to come back, to be cut again.
    for (let index = 0; index < 250 || (proxy.cuts <= 10 && index < 5_000); index++) {
      const key = `app/k${index % 7}`;
      await (index % 11 === 10 ? api.delete(key).catch(() => undefined) : api.put(key, { value: { index, pad: 'é'.repeat(index % 300) } }));
      if (index % 5 === 0) proxy.cut();
    }
    await api.put('app/end', { value: 1 });
    const [calmly, shakenly] = await Promise.all([heardCalm.through('app/end'), heardShaken.through('app/end')]);
    expect(proxy.cuts).toBeGreaterThan(10);
    expect(shakenly).toEqual(calmly);
    expect(calmly.length).toBeGreaterThan(200);
    await shaken.close();
  });
});
