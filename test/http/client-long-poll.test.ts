import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ConfigClient } from '../../src/client/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';
import { ScriptedServer } from './client/scripted-server.ts';

const FAST = { backoff: { baseMs: 5, maxMs: 20, factor: 2 }, requestTimeoutMs: 150 } as const;

/** A proxy that hands a whole answer on when it is complete, and never before: of an event stream nothing ever arrives. */
class BufferingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  isBuffering = true;
  /** Requests for streams. */
  streams = 0;
  polls = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(target: string): Promise<BufferingProxy> {
    const { port, hostname } = new URL(target);
    const server = createServer((client) => {
      const upstream = connect(Number(port), hostname);
      proxy.#sockets.add(client).add(upstream);
      let isStream = false;
      client.on('data', (chunk) => {
        const head = chunk.toString('latin1');
        if (head.includes('/api/v1/watch')) {
          isStream = true;
          proxy.streams++;
        } else if (head.startsWith('GET')) proxy.polls++;
        upstream.write(chunk);
      });
      upstream.on('data', (chunk) => {
        if (!isStream || !proxy.isBuffering) client.write(chunk);
      });
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.on('error', () => undefined);
        from.on('close', () => to.destroy());
      }
    });
    const proxy = new BufferingProxy(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

describe('behind a proxy that holds streams back', () => {
  test('the client polls: the state, every change in order, deletions, and its own writes', async () => {
    await using service = await HttpService.start();
    await using proxy = await BufferingProxy.start(service.url);
    await service.set('app/a', 1);
    const errors: unknown[] = [];
    await using config = await ConfigClient.connect({ url: proxy.url, prefix: 'app/', onError: (error) => errors.push(error), ...FAST });
    expect([config.get('app/a'), config.status.state]).toEqual([1, 'live']);
    expect(proxy.streams).toBe(3);
    const seen: unknown[] = [];
    config.watch('app/a', (value, change) => seen.push([value, change.type]));
    for (const value of [2, 3, 4]) await service.set('app/a', value);
    await service.delete('app/a');
    await eventually(() =>
      expect(seen).toEqual([
        [2, 'updated'],
        [3, 'updated'],
        [4, 'updated'],
        [undefined, 'deleted'],
      ]),
    );
    await config.set('app/own', 'mine');
    expect(config.get('app/own')).toBe('mine');
    expect(proxy.streams).toBe(3);
  });

  test('and returns to a stream when one is due and gets through, at the cursor the polls have reached', async () => {
    await using service = await HttpService.start();
    await using proxy = await BufferingProxy.start(service.url);
    let skew = 0;
    const clock = {
      now: () => Date.now() + skew,
      after: (delayMs: number, callback: () => void) => {
        const timer = setTimeout(callback, delayMs);
        return () => clearTimeout(timer);
      },
    };
    await using config = await ConfigClient.connect({ url: proxy.url, prefix: 'app/', onError: () => undefined, clock, ...FAST });
    const seen: unknown[] = [];
    config.view('app/').watch(({ key, newValue }) => seen.push([key, newValue]));
    await service.set('app/a', 1);
    await eventually(() => expect(seen).toEqual([['app/a', 1]]));
    proxy.isBuffering = false;
    skew = 5 * 60_000;
    await service.set('app/a', 2);
    await eventually(() => expect([seen.length, proxy.streams]).toEqual([2, 4]));
    const { polls } = proxy;
    await service.set('app/b', 3);
    await eventually(() =>
      expect(seen).toEqual([
        ['app/a', 1],
        ['app/a', 2],
        ['app/b', 3],
      ]),
    );
    expect(proxy.polls).toBe(polls);
  });

  test('takes a position that is of no use for what it is, and hears exactly the difference', async () => {
    await using server = await ScriptedServer.start();
    const item = (key: string, version: number, value: unknown) => ({
      key,
      version,
      value,
      createdVersion: 1,
      etag: `e-${version}`,
      lastUpdated: null,
      metadata: {},
      contentType: 'application/json',
    });
    let lists = 0;
    server.script = ({ target }) => {
      const answer = (body: unknown, status = 200, type = 'application/json') => ({
        status,
        headers: { 'content-type': type },
        body: JSON.stringify(body),
      });
      if (target.includes('/watch?')) return 'cut';
      const position = /since=(e-9|d-5)&wait=(\d+)ms/.exec(target);
      if (position?.[2] === '0') return answer({ revision: position[1] === 'e-9' ? 3 : 5, cursor: position[1], changes: [] });
      if (position?.[1] === 'e-9') return new Promise(() => undefined);
      if (target.includes('since=')) {
        return answer({ code: 'CURSOR_GONE', title: 'gone', status: 410, reason: 'epoch', cursor: 'f-1' }, 410, 'application/problem+json');
      }
      lists++;
      return lists === 1
        ? answer({ revision: 5, cursor: 'd-5', items: [item('a', 5, 'old'), item('b', 4, 'gone')] })
        : answer({ revision: 3, cursor: 'e-9', items: [item('a', 2, 'new'), item('c', 3, 'made')] });
    };
    await using config = new ConfigClient({ url: server.url, prefix: '', onError: () => undefined, ...FAST });
    const seen: unknown[] = [];
    config.view('').watch(({ type, key }) => seen.push([type, key]));
    await config.start();
    await eventually(() => expect(config.get('a')).toBe('new'));
    expect(seen).toEqual([
      ['created', 'b'],
      ['created', 'a'],
      ['updated', 'a'],
      ['deleted', 'b'],
      ['created', 'c'],
    ]);
    expect(config.view('').toObject()).toEqual({ a: 'new', c: 'made' });
  });
});
