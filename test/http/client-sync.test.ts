import { afterEach, describe, expect, test } from 'vitest';
import { ConfigClient, type ClientStatus, type ConfigClientOptions } from '../../src/client/index.ts';
import { freePort } from '../support/free-ports.ts';
import { FakeClock } from '../unit/client/fake-clock.ts';
import { created, deleted, item, updated } from '../unit/client/wire-samples.ts';
import { AT_ONCE, recordChanges, rejection, statusOf } from './client/observe.ts';
import { ScriptedServer } from './client/scripted-server.ts';

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function startServer(port?: number): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(port);
  opened.push(server);
  return server;
}

interface Observed {
  readonly client: ConfigClient;
  readonly errors: { readonly code?: string; readonly message: string }[];
}

function createClient(url: string | readonly string[], options: Partial<ConfigClientOptions> = {}): Observed {
  const errors: Observed['errors'] = [];
  const client = new ConfigClient({ url, prefix: 'app/', backoff: AT_ONCE, onError: (error) => errors.push(error as Error), ...options });
  opened.push(client);
  return { client, errors };
}

/** A client that is live at revision 10 with the given items. */
async function live(items: readonly ReturnType<typeof item>[], options: Partial<ConfigClientOptions> = {}) {
  const server = await startServer();
  const observed = createClient(server.url, options);
  const started = observed.client.start();
  const stream = (await server.stream()).state(10, ...items);
  await started;
  return { ...observed, server, stream, changes: recordChanges(observed.client) };
}

describe('the first state', () => {
  test('is asked for without a position, and served when it is complete', async () => {
    const server = await startServer();
    const { client } = createClient(server.url, { prefix: ['app/', 'é'], token: 't' });
    expect(client.status).toEqual({ state: 'connecting', attempt: 0 });
    const started = client.start();
    const stream = await server.stream();
    expect(stream.request).toMatchObject({
      target: '/api/v1/watch?prefix=app%2F&prefix=%C3%A9&snapshot',
      headers: { authorization: 'Bearer t' },
    });
    expect(stream.lastEventId).toBeUndefined();
    stream.snapshot(10, [item('app/a', 1, 4)]).snapshot(10, [item('app/b', { x: [1] }, 5)]);
    expect(client.get('app/a')).toBeUndefined();
    stream.synced(10, 2);
    await started;
    expect([client.get('app/a'), client.get('app/b'), client.get('app/c')]).toEqual([1, { x: [1] }, undefined]);
    expect(client.status).toMatchObject({ state: 'live', revision: 10 });
  });

  test('is told to watchers that were there before', async () => {
    const server = await startServer();
    const { client } = createClient(server.url);
    const heard: unknown[] = [];
    client.watch('app/a', (value, { type, oldValue }) => heard.push([value, type, oldValue]));
    const started = client.start();
    (await server.stream()).state(10, item('app/a', 1, 4));
    await started;
    expect(heard).toEqual([[1, 'created', null]]);
  });

  test('begins anew, without a position, when its snapshot is cut in the middle', async () => {
    const server = await startServer();
    const { client, errors } = createClient(server.url);
    const changes = recordChanges(client);
    const started = client.start();
    await (await server.stream()).snapshot(10, [item('app/ghost', 1, 4)]).cut();
    const second = await server.stream();
    expect(second.lastEventId).toBeUndefined();
    second.state(11, item('app/a', 1, 11), item('app/end', 1, 11));
    await started;
    expect(client.get('app/ghost')).toBeUndefined();
    expect(await changes.through('app/end')).toEqual([['created', 'app/a', null, 1, 11]]);
    expect(errors.map(({ code }) => code)).toEqual(['UNAVAILABLE']);
  });

  test('is waited for while the server is refused, then back', async () => {
    const port = await freePort();
    const { client, errors } = createClient(`http://127.0.0.1:${port}`, { backoff: { baseMs: 5, factor: 1, maxMs: 5 } });
    const refused = new Promise<void>((resolve) => client.onError(() => resolve()));
    const started = client.start();
    await refused;
    const server = await startServer(port);
    (await server.stream()).state(10, item('app/a', 1, 4));
    await started;
    expect(client.get('app/a')).toBe(1);
    expect(errors[0]).toMatchObject({ code: 'UNAVAILABLE', message: `cannot reach http://127.0.0.1:${port}: connection refused` });
  });

  test('comes from another server when the first is gone', async () => {
    const server = await startServer();
    const { client } = createClient([`http://127.0.0.1:${await freePort()}`, server.url]);
    const started = client.start();
    (await server.stream()).state(10);
    await started;
  });
});

describe('start', () => {
  test('rejects at the deadline, naming prefix, server and last failure, and goes on trying', async () => {
    const server = await startServer();
    const clock = new FakeClock();
    const { client, errors } = createClient(server.url, { clock });
    const started = client.start({ timeoutMs: 1_000 });
    (await server.stream()).refuse(503, 'NOT_READY', 'loading');
    await new Promise<void>((resolve) => client.onError(() => resolve()));
    clock.advance(1_000);
    const error = await rejection(started);
    expect(error).toMatchObject({ code: 'NOT_READY', details: { url: [server.url], keys: [] }, cause: errors[0] });
    expect((error as Error).message).toBe(`not ready after 1000 ms: nothing under 'app/' was received from ${server.url} (loading)`);
    const again = client.start();
    (await server.stream()).state(10);
    await again;
  });

  test.each([
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [400, 'INVALID_ARGUMENT'],
  ])('rejects at once on %i', async (status, code) => {
    const server = await startServer();
    const connecting = ConfigClient.connect({ url: server.url, prefix: 'app/', onError: () => undefined });
    const failed = rejection(connecting);
    (await server.stream()).refuse(status, code);
    expect(await failed).toMatchObject({ code });
  });

  test('rejects with the reason of its signal', async () => {
    const server = await startServer();
    const { client } = createClient(server.url);
    const controller = new AbortController();
    const failed = rejection(client.start({ signal: controller.signal }));
    await server.stream();
    controller.abort(new Error('enough'));
    expect(await failed).toMatchObject({ message: 'enough' });
    expect(await rejection(client.start({ signal: controller.signal }))).toMatchObject({ message: 'enough' });
  });

  test('connect closes what it opened when it fails', async () => {
    const server = await startServer();
    const controller = new AbortController();
    const failed = rejection(ConfigClient.connect({ url: server.url, prefix: 'app/' }, { signal: controller.signal }));
    const stream = await server.stream();
    stream.open();
    controller.abort(new Error('enough'));
    expect(await failed).toMatchObject({ message: 'enough' });
    await stream.closed;
  });

  test('twice is one connection, and when live resolves at once', async () => {
    const server = await startServer();
    const { client } = createClient(server.url);
    const both = Promise.all([client.start(), client.start()]);
    (await server.stream()).state(10);
    await both;
    await client.start();
    expect(server.requests).toHaveLength(1);
  });
});

describe('changes', () => {
  test('are told in order, to watchers of their key and to feeds of their prefix', async () => {
    const { client, stream, changes } = await live([item('app/a', 1, 4)]);
    const narrow = client.changes({ prefix: 'app/sub/' });
    const heard: unknown[] = [];
    client.watch('app/a', (value, change) => heard.push([value, change.type, change.version]));
    stream
      .change(11, updated('app/a', 2, 11))
      .change(12, deleted('app/a', 12), created('app/sub/x', 'text', 12))
      .change(13, created('app/end', 1, 13));
    expect(await changes.through('app/end')).toEqual([
      ['updated', 'app/a', 1, 2, 11],
      ['deleted', 'app/a', 2, null, 12],
      ['created', 'app/sub/x', null, 'text', 12],
    ]);
    expect(heard).toEqual([
      [2, 'updated', 11],
      [undefined, 'deleted', 12],
    ]);
    expect((await narrow.next()).value).toMatchObject({ key: 'app/sub/x' });
  });

  test('of one revision can all be read when the first of them is told', async () => {
    const { client, stream, changes } = await live([item('app/a', 1, 4), item('app/b', 1, 4)]);
    const read: unknown[] = [];
    client.watch('app/a', () => read.push(client.get('app/b')));
    stream.change(11, updated('app/a', 2, 11), updated('app/b', 2, 11), created('app/end', 1, 11));
    await changes.through('app/end');
    expect(read).toEqual([2]);
  });

  test('arrive whole when UTF-8 is split over chunks', async () => {
    const { client, stream, changes } = await live([]);
    const bytes = Buffer.from(
      `id: e-11\r\nevent: change\r\ndata: ${JSON.stringify({ revision: 11, changes: [created('app/ü', '🚲é', 11), created('app/end', 1, 11)] })}\r\n\r\n: \r\n`,
    );
    for (const byte of bytes) {
      stream.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await changes.through('app/end');
    expect(client.get('app/ü')).toBe('🚲é');
  });

  test.each([1_021, 65_536, 2_000_000])('arrive whole in a frame of more than 1 MB, in chunks of %i bytes', async (size) => {
    const { client, stream, changes } = await live([]);
    // No chunk of these sizes holds a whole number of its characters.
    const large = 'zürich 🚲 '.repeat(90_000);
    const data = JSON.stringify({ revision: 11, changes: [created('app/large', large, 11), created('app/end', 1, 11)] });
    const bytes = Buffer.from(`id: e-11\nevent: change\ndata: ${data}\n\n`);
    expect(bytes.byteLength).toBeGreaterThan(1_000_000);
    for (let at = 0; at < bytes.byteLength; at += size) stream.write(bytes.subarray(at, at + size));
    expect(await changes.through('app/end')).toHaveLength(1);
    expect(client.get('app/large')).toBe(large);
    expect(client.status).toMatchObject({ state: 'live', revision: 11 });
  });

  test('go on past an event of a name nobody knows, whose id is no position', async () => {
    const { server, stream, changes, errors } = await live([item('app/a', 1, 4)]);
    await stream
      .frame('novelty', { revision: 99, changes: [updated('app/a', 'novel', 99)] }, 'e-99')
      .write('event: novelty\nid: e-98\ndata: not even JSON\n\n')
      .cut();
    const second = await server.stream();
    expect(second.lastEventId).toBe('e-10');
    second.synced(10).change(11, updated('app/a', 2, 11), created('app/end', 1, 11));
    expect(await changes.through('app/end')).toEqual([['updated', 'app/a', 1, 2, 11]]);
    expect(errors).toMatchObject([{ code: 'UNAVAILABLE' }]);
  });

  test('that come twice are told once', async () => {
    const { stream, changes, errors } = await live([item('app/a', 1, 4)]);
    const twice = [updated('app/a', 2, 11), created('app/b', 1, 11)];
    stream
      .change(11, ...twice)
      .change(11, ...twice)
      .change(12, created('app/end', 1, 12));
    expect(await changes.through('app/end')).toHaveLength(2);
    expect(errors).toEqual([]);
  });

  test('of versions not above the known one are ignored, also after a deletion', async () => {
    const { client, stream, changes } = await live([item('app/a', 1, 9), item('app/b', 1, 9)]);
    stream.change(11, deleted('app/b', 11));
    stream.frame(
      'change',
      { revision: 20, gap: true, changes: [updated('app/a', 'old', 8), created('app/b', 'ghost', 10), created('app/late', 1, 7)] },
      'e-20',
    );
    stream.change(21, created('app/end', 1, 21));
    expect(await changes.through('app/end')).toEqual([
      ['deleted', 'app/b', 1, null, 11],
      ['created', 'app/late', null, 1, 7],
    ]);
    expect([client.get('app/a'), client.get('app/b')]).toEqual([1, undefined]);
  });
});

describe('after a lost connection', () => {
  test('the stream resumes after the last position, and nothing is missing or twice', async () => {
    const { client, server, stream, changes } = await live([item('app/a', 1, 4)]);
    await stream.change(11, updated('app/a', 2, 11)).cut();
    const second = await server.stream();
    expect(second.lastEventId).toBe('e-11');
    second
      .change(12, updated('app/a', 3, 12))
      .synced(12)
      .change(13, created('app/end', 1, 13));
    expect(await changes.through('app/end')).toEqual([
      ['updated', 'app/a', 1, 2, 11],
      ['updated', 'app/a', 2, 3, 12],
    ]);
    expect(client.get('app/a')).toBe(3);
    expect(server.maxOpenStreams).toBe(1);
  });

  test('before the first change the position is that of synced', async () => {
    const { server, stream, changes } = await live([item('app/a', 1, 4)]);
    await stream.cut();
    const second = await server.stream();
    expect(second.lastEventId).toBe('e-10');
    second
      .change(11, updated('app/a', 2, 11))
      .synced(11)
      .change(12, created('app/end', 1, 12));
    expect(await changes.through('app/end')).toEqual([['updated', 'app/a', 1, 2, 11]]);
  });

  test('a bookmark is a position to resume from', async () => {
    const { server, stream } = await live([]);
    await stream.frame('bookmark', { revision: 99 }, 'e-99').cut();
    expect((await server.stream()).lastEventId).toBe('e-99');
  });

  test('a frame cut in the middle moves nothing', async () => {
    const { server, stream, changes } = await live([item('app/a', 1, 4)]);
    await stream.write(`id: e-11\nevent: change\ndata: ${JSON.stringify({ revision: 11, changes: [updated('app/a', 2, 11)] })}\n`).cut();
    const second = await server.stream();
    expect(second.lastEventId).toBe('e-10');
    second
      .change(11, updated('app/a', 2, 11))
      .synced(11)
      .change(12, created('app/end', 1, 12));
    expect(await changes.through('app/end')).toHaveLength(1);
  });

  test('the values stay, the status says since when and why', async () => {
    const { client, stream } = await live([item('app/a', 1, 4)]);
    await stream.cut();
    const status = await statusOf(client, 'stale');
    expect(status).toMatchObject({ source: 'memory', revision: 10, cause: { code: 'UNAVAILABLE' } });
    expect(client.get('app/a')).toBe(1);
  });

  test('the next of several servers is asked', async () => {
    const [first, second] = [await startServer(), await startServer()];
    const { client } = createClient([first.url, second.url]);
    const started = client.start();
    const stream = (await first.stream()).state(10);
    await started;
    await stream.cut();
    expect((await second.stream()).lastEventId).toBe('e-10');
  });

  test('goaway comes back elsewhere, after the time asked for, without an error', async () => {
    const [first, second] = [await startServer(), await startServer()];
    const clock = new FakeClock();
    const { client, errors } = createClient([first.url, second.url], { clock });
    const started = client.start();
    const stream = (await first.stream()).state(10);
    await started;
    const waiting = clock.next(1_234);
    stream.frame('goaway', { retryMs: 1_234 });
    await waiting;
    await stream.closed;
    clock.advance(1_234);
    expect((await second.stream()).lastEventId).toBe('e-10');
    expect(errors).toEqual([]);
  });

  test("the server's retry is the least time to wait", async () => {
    const clock = new FakeClock();
    const { stream, server } = await live([], { clock });
    const waiting = clock.next(1_500);
    await stream.write('retry: 1500\n\n').cut();
    await waiting;
    clock.advance(1_500);
    expect((await server.stream()).lastEventId).toBe('e-10');
  });

  test('the waiting doubles from 250 ms to 30 s', async () => {
    const clock = new FakeClock();
    const { client } = createClient(`http://127.0.0.1:${await freePort()}`, {
      clock,
      random: () => 1,
      backoff: { baseMs: 250, factor: 2, maxMs: 30_000 },
    });
    const expected = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    let waiting = clock.next(250);
    const failed = rejection(client.start({ timeoutMs: 3_600_000 }));
    for (const [index, delayMs] of expected.entries()) {
      await waiting;
      waiting = clock.next(expected[index + 1] ?? 30_000);
      clock.advance(delayMs);
    }
    await waiting;
    expect(client.status).toEqual({ state: 'connecting', attempt: expected.length + 1 });
    await client.close();
    expect(await failed).toMatchObject({ code: 'CLOSED' });
  });

  test('a stream without a byte for three pings is dead: it is dropped, and resumed', async () => {
    const clock = new FakeClock();
    const server = await startServer();
    const { client, errors } = createClient(server.url, { clock });
    const started = client.start();
    const stream = await server.stream();
    stream.state(10);
    await started;
    // What synced came with is read to its end, then the silence is timed.
    await new Promise((resolve) => setImmediate(resolve));
    expect(clock.pending).toEqual([45_000]);
    const waiting = clock.next(0);
    clock.advance(45_000);
    await waiting;
    await stream.closed;
    clock.advance(0);
    expect((await server.stream()).lastEventId).toBe('e-10');
    expect(errors).toMatchObject([{ code: 'UNAVAILABLE', message: `${server.url} was silent for 45000 ms, not even a ping came` }]);
  });

  test.each([
    ['is not JSON', 'id: e-12\nevent: change\ndata: {"revision":12,\n\n'],
    ['has no id', 'event: change\ndata: {"revision":12,"changes":[]}\n\n'],
    ['goes back', 'id: e-9\nevent: bookmark\ndata: {"revision":9}\n\n'],
  ])('a frame that %s is reported, never skipped: the stream resumes before it', async (_what, frame) => {
    const { client, errors, server, stream, changes } = await live([item('app/a', 1, 4)]);
    stream
      .change(11, updated('app/a', 2, 11))
      .write(frame)
      .change(13, updated('app/a', 'skipped to', 13));
    await stream.closed;
    const second = await server.stream();
    expect(second.lastEventId).toBe('e-11');
    expect(errors).toMatchObject([{ code: 'PROTOCOL' }]);
    second
      .change(12, updated('app/a', 3, 12))
      .synced(12)
      .change(13, created('app/end', 1, 13));
    expect(await changes.through('app/end')).toEqual([
      ['updated', 'app/a', 1, 2, 11],
      ['updated', 'app/a', 2, 3, 12],
    ]);
    expect(client.status.state).toBe('live');
  });
});

describe('after a reset', () => {
  test('of the epoch exactly the difference is told, versions start over', async () => {
    const { client, stream, changes } = await live([item('app/same', 1, 4), item('app/changed', 'old', 5), item('app/gone', 1, 6)]);
    stream.frame('reset', { reason: 'epoch' }).state(3, item('app/same', 1, 1), item('app/changed', 'new', 2), item('app/new', 1, 3));
    stream.frame('change', { revision: 4, changes: [updated('app/same', 2, 4), created('app/end', 1, 4)] }, 'f-4');
    expect(await changes.through('app/end')).toEqual([
      ['updated', 'app/changed', 'old', 'new', 2],
      ['deleted', 'app/gone', 1, null, 3],
      ['created', 'app/new', null, 1, 3],
      ['updated', 'app/same', 1, 2, 4],
    ]);
    expect(client.status).toMatchObject({ state: 'live', revision: 4 });
  });

  test('whose snapshot is cut the old position and values stay', async () => {
    const { client, server, stream, changes } = await live([item('app/a', 1, 4)]);
    await stream
      .frame('reset', { reason: 'compacted' })
      .snapshot(50, [item('app/a', 'half', 50)])
      .cut();
    const second = await server.stream();
    expect(second.lastEventId).toBe('e-10');
    expect(client.get('app/a')).toBe(1);
    expect(client.status).toMatchObject({ state: 'stale', revision: 10 });
    second
      .frame('reset', { reason: 'compacted' })
      .state(51, item('app/a', 2, 51))
      .change(52, created('app/end', 1, 52));
    expect(await changes.through('app/end')).toEqual([['updated', 'app/a', 1, 2, 51]]);
  });

  test('values are served until the new state is complete', async () => {
    const { client, stream } = await live([item('app/a', 1, 4)]);
    stream.frame('reset', { reason: 'slow' }).snapshot(50, [item('app/a', 2, 50)]);
    await statusOf(client, 'stale');
    expect(client.get('app/a')).toBe(1);
    stream.synced(50, 1);
    await statusOf(client, 'live');
    expect(client.get('app/a')).toBe(2);
  });
});

describe('listeners', () => {
  test('one that throws is reported and harms nobody', async () => {
    const { client, stream, changes, errors } = await live([]);
    const heard: unknown[] = [];
    client.watch('app/a', () => {
      throw new Error('mine');
    });
    client.watch('app/a', (value) => heard.push(value));
    stream.change(11, created('app/a', 1, 11)).change(12, created('app/end', 1, 12));
    await changes.through('app/end');
    expect(heard).toEqual([1]);
    expect(errors.map(({ message }) => message)).toEqual(['mine']);
    expect(client.status.state).toBe('live');
  });

  test('with immediate are called at once, then for changes', async () => {
    const { client, stream, changes } = await live([item('app/a', 1, 4)]);
    const heard: unknown[] = [];
    client.watch('app/a', (value, change) => heard.push([value, change?.version]), { immediate: true });
    client.watch('app/absent', (value, change) => heard.push([value, change?.version]), { immediate: true });
    expect(heard).toEqual([
      [1, undefined],
      [undefined, undefined],
    ]);
    stream.change(11, updated('app/a', 2, 11), created('app/end', 1, 11));
    await changes.through('app/end');
    expect(heard.slice(2)).toEqual([[2, 11]]);
  });

  test('that were stopped hear nothing more', async () => {
    const { client, stream, changes } = await live([]);
    const heard: unknown[] = [];
    const stop = client.watch('app/a', (value) => heard.push(value));
    stop();
    stream.change(11, created('app/a', 1, 11), created('app/end', 1, 11));
    await changes.through('app/end');
    expect(heard).toEqual([]);
  });

  test('of the status hear each state once, not every revision', async () => {
    const server = await startServer();
    const { client } = createClient(server.url);
    const states: ClientStatus['state'][] = [];
    client.onStatus(({ state }) => states.push(state));
    const started = client.start();
    const stream = (await server.stream()).state(10);
    await started;
    const changes = recordChanges(client);
    stream
      .change(11, created('app/a', 1, 11))
      .frame('status', { state: 'stale', since: '2026-01-01T00:00:00Z' })
      .change(12, created('app/b', 1, 12));
    stream.frame('status', { state: 'live', since: '2026-01-01T00:01:00Z' }).change(13, created('app/end', 1, 13));
    await changes.through('app/end');
    await client.close();
    expect(states).toEqual(['connecting', 'live', 'stale', 'live', 'closed']);
  });

  test('a loop over changes ends with its signal, and others go on', async () => {
    const { client, stream, changes } = await live([]);
    const controller = new AbortController();
    const loop = (async () => {
      let count = 0;
      for await (const _change of client.changes({ signal: controller.signal })) count++;
      return count;
    })();
    stream.change(11, created('app/a', 1, 11)).change(12, created('app/end', 1, 12));
    await changes.through('app/end');
    controller.abort();
    expect(await loop).toBe(2);
    stream.change(13, created('app/end', 2, 13));
    await changes.through('app/end');
  });
});

describe('keys and prefixes', () => {
  test('outside of what is watched are refused', async () => {
    const { client } = createClient('http://127.0.0.1:1', { prefix: ['app/', 'lib/'] });
    const message = /'app\/', 'lib\/'/;
    expect(() => client.get('other')).toThrow(message);
    expect(() => client.watch('other', () => undefined)).toThrow(message);
    expect(() => client.changes({ prefix: 'ap' })).toThrow(message);
    expect(await rejection(client.set('other', 1))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await rejection(client.update('other', () => 1))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await rejection(client.delete('other'))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
