import { describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import type { ConfigProvider } from '../../src/core/provider.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import { HttpService } from '../support/http-service.ts';

const FAST = { backoff: { baseMs: 1, maxMs: 8, factor: 2 }, progressEveryMs: 20, silenceMs: 2_000 };

/** A clock that can be put forward. */
function clock(): { readonly now: () => number; advance(ms: number): void } {
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    advance: (ms) => {
      ahead += ms;
    },
  };
}

describe('a quiet stream', () => {
  it('gets a bookmark after 15 s if the revision moved, else a ping', async () => {
    const time = clock();
    await using service = await HttpService.start({ service: { now: time.now } });
    const stream = await service.stream('?key=quiet');
    await stream.until('synced');
    time.advance(15_000);
    expect(await stream.next()).toEqual({ raw: ': ping', comment: 'ping' });
    const revision = await service.set('loud', 1);
    time.advance(15_000);
    const bookmark = await stream.next();
    expect(bookmark).toMatchObject({ event: 'bookmark', id: await service.cursor(), data: { revision } });
    expect(Object.keys(bookmark?.data)).toEqual(['revision']);
    time.advance(15_000);
    expect((await stream.next())?.comment).toBe('ping');
    // Also when the store moved outside of the namespace.
    const elsewhere = await service.elsewhere();
    await service.server.service.reached(elsewhere);
    time.advance(15_000);
    expect((await stream.next())?.data).toEqual({ revision: elsewhere });
  });

  it('is not disturbed before 15 s, nor by others’ changes', async () => {
    const time = clock();
    await using service = await HttpService.start({ service: { now: time.now } });
    const stream = await service.stream('?key=quiet');
    await stream.until('synced');
    for (let round = 0; round < 3; round++) {
      await service.set('loud', round);
      time.advance(round === 0 ? 13_000 : 0);
      // Beats come once a second.
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    await service.set('quiet', 1);
    expect((await stream.next())?.event).toBe('change');
  });

  it('a bookmark is a position: what follows it, and nothing before it, is told on resume', async () => {
    const time = clock();
    await using service = await HttpService.start({ service: { now: time.now } });
    const stream = await service.stream('?key=quiet');
    await stream.until('synced');
    await service.set('loud', 1);
    time.advance(15_000);
    const bookmark = await stream.next();
    stream.close();
    const version = await service.set('quiet', 1);
    const resumed = await service.stream('?key=quiet&key=loud', { 'Last-Event-ID': bookmark?.id ?? '' });
    expect((await resumed.until('synced')).flatMap(({ data }) => data.changes ?? [])).toMatchObject([{ key: 'quiet', version }]);
  });
});

describe('a stream that cannot be served', () => {
  it('while the node is loading is a 200 that says when to come back, and ends', async () => {
    const store = new MemoryProvider();
    const provider = new FaultyProvider(store);
    const opened: ConfigProvider = provider;
    await opened.open();
    provider.down();
    const service = await HttpService.start({
      provider: Object.assign(provider, { open: async () => undefined }),
      store,
      service: { feed: FAST },
    });
    try {
      for (const headers of [{}, { 'Last-Event-ID': 'ffff-1' }]) {
        const stream = await service.stream('?snapshot', headers);
        expect(stream.status).toBe(200);
        const blocks = await stream.rest();
        expect(blocks.map(({ comment, retry, event }) => [comment !== undefined, retry !== undefined, event])).toEqual([
          [true, false, undefined],
          [false, true, undefined],
          [false, false, 'goaway'],
        ]);
        expect(blocks[2]?.data.retryMs).toBeGreaterThanOrEqual(1_000);
        expect(Object.keys(blocks[2]?.data)).toEqual(['retryMs']);
      }
      // What is wrong with the request comes first all the same.
      expect((await service.get('/api/v1/watch?since=x')).status).toBe(400);
      for (const path of ['/api/v1/configs', '/api/v1/configs/k', '/api/v1/configs/k?watch', '/api/v1/configs?watch']) {
        const answer = await service.get(path);
        expect([path, answer.status, answer.json().code, answer.header('retry-after'), answer.header('attune-cursor')]).toEqual([
          path,
          503,
          'NOT_READY',
          '1',
          undefined,
        ]);
      }
      const write = await service.send({
        method: 'PUT',
        path: '/api/v1/configs/k',
        headers: { 'Content-Type': 'application/json' },
        body: '{"value":1}',
      });
      expect([write.status, write.json().code, write.header('retry-after')]).toEqual([503, 'NOT_READY', '1']);
      const ready = await service.get('/readyz');
      expect([ready.status, ready.json().checks[0].ok]).toEqual([503, false]);
      expect(ready.header('retry-after')).toBe('1');
      expect((await service.get('/healthz')).status).toBe(200);
      expect((await service.get('/api/v1/status')).json()).toMatchObject({ state: 'connecting', keys: 0 });
      provider.up();
      await service.server.service.reached(0 as never);
      expect((await (await service.stream('?snapshot')).until('synced')).map(({ event }) => event)).toEqual(['synced']);
      expect((await service.get('/readyz')).status).toBe(200);
    } finally {
      await service[Symbol.asyncDispose]();
    }
  });
});

describe('a store that goes away and comes back', () => {
  it('is told to every stream, and nothing is lost over it', async () => {
    const store = new MemoryProvider();
    const provider = new FaultyProvider(store);
    await using service = await HttpService.start({ provider, store, service: { feed: FAST } });
    await service.set('k', 'before');
    const stream = await service.stream('?prefix=k');
    await stream.until('synced');
    provider.down();
    const stale = await stream.event();
    expect([stale.event, stale.id, stale.data.state]).toEqual(['status', undefined, 'stale']);
    expect(Object.keys(stale.data)).toEqual(['state', 'since']);
    expect(new Date(stale.data.since).getTime()).toBeGreaterThan(Date.now() - 10_000);

    // Reads, lists and streams go on, marked; writes fail fast.
    for (const path of [
      '/api/v1/configs/k',
      '/api/v1/configs',
      '/api/v1/configs/k?raw',
      '/api/v1/configs?watch&wait=0s',
      '/api/v1/status',
      '/nowhere',
    ]) {
      expect((await service.get(path)).header('attune-stale')).toMatch(/^\d+$/);
    }
    expect((await service.item('k')).value).toBe('before');
    const started = performance.now();
    for (const method of ['PUT', 'DELETE']) {
      const write = await service.send({
        method,
        path: '/api/v1/configs/k',
        headers: { 'Content-Type': 'application/json' },
        ...(method === 'PUT' && { body: '{"value":1}' }),
      });
      expect([write.status, write.json().code, write.header('retry-after')]).toEqual([503, 'UNAVAILABLE', '1']);
      expect(write.text).not.toContain('ECONNREFUSED');
    }
    expect(performance.now() - started).toBeLessThan(1_000);
    const ready = await service.get('/readyz');
    expect(ready.status).toBe(200);
    expect(ready.json().checks.map(({ name, ok }: { name: string; ok: boolean }) => [name, ok])).toEqual([
      ['loaded', true],
      ['accepting', true],
      ['store', true],
    ]);
    expect((await service.get('/metrics')).text).toMatch(/^attune_live 0$/m);

    // A stream opened now is told first, then served from memory.
    const late = await service.stream('?prefix=k&snapshot');
    const events = await late.until('synced');
    expect(events.map(({ event, data }) => data.state ?? event)).toEqual(['stale', 'snapshot', 'synced']);

    const version = await store.commit({
      checks: [],
      operations: [{ type: 'put', key: 'app/config/k', value: Buffer.from('"meanwhile"') }],
    });
    provider.up();
    for (const one of [stream, late]) {
      const both = [await one.event(), await one.event()];
      expect(both.map(({ event, data }) => data.state ?? event).toSorted()).toEqual(['change', 'live']);
      expect(both.find(({ event }) => event === 'change')?.data.changes).toMatchObject([{ key: 'k', version, newValue: 'meanwhile' }]);
    }
    expect((await service.get('/api/v1/configs/k')).header('attune-stale')).toBeUndefined();
  });

  it('that forgot what happened meanwhile is listed again: the difference is told, marked as a gap, without a reset', async () => {
    const store = new MemoryProvider();
    const provider = new FaultyProvider(store);
    await using service = await HttpService.start({
      provider,
      store,
      service: { feed: FAST, window: { minAgeMs: 0, minBatches: 2, maxBytes: 1_000_000 } },
    });
    await service.outside({ 'g/kept': '1', 'g/gone': '1', 'g/changed': '1', 'g/again': '1' });
    const [live, quiet, one] = [
      await service.stream('?prefix=g/'),
      await service.stream('?key=g/made'),
      await service.stream('?key=unrelated'),
    ];
    for (const stream of [live, quiet, one]) await stream.until('synced');
    // The quiet streams' positions fall out of the window while nothing is there for them.
    for (let index = 0; index < 8; index++) {
      await service.set('loud', index);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const cursor = await service.cursor();
    provider.down();
    expect((await live.event()).data.state).toBe('stale');
    const commit = (key: string, value: string | null) =>
      store.commit({
        checks: [],
        operations: [
          value === null
            ? { type: 'delete', key: `app/config/${key}` }
            : { type: 'put', key: `app/config/${key}`, value: Buffer.from(value) },
        ],
      });
    await commit('g/changed', '2');
    const changed = await commit('g/changed', '3');
    const gone = await commit('g/gone', null);
    await commit('g/again', null);
    const again = await commit('g/again', '2');
    const made = await commit('g/made', '1');
    const newest = await commit('elsewhere', '1');
    provider.compact();
    provider.up();
    const seen = (await live.until('change')).filter(({ event }) => event !== 'status');
    expect(seen.map(({ event }) => event)).toEqual(['change']);
    const [frame] = seen;
    expect(frame?.data).toMatchObject({ revision: newest, gap: true });
    const told = new Map<string, number>(
      frame?.data.changes.map(({ type, key, version }: { type: string; key: string; version: number }) => [`${type} ${key}`, version]),
    );
    expect([...told.keys()].toSorted()).toEqual([
      'created g/again',
      'created g/made',
      'deleted g/again',
      'deleted g/gone',
      'updated g/changed',
    ]);
    expect([told.get('updated g/changed'), told.get('created g/again'), told.get('created g/made')]).toEqual([changed, again, made]);
    expect(told.get('deleted g/gone')).toBeGreaterThanOrEqual(gone);
    expect(told.get('deleted g/again')).toBeLessThan(again);
    // The stream that waited for one key only is told it and not reset, though its own position had left the window.
    const quietEvents = (await quiet.until('change')).filter(({ event }) => event !== 'status');
    expect(quietEvents).toMatchObject([{ event: 'change', data: { gap: true, changes: [{ key: 'g/made', version: made }] } }]);
    await service.set('unrelated', 1);
    expect((await one.until('change')).map(({ event }) => event).filter((event) => event !== 'status')).toEqual(['change']);
    // So is a long-poll from before.
    const poll = (await service.get(`/api/v1/configs?watch&prefix=g/&since=${cursor}`)).json();
    expect(poll.gap).toBe(true);
    expect(poll.changes).toEqual(frame?.data.changes);
  });
});

describe('a reader that stalls', () => {
  /** Larger than what kernels take on loopback without a reader. */
  const flood = async (service: HttpService, mib: number): Promise<void> => {
    for (let index = 0; index < mib * 2; index++) await service.outside({ [`f/${index % 4}`]: `${index}${'x'.repeat(500 * 1024)}` });
  };

  it('is reset "slow" when its position has left the window, then served from a snapshot', async () => {
    await using service = await HttpService.start({ service: { window: { minAgeMs: 0, minBatches: 1, maxBytes: 4 * 1024 * 1024 } } });
    const [slow, other] = [await service.stream('?prefix=f/'), await service.stream('?key=marker')];
    await Promise.all([slow.until('synced'), other.until('synced')]);
    slow.pause();
    await flood(service, 30);
    // The others are not held back.
    await service.set('marker', 1);
    expect((await other.event()).event).toBe('change');
    slow.resume();
    const events = await slow.until('synced');
    const reset = events.findIndex(({ event }) => event === 'reset');
    expect(events[reset]).toMatchObject({ data: { reason: 'slow' } });
    expect(events.slice(0, reset).every(({ event }) => event === 'change')).toBe(true);
    expect(
      events
        .slice(reset)
        .map(({ event }) => event)
        .filter((event) => event !== 'snapshot'),
    ).toEqual(['reset', 'synced']);
    const items = events.slice(reset).flatMap(({ data }) => data.items ?? []);
    expect(items.map(({ key }: { key: string }) => key)).toEqual(['f/0', 'f/1', 'f/2', 'f/3']);
    expect(items[3].version).toBe((await service.item('f/3')).version);
  }, 60_000);

  it('is sent away the second time', async () => {
    await using service = await HttpService.start({ service: { window: { minAgeMs: 0, minBatches: 1, maxBytes: 4 * 1024 * 1024 } } });
    const slow = await service.stream('?prefix=f/');
    await slow.until('synced');
    slow.pause();
    await flood(service, 30);
    slow.resume();
    expect((await slow.until('synced')).some(({ data }) => data.reason === 'slow')).toBe(true);
    slow.pause();
    await flood(service, 30);
    slow.resume();
    const blocks = await slow.rest();
    expect(blocks.at(-1)).toMatchObject({ event: 'goaway', data: { retryMs: expect.any(Number) } });
    expect(blocks.some(({ event }) => event === 'reset')).toBe(false);
    expect((await service.get('/metrics')).text).toContain('attune_resets_total{reason="slow"} 2');
  }, 60_000);

  it('and does not drain is closed', async () => {
    await using service = await HttpService.start({ stallMs: 300 });
    const slow = await service.stream('?prefix=f/');
    await slow.until('synced');
    slow.pause();
    await flood(service, 20);
    const until = performance.now() + 10_000;
    while (service.server.streams.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(service.server.streams.size).toBe(0);
  }, 60_000);
});
