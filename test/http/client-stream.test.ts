import { describe, expect, test } from 'vitest';
import { createApi, type StreamOptions } from '../../src/client/api.ts';
import type { StreamFrame } from '../../src/client/event-stream.ts';
import { freePort } from '../support/free-ports.ts';
import { FakeClock } from '../unit/client/fake-clock.ts';
import { ScriptedServer, type ScriptedStream } from './client/scripted-server.ts';

/** Opens a stream, lets `say` answer it, and gives the frames and how it ended. */
async function listen(
  say: (stream: ScriptedStream) => unknown,
  options: StreamOptions = {},
): Promise<{ readonly frames: readonly StreamFrame[]; readonly error: unknown }> {
  await using server = await ScriptedServer.start();
  const reading = collect(createApi({ url: server.url }).openStream(options));
  await say(await server.stream());
  return await reading;
}

async function collect(stream: AsyncIterable<StreamFrame>): Promise<{ readonly frames: readonly StreamFrame[]; readonly error: unknown }> {
  const frames: StreamFrame[] = [];
  try {
    for await (const frame of stream) frames.push(frame);
    return { frames, error: undefined };
  } catch (error) {
    return { frames, error };
  }
}

/** One write a turn, so that each leaves as a chunk of its own. */
async function drip(stream: ScriptedStream, bytes: Buffer, size: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    stream.write(bytes.subarray(at, at + size));
    await new Promise((resolve) => setImmediate(resolve));
  }
  stream.end();
}

describe('openStream', () => {
  test('asks for what is selected, from where it is told', async () => {
    await using server = await ScriptedServer.start();
    const api = createApi({ url: server.url, token: 't' });
    const reading = collect(api.openStream({ prefixes: ['a/', 'é'], keys: ['x'], since: 'e-1', lastEventId: 'e-2', snapshot: true }));
    (await server.stream()).end();
    await reading;
    expect(server.requests[0]).toMatchObject({
      target: '/api/v1/watch?prefix=a%2F&prefix=%C3%A9&key=x&since=e-1&snapshot',
      headers: { accept: 'text/event-stream', 'last-event-id': 'e-2', authorization: 'Bearer t' },
    });
  });

  const TEXT = 'event: change\nid: e-1\ndata: {"v":"zürich 🚲 \u2028"}\n\nid: e-2\ndata: x\ndata: y\n\n';
  const FRAMES = [
    { event: 'change', id: 'e-1', data: '{"v":"zürich 🚲 \u2028"}' },
    { event: 'message', id: 'e-2', data: 'x\ny' },
  ];

  test.each([1, 2, 3, 7])('puts together frames cut into chunks of %i bytes, within characters too', async (size) => {
    expect(await listen((stream) => drip(stream, Buffer.from(TEXT), size))).toEqual({ frames: FRAMES, error: undefined });
  });

  test.each([
    ['CRLF', '\r\n'],
    ['CR', '\r'],
  ])('reads lines that end in %s, whole and byte by byte', async (_name, end) => {
    // A last comment: a CR at the very end may be half a CRLF.
    const bytes = Buffer.from(`${TEXT.replaceAll('\n', end)}: end${end}`);
    expect(await listen((stream) => stream.write(bytes).end())).toEqual({ frames: FRAMES, error: undefined });
    expect(await listen((stream) => drip(stream, bytes, 1))).toEqual({ frames: FRAMES, error: undefined });
  });

  test('passes over comments, unknown fields and a byte order mark', async () => {
    expect((await listen((stream) => stream.write(`\ufeff: hello\n\ncolour: red\n: ping\ndata: 1\n\n`).end())).frames).toEqual([
      { event: 'message', id: undefined, data: '1' },
    ]);
  });

  test("tells the server's retry", async () => {
    const told: number[] = [];
    await listen((stream) => stream.write('retry: 1500\n\nretry: soon\n\n').end(), { onRetry: (retryMs) => told.push(retryMs) });
    expect(told).toEqual([1_500]);
  });

  test('a frame cut short is not among the frames', async () => {
    const { frames, error } = await listen((stream) => stream.write('data: 1\n\nid: e-9\ndata: {"half":').cut());
    expect(frames.map(({ data }) => data)).toEqual(['1']);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/^the stream from http:.* broke: /) as string });
  });

  test('an end in the middle of a frame discards it', async () => {
    expect(await listen((stream) => stream.write('data: 1\n\ndata: 2\n').end())).toMatchObject({
      frames: [{ data: '1' }],
      error: undefined,
    });
  });

  test('bytes that are not UTF-8 are a ProtocolError', async () => {
    const { error } = await listen((stream) => stream.write(Buffer.from([0x64, 0xff, 0x0a])).end());
    expect(error).toMatchObject({ code: 'PROTOCOL' });
  });

  test('a frame longer than the bound is a ProtocolError', async () => {
    const { error } = await listen((stream) => stream.write(`data: ${'x'.repeat(2_000)}`), { maxFrameChars: 1_000 });
    expect(error).toMatchObject({ code: 'PROTOCOL', message: expect.stringContaining('longer than 1000 characters') as string });
  });

  test('a refusal is told as the server says it', async () => {
    expect((await listen((stream) => stream.refuse(403, 'PERMISSION_DENIED', 'not for you'))).error).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: 'not for you',
    });
  });

  test('no server is UNAVAILABLE, naming it', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect((await collect(createApi({ url }).openStream())).error).toMatchObject({
      code: 'UNAVAILABLE',
      message: `cannot reach ${url}: connection refused`,
    });
  });

  test('elsewhere asks the next server', async () => {
    await using first = await ScriptedServer.start();
    await using second = await ScriptedServer.start();
    const api = createApi({ url: [first.url, second.url] });
    const script = [
      { elsewhere: false, asked: first },
      { elsewhere: true, asked: second },
      { elsewhere: false, asked: second },
      { elsewhere: true, asked: first },
    ];
    for (const { elsewhere, asked } of script) {
      const reading = collect(api.openStream({ elsewhere }));
      (await asked.stream()).end();
      await reading;
    }
  });

  test('ends quietly and gives the socket back on abort', async () => {
    await using server = await ScriptedServer.start();
    const controller = new AbortController();
    const reading = collect(createApi({ url: server.url }).openStream({ signal: controller.signal }));
    const stream = await server.stream();
    stream.write('data: 1\n\n');
    controller.abort();
    expect((await reading).error).toBeUndefined();
    await stream.closed;
  });

  test('gives the socket back on break', async () => {
    await using server = await ScriptedServer.start();
    const frames = createApi({ url: server.url }).openStream();
    const answering = server.stream().then((stream) => stream.write('data: 1\n\ndata: 2\n\n'));
    for await (const frame of frames) {
      expect(frame.data).toBe('1');
      break;
    }
    await (
      await answering
    ).closed;
  });

  test('is given up when the answer does not begin in time', async () => {
    await using server = await ScriptedServer.start();
    const clock = new FakeClock();
    const reading = collect(createApi({ url: server.url, clock }).openStream({ connectTimeoutMs: 5_000 }));
    const stream = await server.stream();
    clock.advance(5_000);
    expect((await reading).error).toMatchObject({ code: 'UNAVAILABLE', message: `cannot reach ${server.url}: no answer within 5000 ms` });
    await stream.closed;
  });

  test('is dead after the silence it is given, and alive as long as there are pings', async () => {
    await using server = await ScriptedServer.start();
    const clock = new FakeClock();
    const reading = collect(createApi({ url: server.url, clock }).openStream({ silenceMs: 45_000 }));
    const stream = await server.stream();
    let armed = clock.next(45_000);
    stream.open();
    stream.write(': watching\n\n');
    await armed;
    for (let pings = 0; pings < 3; pings++) {
      clock.advance(44_999);
      armed = clock.next(45_000);
      stream.write(': ping\n\n');
      await armed;
    }
    stream.write('data: still here\n\n');
    await clock.next(45_000);
    clock.advance(45_000);
    const { frames, error } = await reading;
    expect(frames.map(({ data }) => data)).toEqual(['still here']);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: `${server.url} was silent for 45000 ms, not even a ping came` });
    await stream.closed;
  });

  test('has a second for its first byte: a server says something at once', async () => {
    await using server = await ScriptedServer.start();
    const clock = new FakeClock();
    const reading = collect(createApi({ url: server.url, clock }).openStream({ silenceMs: 45_000, connectTimeoutMs: 10_000 }));
    const stream = await server.stream();
    const armed = clock.next(1_000);
    stream.open();
    await armed;
    clock.advance(1_000);
    const { frames, error } = await reading;
    expect(frames).toEqual([]);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: `${server.url} was silent for 1000 ms, not even a ping came` });
    await stream.closed;
  });

  test('a reader that takes its time does not make the server look silent', async () => {
    await using server = await ScriptedServer.start();
    const clock = new FakeClock();
    const frames = createApi({ url: server.url, clock }).openStream({ silenceMs: 45_000 });
    const first = frames.next();
    const stream = await server.stream();
    stream.write('data: 1\n\n');
    expect((await first).value?.data).toBe('1');
    clock.advance(600_000);
    const second = frames.next();
    stream.write('data: 2\n\n');
    expect((await second).value?.data).toBe('2');
    await frames.return();
  });
});
