import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ConfigClient } from '../../src/client/index.ts';
import { DEFAULT_ADMISSION } from '../../src/server/http/admission.ts';
import { eventually } from '../support/eventually.ts';
import { held, HttpService } from '../support/http-service.ts';
import type { HttpStream } from '../support/http-stream.ts';

const metric = async (service: HttpService, line: string): Promise<number> => {
  const { text } = await service.get('/metrics');
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(line))
      ?.slice(line.length) ?? 0,
  );
};

describe('a stream above a limit', () => {
  test.each([
    ['of the node', { maxStreams: 2 }, 'node'],
    ['of its client', { maxHeldPerClient: 2 }, 'client'],
  ])('%s is told to come back later, inside a 200, and is counted', async (_name, admission, reason) => {
    await using service = await HttpService.start({ admission });
    const [first, second] = [await service.stream(), await service.stream()];
    await first.until('synced');
    await second.until('synced');
    const third = await service.stream('?prefix=a/');
    expect(third.status).toBe(200);
    const blocks = await third.rest();
    const [comment, { retry } = {}, { event, data } = {}] = blocks;
    expect([blocks.length, comment?.comment, event]).toEqual([3, 'attune: watching prefix a/', 'goaway']);
    expect(retry).toBeGreaterThanOrEqual(2_000);
    expect(retry).toBeLessThanOrEqual(20_000);
    expect(data.retryMs).toBe(retry);
    expect(await metric(service, `attune_refused_total{kind="stream",reason="${reason}"}`)).toBe(1);
    // Who was refused has no place, and who leaves gives one back.
    first.close();
    await eventually(() => expect(service.server.streams.size).toBe(1));
    await (await service.stream()).until('synced');
  });

  test('is told so before anything is read of its position', async () => {
    await using service = await HttpService.start({ admission: { maxStreams: 1 } });
    await (await service.stream()).until('synced');
    const blocks = await (await service.stream('?since=0000000000000000-999999')).rest();
    expect(blocks.map(({ event }) => event)).toEqual([undefined, undefined, 'goaway']);
  });

  test('that is not valid is refused for that', async () => {
    await using service = await HttpService.start({ admission: { maxStreams: 1 } });
    await (await service.stream()).until('synced');
    expect((await service.stream('?prefx=a')).status).toBe(400);
  });

  test('finds another server, with the SDK', async () => {
    await using full = await HttpService.start({ admission: { maxStreams: 1 } });
    await using free = await HttpService.start();
    await free.set('a', 'there');
    await (await full.stream()).until('synced');
    const backoff = { baseMs: 1, maxMs: 5, factor: 2 };
    // What the server asks for is waited for: two seconds and more of a clock that runs ahead.
    const clock = { now: () => Date.now(), after: (ms: number, call: () => void) => toCancel(setTimeout(call, ms / 100)) };
    await using config = new ConfigClient({ url: [full.url, free.url], prefix: '', backoff, clock, onError: () => undefined });
    await config.start({ timeoutMs: 500_000 });
    expect(config.get('a')).toBe('there');
  });
});

const toCancel = (timer: NodeJS.Timeout) => (): void => clearTimeout(timer);

describe('requests in one piece on one connection', () => {
  const COUNT = 50;

  test.each([
    ['streams', '/api/v1/watch', 'streams'],
    ['polls', '/api/v1/configs?watch&wait=120s', 'polls'],
  ] as const)('%s take the place of one, for the others wait for their turn, and give it back when it ends', async (_name, path, kind) => {
    await using service = await HttpService.start({ admission: { maxStreams: COUNT, maxPolls: COUNT } });
    const socket = connect(service.port, '127.0.0.1');
    socket.on('error', () => undefined).write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(COUNT));
    await eventually(() => expect(service.server[kind].size).toBe(1));
    await service.set('b', 1);
    expect(service.server[kind].size).toBe(1);
    socket.destroy();
    await eventually(() => expect(service.server[kind].size).toBe(0));
    await (await service.stream()).until('synced');
    const poll = service.get('/api/v1/configs?watch');
    await held(service, 1);
    await service.set('a', 1);
    expect((await poll).status).toBe(200);
    expect(await metric(service, 'attune_refused_total')).toBe(0);
  });
});

describe('a long-poll above a limit', () => {
  test.each([
    ['of the node', { maxPolls: 2 }, 'node', 503, 'UNAVAILABLE'],
    ['of its client', { maxHeldPerClient: 2 }, 'client', 429, 'RATE_LIMITED'],
  ])('%s is refused with the time to come back, and is counted', async (_name, admission, reason, status, code) => {
    await using service = await HttpService.start({ admission });
    await service.set('a', 1);
    const polls = [service.get('/api/v1/configs?watch'), service.get('/api/v1/configs/a?watch')];
    await held(service, 2);
    for (const path of ['/api/v1/configs?watch', '/api/v1/configs/a?watch']) {
      const answer = await service.get(path);
      expect([answer.status, answer.json().code]).toEqual([status, code]);
      const seconds = Number(answer.header('retry-after'));
      expect(seconds).toBeGreaterThanOrEqual(2);
      expect(seconds).toBeLessThanOrEqual(20);
      expect(answer.json()).toMatchObject({ retryAfter: seconds, detail: expect.stringContaining(`come back after ${seconds} s`) });
    }
    expect(await metric(service, `attune_refused_total{kind="poll",reason="${reason}"}`)).toBe(2);
    await service.set('a', 2);
    expect((await Promise.all(polls)).map((answer) => answer.status)).toEqual([200, 200]);
    const again = service.get('/api/v1/configs?watch');
    await held(service, 1);
    await service.set('a', 3);
    expect((await again).status).toBe(200);
  });

  test('is answered if its answer is there', async () => {
    await using service = await HttpService.start({ admission: { maxPolls: 1 } });
    const cursor = await service.cursor();
    const poll = service.get('/api/v1/configs?watch&prefix=never/');
    await held(service, 1);
    await service.set('a', 1);
    expect((await service.get(`/api/v1/configs?watch&since=${cursor}`)).json().changes).toHaveLength(1);
    expect((await service.get('/api/v1/configs?watch&wait=0s')).status).toBe(200);
    expect((await service.get('/api/v1/configs/a?watch&version=0')).status).toBe(200);
    expect((await service.get('/api/v1/configs/a', { 'If-None-Match': '"x"', Prefer: 'wait=30' })).status).toBe(200);
    await service.set('never/a', 1);
    await poll;
  });
});

describe('snapshots', () => {
  // More than fits into the socket's buffers and what may be unsent together.
  const LARGE = 'x'.repeat(400_000);
  const KEYS = 40;

  /** A stream that stopped to read in the middle of its snapshot, which keeps its place. */
  const stallInSnapshot = async (service: HttpService): Promise<HttpStream> => {
    for (let index = 0; index < KEYS; index++) await service.set(`large/${index}`, LARGE);
    const stream = await service.stream('?snapshot');
    await stream.event();
    stream.pause();
    return stream;
  };

  test('above the limit wait for their turn, are kept alive and are whole', async () => {
    let now = 0;
    await using service = await HttpService.start({ admission: { maxSnapshots: 1 }, placeMs: 600_000, service: { now: () => now } });
    const stalled = await stallInSnapshot(service);
    const waiting = await service.stream('?snapshot');
    await waiting.next();
    await waiting.next();
    await eventually(async () => expect(await metric(service, 'attune_snapshots_waiting')).toBe(1));
    now += 16_000;
    expect((await waiting.next())?.comment).toBe('ping');
    const other = await service.stream('?prefix=large/');
    expect((await other.event()).event).toBe('synced');
    // A change while it waits is in the snapshot, not told beside it.
    await service.set('large/0', 'changed');
    stalled.close();
    const events = await waiting.until('synced');
    const items = events.flatMap(({ event, data }) => (event === 'snapshot' ? data.items : []));
    expect(items).toHaveLength(KEYS);
    expect(items.find(({ key }: { key: string }) => key === 'large/0').value).toBe('changed');
    expect(events.at(-1)?.data.count).toBe(KEYS);
    await service.set('large/1', 'after');
    expect((await waiting.event()).data.changes[0].newValue).toBe('after');
    expect(await metric(service, 'attune_snapshots_waiting')).toBe(0);
  });

  test('give their place on when the reader is slow', async () => {
    await using service = await HttpService.start({ admission: { maxSnapshots: 1 }, placeMs: 300 });
    const stalled = await stallInSnapshot(service);
    const waiting = await service.stream('?snapshot');
    await waiting.until('synced');
    stalled.resume();
    expect((await stalled.until('synced')).at(-1)?.data.count).toBe(KEYS);
  });

  test('of streams that vanish while they wait are forgotten', async () => {
    await using service = await HttpService.start({ admission: { maxSnapshots: 1 }, placeMs: 600_000 });
    const stalled = await stallInSnapshot(service);
    const waiting = await service.stream('?snapshot');
    await waiting.next();
    waiting.close();
    await eventually(() => expect(service.server.streams.size).toBe(1));
    stalled.close();
    await eventually(() => expect(service.server.streams.size).toBe(0));
    await (await service.stream('?snapshot')).until('synced');
  });
});

test('the status tells the limits', async () => {
  await using service = await HttpService.start();
  expect((await service.get('/api/v1/status')).json().limits).toMatchObject(DEFAULT_ADMISSION);
});
