import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpService } from '../support/http-service.ts';
import type { StreamBlock } from '../support/http-stream.ts';

const CURSOR = /^[0-9a-f]{16}-\d+$/;

describe('a stream', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it('is an event stream that no proxy holds back or alters', async () => {
    const { status, headers } = await service.stream();
    expect(status).toBe(200);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    });
    expect(headers.get('content-encoding')).toBeUndefined();
  });

  it('says first what is watched, then when to come back, then snapshot, synced, changes', async () => {
    await service.outside({ 'order/a': '1', 'order/b': '2' });
    const stream = await service.stream('?prefix=order/&key=order-x&snapshot');
    const blocks: StreamBlock[] = [];
    for (let count = 0; count < 4; count++) blocks.push((await stream.next())!);
    await service.set('order/a', 3);
    blocks.push((await stream.next())!);
    expect(blocks[0]?.comment).toContain('prefix order/, key order-x');
    expect(blocks[1]?.retry).toBeGreaterThanOrEqual(1_000);
    expect(blocks[1]?.retry).toBeLessThanOrEqual(3_000);
    expect(blocks.slice(2).map(({ event, id }) => [event, id !== undefined])).toEqual([
      ['snapshot', false],
      ['synced', true],
      ['change', true],
    ]);
    const [snapshot, synced, change] = blocks.slice(2);
    expect(snapshot?.data).toEqual({
      revision: synced?.data.revision,
      items: [expect.objectContaining({ key: 'order/a', value: 1 }), await service.item('order/b')],
    });
    expect(synced).toMatchObject({ id: expect.stringMatching(CURSOR), data: { revision: expect.any(Number), count: 2 } });
    expect(synced?.id).toMatch(new RegExp(`-${synced?.data.revision}$`));
    expect(change?.id).toMatch(new RegExp(`-${change?.data.revision}$`));
    expect(change?.data).toEqual({
      revision: change?.data.revision,
      changes: [
        {
          type: 'updated',
          key: 'order/a',
          oldValue: 1,
          newValue: 3,
          version: change?.data.revision,
          timestamp: expect.any(String),
          metadata: {},
          contentType: 'application/json',
        },
      ],
    });
  });

  it('an item in a snapshot is what a GET answers, a change what a long-poll answers', async () => {
    await service.put('same', { value: 1.1, metadata: { a: 'b' } });
    const stream = await service.stream('?key=same&snapshot');
    const [snapshot] = await stream.until('synced');
    expect(snapshot?.data.items).toEqual([await service.item('same')]);
    const cursor = await service.cursor();
    await service.put('same', { value: 2 });
    const { changes } = (await service.get(`/api/v1/configs?watch&key=same&since=${cursor}`)).json();
    expect((await stream.event()).data.changes).toEqual(changes);
  });

  it('is synced at once without a snapshot, before anything live', async () => {
    const stream = await service.stream('?prefix=live/');
    const synced = await stream.event();
    expect(synced).toMatchObject({ event: 'synced', id: await service.cursor(), data: { count: 0 } });
    await service.set('live/a', 1);
    expect((await stream.event()).event).toBe('change');
  });

  it('of nothing has a snapshot without parts and is synced', async () => {
    const stream = await service.stream('?prefix=nothing/&snapshot');
    expect((await stream.until('synced')).map(({ event }) => event)).toEqual(['synced']);
  });

  it('tells all changes of one revision in one frame, and those only that it wants', async () => {
    const [all, some, one] = [
      await service.stream('?prefix=tx/'),
      await service.stream('?prefix=tx/b&key=tx/c'),
      await service.stream('?key=tx/none'),
    ];
    for (const stream of [all, some, one]) await stream.until('synced');
    const revision = await service.outside({ 'tx/a': '1', 'tx/b1': '2', 'tx/b2': '3', 'tx/c': '4', 'elsewhere/d': '5' });
    const next = await service.outside({ 'tx/a': null, 'tx/b1': '2', 'tx/none': '6' });
    expect((await all.event()).data).toMatchObject({
      revision,
      changes: [{ key: 'tx/a' }, { key: 'tx/b1' }, { key: 'tx/b2' }, { key: 'tx/c' }],
    });
    expect((await all.event()).data).toMatchObject({
      revision: next,
      changes: [{ key: 'tx/a', type: 'deleted' }, { key: 'tx/b1', type: 'updated' }, { key: 'tx/none' }],
    });
    expect((await some.event()).data).toMatchObject({ revision, changes: [{ key: 'tx/b1' }, { key: 'tx/b2' }, { key: 'tx/c' }] });
    expect((await one.event()).data).toMatchObject({ revision: next, changes: [{ key: 'tx/none' }] });
  });

  it('tells a change that several of its filters match once', async () => {
    const stream = await service.stream('?prefix=&prefix=twice&prefix=twice/&key=twice/a');
    await stream.until('synced');
    await service.outside({ 'twice/a': '1' });
    expect((await stream.event()).data.changes).toHaveLength(1);
  });

  it('takes a key exactly and a prefix by its beginning', async () => {
    const stream = await service.stream('?key=app/pay&prefix=app/pool');
    await stream.until('synced');
    await service.outside({ 'app/payroll': '1', 'app/pay/x': '1', 'app/pay': '1', 'app/pool-size': '1', 'app/pool/x': '1' });
    expect((await stream.event()).data.changes.map(({ key }: { key: string }) => key).toSorted()).toEqual([
      'app/pay',
      'app/pool-size',
      'app/pool/x',
    ]);
  });

  it('without a filter tells everything, and never Attune’s own records', async () => {
    const stream = await service.stream('?snapshot');
    const parts = await stream.until('synced');
    await service.put('own', { value: 1, metadata: { a: 'b' } });
    await service.delete('own');
    const { items } = (await service.get('/api/v1/configs')).json();
    const keys = parts.flatMap(({ data }) => data.items ?? []).map(({ key }: { key: string }) => key);
    expect(keys).toEqual(items.map(({ key }: { key: string }) => key));
    expect(keys.some((key) => key.includes('.attune'))).toBe(false);
    const changes = [await stream.event(), await stream.event()].flatMap(({ data }) => data.changes);
    expect(changes.map(({ type, key }: { type: string; key: string }) => [type, key])).toEqual([
      ['created', 'own'],
      ['deleted', 'own'],
    ]);
  });

  it('tells every change, once, in order, also those of one key in a row', async () => {
    const stream = await service.stream('?prefix=row/');
    await stream.until('synced');
    const versions: number[] = [];
    for (let index = 0; index < 100; index++) versions.push(await service.set(`row/${index % 3}`, index));
    const seen: number[] = [];
    while (seen.length < versions.length)
      seen.push(...(await stream.event()).data.changes.map(({ version }: { version: number }) => version));
    expect(seen).toEqual(versions);
  });

  it('tells many streams the same bytes', async () => {
    const streams = await Promise.all(Array.from({ length: 20 }, () => service.stream('?prefix=shared/')));
    for (const stream of streams) await stream.until('synced');
    await service.outside({ 'shared/a': '{"x":1}', 'shared/b': '2' });
    const frames = await Promise.all(streams.map(async (stream) => (await stream.event()).raw));
    expect(new Set(frames).size).toBe(1);
  });

  it('cannot be made to carry a field by a key, a value or metadata', async () => {
    const nasty = 'x\nid: 1\nevent: reset\ndata: {}\r\n\r\n: \0\u2028';
    const stream = await service.stream(`?prefix=${encodeURIComponent('inject/\u2028event: reset')}&prefix=inject/`);
    expect((await stream.next())?.raw.split('\n')).toHaveLength(1);
    await stream.until('synced');
    const key = encodeURIComponent('inject/\u2028id: 1');
    await service.put(key, { value: nasty, metadata: { [nasty]: nasty } });
    const { raw, data, id } = await stream.event();
    expect(raw.split('\n')).toHaveLength(3);
    expect(id).toMatch(CURSOR);
    expect(data.changes[0]).toMatchObject({ newValue: nasty, metadata: { [nasty]: nasty } });
  });

  it('is counted while it is open, and forgotten when its reader leaves', async () => {
    const before = (await service.get('/api/v1/status')).json().streams;
    const stream = await service.stream();
    await stream.until('synced');
    expect((await service.get('/api/v1/status')).json().streams).toBe(before + 1);
    stream.close();
    const until = performance.now() + 5_000;
    while (service.server.streams.size > before && performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
    expect(service.server.streams.size).toBe(before);
  });
});

describe('a snapshot', () => {
  it('comes in parts of at most 256 items, all of one revision, and as many as synced says', async () => {
    await using service = await HttpService.start();
    for (let at = 0; at < 700; at += 100)
      await service.outside(
        Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`n/${String(at + index).padStart(4, '0')}`, '1'])),
      );
    const stream = await service.stream('?prefix=n/&snapshot');
    const events = await stream.until('synced');
    const parts = events.slice(0, -1);
    expect(parts.map(({ data }) => data.items.length)).toEqual([256, 256, 188]);
    expect(new Set(events.map(({ data }) => data.revision)).size).toBe(1);
    expect(events.at(-1)?.data.count).toBe(700);
    const keys = parts.flatMap(({ data }) => data.items.map(({ key }: { key: string }) => key));
    expect(keys).toEqual(Array.from({ length: 700 }, (_, index) => `n/${String(index).padStart(4, '0')}`));
  });

  it('comes in parts of at most 256 KiB, unless one item alone is larger', async () => {
    await using service = await HttpService.start();
    const sizes = [200, 100, 100, 500, 1, 250, 10].map((kib) => kib * 1024);
    for (const [index, size] of sizes.entries()) await service.outside({ [`n/${index}`]: 'x'.repeat(size) });
    const stream = await service.stream('?prefix=n/&snapshot');
    const parts = (await stream.until('synced')).slice(0, -1);
    expect(parts.flatMap(({ data }) => data.items.map(({ value }: { value: string }) => value.length))).toEqual(sizes);
    for (const { data } of parts) if (data.items.length > 1) expect(JSON.stringify(data.items).length).toBeLessThanOrEqual(256 * 1024);
  });

  it('of overlapping filters has each item once', async () => {
    await using service = await HttpService.start();
    await service.outside({ a: '1', 'a/b': '1', 'a/b/c': '1', b: '1' });
    const stream = await service.stream('?prefix=a/&prefix=a&prefix=a/b&key=a/b/c&key=b&key=missing&snapshot');
    const events = await stream.until('synced');
    expect(
      events
        .slice(0, -1)
        .flatMap(({ data }) => data.items.map(({ key }: { key: string }) => key))
        .toSorted(),
    ).toEqual(['a', 'a/b', 'a/b/c', 'b']);
    expect(events.at(-1)?.data.count).toBe(4);
  });

  it('and what follows is the whole truth, however fast keys change meanwhile', async () => {
    await using service = await HttpService.start();
    for (let at = 0; at < 1_000; at += 100)
      await service.outside(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k/${at + index}`, '0'])));
    let isOver = false;
    const writes = (async () => {
      for (let index = 0; index < 300; index++)
        await service.outside({
          [`k/${(index * 7) % 1_100}`]: index % 5 === 0 ? null : String(index),
          [`k/${(index * 13) % 1_100}`]: `${index}`,
        });
      await service.outside({ 'k/end': '1' });
      isOver = true;
    })();
    const copies = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const stream = await service.stream('?prefix=k/&snapshot');
        const copy = new Map<string, unknown>();
        let position = 0;
        let isSynced = false;
        for (;;) {
          const { event, data } = await stream.event();
          expect(data.revision).toBeGreaterThanOrEqual(position);
          position = data.revision;
          if (event === 'synced') isSynced = true;
          for (const { key, value } of data.items ?? []) copy.set(key, value);
          for (const { type, key, newValue } of data.changes ?? []) {
            expect(isSynced).toBe(true);
            if (type === 'deleted') copy.delete(key);
            else copy.set(key, newValue);
          }
          if (copy.has('k/end') && isSynced) return copy;
        }
      }),
    );
    await writes;
    expect(isOver).toBe(true);
    const truth = (await service.get('/api/v1/configs?prefix=k/&limit=10000&raw')).json();
    for (const copy of copies) expect(Object.fromEntries(copy)).toEqual(truth);
  });
});
