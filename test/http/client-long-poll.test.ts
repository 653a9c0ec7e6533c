import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ConfigClient } from '../../src/client/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';
import { ScriptedServer, type Script } from './client/scripted-server.ts';

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

  const json = (body: unknown, status = 200, type = 'application/json') => ({
    status,
    headers: { 'content-type': type },
    body: JSON.stringify(body),
  });
  /** Streams are cut before their first byte; a list is empty. */
  const scriptOf =
    (poll: (target: string) => ReturnType<typeof json> | Promise<ReturnType<typeof json>>): Script =>
    ({ target }) =>
      target.includes('/watch?') ? 'cut' : target.includes('since=') ? poll(target) : json({ revision: 5, cursor: 'e-5', items: [] });
  const empty = (): ReturnType<typeof json> => json({ revision: 5, cursor: 'e-5', changes: [] });
  const hold = async (target: string): Promise<ReturnType<typeof json>> =>
    target.includes('wait=0ms') ? empty() : new Promise(() => undefined);
  const gone = (): ReturnType<typeof json> => json({ code: 'CURSOR_GONE', status: 410, reason: 'epoch' }, 410, 'application/problem+json');

  /** A server whose streams open and bring nothing. */
  async function silentServer(poll: Parameters<typeof scriptOf>[0]): Promise<ScriptedServer> {
    const server = await ScriptedServer.start();
    server.script = scriptOf(poll);
    return server;
  }

  test('asks the next server where one refuses', async () => {
    await using refusing = await ScriptedServer.start();
    refusing.script = () => json({ code: 'NOT_READY', status: 503 }, 503, 'application/problem+json');
    await using serving = await silentServer(hold);
    await using config = new ConfigClient({ url: [refusing.url, serving.url], prefix: '', onError: () => undefined, ...FAST });
    await config.start();
    expect(config.status).toMatchObject({ state: 'live', revision: 5 });
  });

  test('takes no further prefix from a server that is behind the first', async () => {
    await using server = await silentServer(hold);
    await using config = new ConfigClient({ url: server.url, prefix: ['a/', 'b/'], onError: () => undefined, ...FAST });
    await config.start();
    const lists = server.requests.map(({ target }) => target).filter((target) => /configs\?prefix=[ab]%2F(?!.*since)/.test(target));
    expect(lists).toEqual(['/api/v1/configs?prefix=a%2F', '/api/v1/configs?prefix=b%2F&minRevision=e-5']);
  });

  test.each([
    ['refuse every position', gone],
    ['answer at once and with nothing', empty],
  ])('leaves servers alone that %s', async (_name, poll) => {
    await using server = await silentServer(poll);
    const slowly = { baseMs: 60_000, maxMs: 60_000, factor: 1 };
    let waits = 0;
    await using config = new ConfigClient({
      url: server.url,
      prefix: '',
      onError: () => undefined,
      requestTimeoutMs: 50,
      backoff: slowly,
      // The first attempts follow at once, for they lead to the polls.
      random: () => (waits++ < 3 ? 0 : 1),
    });
    void config.start().catch(() => undefined);
    await eventually(() => expect(server.requests.some(({ target }) => target.includes('since='))).toBe(true));
    const before = server.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(server.requests.length - before).toBeLessThan(5);
  });
});
