import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import { HttpService } from '../support/http-service.ts';
import type { HttpStream } from '../support/http-stream.ts';

/** Batches are forgotten as soon as they are older than a moment, save the last two. */
const SMALL_WINDOW = { minAgeMs: 0, minBatches: 2, maxBytes: 1_000_000 };

const END = 'zz/end';

/** All changes up to the end marker, revision by revision. */
async function untilEnd(stream: HttpStream): Promise<readonly { readonly id: string | undefined; readonly versions: readonly string[] }[]> {
  const frames = [];
  for (;;) {
    const { event, id, data } = await stream.event();
    expect(['synced', 'change']).toContain(event);
    if (event !== 'change') continue;
    const versions = data.changes.map(({ key, version }: { key: string; version: number }) => `${key}@${version}`);
    frames.push({ id, versions });
    if (versions.some((version: string) => version.startsWith(END))) return frames;
  }
}

describe('a stream resumed from any of its ids', () => {
  let service: HttpService;
  let history: Awaited<ReturnType<typeof untilEnd>> = [];
  let first = '';

  beforeAll(async () => {
    service = await HttpService.start();
    const stream = await service.stream('?prefix=r/&key=zz/end');
    first = (await stream.event()).id ?? '';
    for (let index = 0; index < 12; index++) {
      await service.outside({
        [`r/${index % 4}`]: String(index),
        [`r/${(index + 1) % 4}`]: index % 3 ? String(index) : null,
        [`other/${index}`]: '1',
      });
      await service.set('unwanted', index);
    }
    await service.set(END, 1);
    history = await untilEnd(stream);
    stream.close();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it('continues without gap or repeat, revisions never split', async () => {
    expect(history.length).toBe(13);
    for (const [index, id] of [first, ...history.map((frame) => frame.id)].entries()) {
      if (index === history.length) break;
      for (const headers of [{ 'Last-Event-ID': id ?? '' }, {}]) {
        const query = `?prefix=r/&key=zz/end${'Last-Event-ID' in headers ? '' : `&since=${id}`}`;
        const resumed = await service.stream(query, headers);
        expect(await untilEnd(resumed)).toEqual(history.slice(index));
        resumed.close();
      }
    }
  });

  it('is synced after the replay and before anything live', async () => {
    const resumed = await service.stream(`?prefix=r/&key=zz/end&since=${first}`);
    const events = await resumed.until('synced');
    expect(events.map(({ event }) => event)).toEqual([...history.map(() => 'change'), 'synced']);
    expect(events.at(-1)).toMatchObject({ id: await service.cursor(), data: { count: 0 } });
  });

  it('has no snapshot, whatever the URL says: browsers repeat the URL', async () => {
    for (const [query, headers] of [
      [`?prefix=r/&snapshot&since=${first}`, {}],
      ['?prefix=r/&snapshot', { 'Last-Event-ID': first }],
    ] as const) {
      const events = await (await service.stream(query, headers)).until('synced');
      expect(events.map(({ event }) => event)).not.toContain('snapshot');
      expect(events.length).toBeGreaterThan(5);
    }
  });

  it('goes by Last-Event-ID, not by the older since of its URL', async () => {
    const newest = await service.cursor();
    const events = await (await service.stream(`?prefix=r/&since=${first}`, { 'Last-Event-ID': newest })).until('synced');
    expect(events.map(({ event }) => event)).toEqual(['synced']);
  });

  it('goes by since where Last-Event-ID is empty: nothing was heard yet', async () => {
    const events = await (await service.stream(`?prefix=r/&since=${first}`, { 'Last-Event-ID': '' })).until('synced');
    expect(events.length).toBeGreaterThan(5);
  });

  it('may change its filter: the position is of the store, not of the filter', async () => {
    const resumed = await service.stream(`?prefix=other/&key=zz/end&since=${first}`);
    expect(await untilEnd(resumed)).toHaveLength(13);
  });

  it('sees what a long-poll sees from the same cursor', async () => {
    const { changes } = (await service.get(`/api/v1/configs?watch&prefix=r/&key=zz/end&since=${first}`)).json();
    expect(changes.map(({ key, version }: { key: string; version: number }) => `${key}@${version}`)).toEqual(
      history.flatMap(({ versions }) => versions),
    );
  });

  it('continues on another node', async () => {
    await using other = await HttpService.start({ provider: new FaultyProvider(service.store), store: service.store });
    const resumed = await other.stream('?prefix=r/&key=zz/end', { 'Last-Event-ID': first });
    expect(await untilEnd(resumed)).toEqual(history);
  });
});

describe('a stream cut at a bad moment', () => {
  it('before its first change resumes with the id of synced and misses nothing', async () => {
    await using service = await HttpService.start();
    const stream = await service.stream('?prefix=r/');
    const { id } = await stream.event();
    stream.close();
    const version = await service.set('r/missed', 1);
    const resumed = await service.stream('?prefix=r/', { 'Last-Event-ID': id ?? '' });
    expect((await resumed.event()).data.changes[0].version).toBe(version);
  });

  it('in the middle of its snapshot knows no id, so that it begins anew', async () => {
    await using service = await HttpService.start();
    for (let at = 0; at < 600; at += 100)
      await service.outside(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`n/${at + index}`, '1'])));
    const stream = await service.stream('?prefix=n/&snapshot');
    const part = await stream.event();
    expect([part.event, part.id]).toEqual(['snapshot', undefined]);
    stream.close();
    await service.outside({ 'n/0': null, 'n/1': '2', 'n/new': '1' });
    const again = await service.stream('?prefix=n/&snapshot', { 'Last-Event-ID': '' });
    const events = await again.until('synced');
    expect(events.at(-1)?.data.count).toBe(600);
    expect(events.flatMap(({ data }) => data.items ?? []).map(({ key }: { key: string }) => key)).not.toContain('n/0');
  });
});

describe('a position of no use', () => {
  it.each([
    ['compacted', (cursor: string) => cursor],
    ['epoch', (cursor: string) => cursor.replace(/^[^-]+/, 'ffff')],
    ['ahead', (cursor: string) => cursor.replace(/\d+$/, '999999')],
  ])('is told as reset "%s", then snapshot and synced on the same stream, then what is live', async (reason, spoil) => {
    await using service = await HttpService.start({ service: { window: SMALL_WINDOW } });
    const old = await service.cursor();
    await service.set('r/a', 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let index = 1; index < 6; index++) await service.set('r/a', index);
    const position = spoil(reason === 'compacted' ? old : await service.cursor());
    for (const [query, headers] of [
      [`?prefix=r/&since=${position}`, {}],
      [`?prefix=r/&since=${await service.cursor()}`, { 'Last-Event-ID': position }],
    ] as const) {
      const stream = await service.stream(query, headers);
      const events = await stream.until('synced');
      expect(events.map(({ event, id }) => [event, id !== undefined])).toEqual([
        ['reset', false],
        ['snapshot', false],
        ['synced', true],
      ]);
      expect(events[0]?.data).toEqual({ reason });
      expect(events[1]?.data.items).toEqual([await service.item('r/a')]);
      await service.set('r/a', Math.random());
      expect((await stream.event()).event).toBe('change');
    }
    expect((await service.get('/metrics')).text).toContain(`attune_resets_total{reason="${reason}"} 2`);
  });

  it.each(['17', 'not a cursor', 'a-b-c', '\u00e9-1'])(
    'a Last-Event-ID that is no cursor is a reset too, since a browser cannot be told otherwise: %j',
    async (id) => {
      await using service = await HttpService.start();
      const stream = await service.stream('', { 'Last-Event-ID': id });
      expect((await stream.until('synced')).map(({ event, data }) => data.reason ?? event)).toEqual(['epoch', 'synced']);
    },
  );

  it('while the stream is open, because the history was replaced, is told on it', async () => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    const stream = await service.stream('?prefix=k');
    const before = (await stream.until('synced')).at(-1)?.id;
    await service.store.commit({ checks: [], operations: [{ type: 'delete', key: 'app/config/.attune/system/epoch' }] });
    const events = await stream.until('synced');
    expect(events.map(({ event, data }) => data.reason ?? event)).toEqual(['epoch', 'snapshot', 'synced']);
    expect(events.at(-1)?.id?.split('-')[0]).not.toBe(before?.split('-')[0]);
    const again = await service.stream('?prefix=k', { 'Last-Event-ID': before ?? '' });
    expect((await again.event()).data).toEqual({ reason: 'epoch' });
  });
});

describe('a position ahead of this node', () => {
  async function nodes() {
    const store = new MemoryProvider();
    const ahead = await HttpService.start({ store });
    const link = new FaultyProvider(store);
    const behind = await HttpService.start({ provider: link, store });
    await ahead.set('k', 'old');
    await behind.server.service.reached(ahead.server.service.revision);
    link.hold();
    await ahead.set('k', 'new');
    const dispose = async (): Promise<void> => {
      await behind[Symbol.asyncDispose]();
      await ahead[Symbol.asyncDispose]();
    };
    return { ahead, behind, link, cursor: await ahead.cursor(), [Symbol.asyncDispose]: dispose };
  }

  it('is waited for where the store has it: never an older state unannounced', async () => {
    await using both = await nodes();
    const { ahead, behind, link, cursor } = both;
    const stream = await behind.stream(`?prefix=k&snapshot&since=${cursor}`);
    expect((await stream.next())?.comment).toContain('watching');
    expect((await stream.next())?.retry).toBeGreaterThan(0);
    link.release();
    expect(await stream.event()).toMatchObject({ event: 'synced', id: cursor });
    const version = await ahead.set('k', 'newer');
    expect((await stream.event()).data.changes).toMatchObject([{ version, oldValue: 'new' }]);
  });

  it('and not reached in 3 s: the stream is sent away, not told older things', async () => {
    await using both = await nodes();
    const { behind, link, cursor } = both;
    const stream = await behind.stream('?prefix=k&snapshot', { 'Last-Event-ID': cursor });
    const blocks = await stream.rest();
    expect(blocks.map(({ event }) => event)).toEqual([undefined, undefined, 'goaway']);
    expect(blocks.at(-1)?.id).toBeUndefined();
    expect(blocks.at(-1)?.data.retryMs).toBeGreaterThan(0);
    link.release();
  });

  it('and the store cannot be asked: the stream is sent away', async () => {
    await using both = await nodes();
    const { behind, link, cursor } = both;
    link.down();
    const blocks = await (await behind.stream(`?since=${cursor}`)).rest();
    expect(blocks.at(-1)).toMatchObject({ event: 'goaway' });
    link.up();
  });
});
