import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { startHttpServer, type HttpServer } from '../../src/server/http-server.ts';
import { untilCollected } from '../support/collect-garbage.ts';
import { encodeRequest, exchange, parseAnswer } from '../support/http-exchange.ts';
import { HttpStream } from '../support/http-stream.ts';

interface Running extends AsyncDisposable {
  readonly server: HttpServer;
  readonly provider: MemoryProvider;
}

async function start(): Promise<Running> {
  const provider = new MemoryProvider();
  const server = await startHttpServer({ provider, namespace: 'app/config' });
  return {
    server,
    provider,
    [Symbol.asyncDispose]: async () => {
      await server.close({ graceMs: 100, spreadMs: 0 });
      await provider.close();
    },
  };
}

const put = (key: string) => ({
  method: 'PUT',
  path: `/api/v1/configs/${key}`,
  headers: { 'Content-Type': 'application/json' },
  body: '{"value":1}',
});

async function heldPolls(server: HttpServer, count: number): Promise<void> {
  const until = performance.now() + 5_000;
  while (server.polls.size !== count && performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
  expect(server.polls.size).toBe(count);
}

/** A connection that is kept open, and what came over it. */
function keptOpen(port: number): {
  send(path: string, headers?: Record<string, string>): void;
  readonly received: () => string;
  readonly ended: Promise<void>;
} {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  return {
    send: (path, headers = {}) => void socket.write(encodeRequest(port, { path, headers: { Connection: 'keep-alive', ...headers } })),
    received: () => text,
    ended: new Promise((resolve) => socket.on('close', () => resolve())),
  };
}

describe('shutting down', () => {
  it('answers polls as if their time were over, sends streams away, and is done', async () => {
    await using running = await start();
    const { server } = running;
    const { port } = server;
    const etag = (await exchange(port, put('k'))).header('etag') ?? '';
    const polls = [
      exchange(port, { path: '/api/v1/configs/k?watch' }),
      exchange(port, { path: '/api/v1/configs/k', headers: { 'If-None-Match': etag, Prefer: 'wait=60' } }),
      exchange(port, { path: '/api/v1/configs?watch' }),
    ];
    const streams = await Promise.all(Array.from({ length: 5 }, () => HttpStream.open(port, { path: '/api/v1/watch' })));
    for (const stream of streams) await stream.until('synced');
    await heldPolls(server, 3);
    const started = performance.now();
    const closed = server.close({ spreadMs: 2_000 });
    expect((await Promise.all(polls)).map(({ status }) => status)).toEqual([304, 304, 200]);
    const retries: number[] = [];
    for (const stream of streams) {
      const blocks = await stream.rest();
      expect(blocks.map(({ event }) => event)).toEqual(['goaway']);
      expect(blocks[0]?.id).toBeUndefined();
      retries.push(blocks[0]?.data.retryMs);
    }
    for (const retryMs of retries) {
      expect(Number.isInteger(retryMs)).toBe(true);
      expect(retryMs).toBeLessThanOrEqual(2_000);
    }
    // Not all at once.
    expect(new Set(retries).size).toBeGreaterThan(1);
    await closed;
    expect(performance.now() - started).toBeLessThan(3_000);
    await expect(exchange(port, { path: '/healthz' })).rejects.toThrow('ECONNREFUSED');
  });

  it('is not held up by connections that are kept open, nor by clients that poll again at once', async () => {
    await using running = await start();
    const { server } = running;
    const idle = keptOpen(server.port);
    idle.send('/healthz');
    const poller = keptOpen(server.port);
    poller.send('/api/v1/configs?watch&wait=60s');
    await heldPolls(server, 1);
    const started = performance.now();
    const closed = server.close();
    // The answer comes, and the next poll with it.
    while (!poller.received().includes('changes')) await new Promise((resolve) => setImmediate(resolve));
    poller.send('/api/v1/configs?watch&wait=60s');
    await closed;
    await Promise.all([idle.ended, poller.ended]);
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(poller.received().toLowerCase()).toContain('connection: close');
  });

  it('finishes requests in progress, and is not ready any more meanwhile', async () => {
    await using running = await start();
    const { server, provider } = running;
    const commit = provider.commit.bind(provider);
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const begun = new Promise<void>((resolve) => {
      provider.commit = async (transaction, options) => {
        resolve();
        await gate;
        return commit(transaction, options);
      };
    });
    const write = exchange(server.port, put('k'));
    // Half a request is no idle connection.
    const probe = connect(server.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    probe.on('data', (chunk) => chunks.push(chunk));
    const answered = new Promise<void>((resolve) => probe.on('close', () => resolve()));
    await new Promise<void>((resolve) => probe.write('GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n', () => resolve()));
    await begun;
    const closed = server.close();
    probe.write('\r\n');
    await answered;
    const ready = parseAnswer(Buffer.concat(chunks), 'GET');
    expect([ready.status, ready.header('connection')]).toEqual([503, 'close']);
    expect(ready.json().checks).toContainEqual({ name: 'accepting', ok: false, detail: 'shutting down' });
    release();
    expect((await write).status).toBe(201);
    await closed;
  });

  it('ends what does not end by itself when the grace is over', async () => {
    await using running = await start();
    const { server, provider } = running;
    provider.commit = () => new Promise(() => undefined);
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.write(encodeRequest(server.port, put('k')));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const started = performance.now();
    await server.close({ graceMs: 200, spreadMs: 0 });
    await ended;
    expect(performance.now() - started).toBeGreaterThan(150);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it('twice is the same as once', async () => {
    await using running = await start();
    const { server } = running;
    await Promise.all([server.close(), server.close()]);
    await server.close();
    expect(server.service.state).toBe('closed');
  });

  it('refuses what comes late on an open connection with 503, not with a wrong answer', async () => {
    await using running = await start();
    const { server } = running;
    await server.service.close();
    for (const path of ['/api/v1/configs', '/api/v1/configs/k', '/api/v1/configs/k?watch', '/api/v1/configs?watch']) {
      const answer = await exchange(server.port, { path });
      expect([path, answer.status, answer.json().code, answer.header('retry-after')]).toEqual([path, 503, 'NOT_READY', '1']);
    }
    const write = await exchange(server.port, put('k'));
    expect([write.status, write.json().code]).toEqual([503, 'UNAVAILABLE']);
    const stream = await HttpStream.open(server.port, { path: '/api/v1/watch' });
    expect((await stream.rest()).at(-1)?.event).toBe('goaway');
    const ready = await exchange(server.port, { path: '/readyz' });
    expect(ready.status).toBe(503);
  });
});

describe('a server that was closed', () => {
  async function startAndClose(): Promise<WeakRef<HttpServer['service']>> {
    await using running = await start();
    await exchange(running.server.port, { path: '/metrics' });
    return new WeakRef(running.server.service);
  }

  it('is let go of, with all it held', async () => {
    await untilCollected([await startAndClose(), await startAndClose()]);
  });
});
