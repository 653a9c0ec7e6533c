import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/core/item.ts';
import type { LastKnownStore, OverrideSource } from '../../src/client/durable.ts';
import { ConfigClient, type StandardSchema, type StopFunction } from '../../src/client/index.ts';
import { z } from 'zod';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';

const NOBODY = 'http://127.0.0.1:1';
const QUIET = { onError: () => undefined } as const;
const never = async (): Promise<never> => new Promise(() => undefined);

describe('a client among what an application does to it', () => {
  test('a listener that stops itself and listens again hears each change once', async () => {
    await using service = await HttpService.start();
    await using config = await ConfigClient.connect({ url: service.url, prefix: 'app/' });
    const view = config.view('app/');
    let calls = 0;
    let stop: StopFunction;
    const listener = (): void => {
      calls++;
      stop();
      stop = view.watch(listener);
    };
    stop = view.watch(listener);
    await config.set('app/a', 1);
    await config.set('app/a', 2);
    expect(calls).toBe(2);
    stop();
  });

  test('what a listener brings about is told to all after what it was told of', async () => {
    await using service = await HttpService.start();
    let tell: (values: ReadonlyMap<string, JsonValue>) => void = () => undefined;
    const overrides: OverrideSource = {
      open: async (onValues) => {
        tell = onValues;
      },
      close: async () => undefined,
    };
    await using config = await ConfigClient.connect({ url: service.url, prefix: 'app/', overrides });
    const second: unknown[] = [];
    config.watch('app/a', (value) => {
      if (value === 1) tell(new Map([['app/a', 'over']]));
    });
    config.watch('app/a', (value) => second.push(value));
    await config.set('app/a', 1);
    expect([second, config.get('app/a')]).toEqual([[1, 'over'], 'over']);
  });

  test.each<[string, object]>([
    ['a token function', { token: never }],
    ['a fetch', { fetch: never }],
    [
      'a body',
      { fetch: async () => new Response(new ReadableStream({ pull: never }), { headers: { 'content-type': 'text/event-stream' } }) },
    ],
  ])('%s that hangs and knows no signal keeps neither start nor close nor a write', async (_name, options) => {
    const config = new ConfigClient({ url: NOBODY, prefix: '', requestTimeoutMs: 100, ...QUIET, ...options });
    await expect(config.start({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'NOT_READY' });
    if (!('fetch' in options)) await expect(config.set('a', 1)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await config.close();
  });

  test('a body that knows no signal is cancelled with its stream', async () => {
    let cancelled = 0;
    const fetch = async (): Promise<Response> =>
      new Response(new ReadableStream({ pull: never, cancel: () => void cancelled++ }), {
        headers: { 'content-type': 'text/event-stream' },
      });
    const config = new ConfigClient({ url: NOBODY, prefix: '', fetch, ...QUIET });
    await expect(config.start({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'NOT_READY' });
    await config.close();
    expect(cancelled).toBe(1);
  });

  test('a schema that throws what is no error harms its own key only', async () => {
    await using service = await HttpService.start();
    const broken: StandardSchema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => {
          throw null as unknown as Error;
        },
      },
    };
    const schema = { 'app/a': broken, 'app/b': z.number() };
    await using config = await ConfigClient.connect({ url: service.url, prefix: 'app/', schema, ...QUIET }, { timeoutMs: 5_000 });
    await service.outside({ 'app/a': '1', 'app/b': '2' });
    await eventually(() => expect(config.get('app/b')).toBe(2));
    await service.set('app/b', 3);
    await eventually(() => expect(config.get('app/b')).toBe(3));
  });

  test('stores that throw are reported and are as none', async () => {
    await using service = await HttpService.start();
    const fail = (): never => {
      throw new Error('disk');
    };
    const errors: unknown[] = [];
    const lastKnown: LastKnownStore = { load: fail, changed: fail, close: fail };
    const overrides: OverrideSource = { open: fail, close: fail };
    const onError = (error: unknown): void => void errors.push(error);
    const config = await ConfigClient.connect({ url: service.url, prefix: '', lastKnown, overrides, onError });
    await config.set('a', 1);
    expect([config.get('a'), config.status.state]).toEqual([1, 'live']);
    await config.close();
    expect(errors.length).toBeGreaterThanOrEqual(5);
    expect(errors).toEqual(errors.map(() => expect.objectContaining({ message: 'disk' }) as unknown));
  });

  test('a close within what tells of the closing closes once', async () => {
    await using service = await HttpService.start();
    let closes = 0;
    const overrides: OverrideSource = { open: async () => undefined, close: async () => void closes++ };
    const config = await ConfigClient.connect({ url: service.url, prefix: '', overrides });
    config.onStatus(({ state }) => void (state === 'closed' && config.close()));
    await config.close();
    expect(closes).toBe(1);
  });

  test('an override that does not fit covers nothing', async () => {
    await using service = await HttpService.start();
    await service.set('app/n', 5);
    const overrides: OverrideSource = { open: async (onValues) => onValues(new Map([['app/n', 'oops']])), close: async () => undefined };
    const schema = { 'app/n': z.number().default(1) };
    await using config = await ConfigClient.connect({ url: service.url, prefix: 'app/', schema, overrides, ...QUIET });
    expect(config.get('app/n')).toBe(5);
    await service.set('app/n', 6);
    await eventually(() => expect(config.get('app/n')).toBe(6));
  });

  test.each([
    { requestTimeoutMs: undefined, silenceMs: undefined, backoff: undefined, clock: undefined, random: undefined },
    { requestTimeoutMs: Infinity, silenceMs: Infinity },
  ])('options of %j are as left out, or without end', async (options) => {
    await using service = await HttpService.start();
    await service.set('a', 1);
    const given = options as unknown as { readonly silenceMs: number };
    await using config = await ConfigClient.connect({ url: service.url, prefix: '', ...given }, { timeoutMs: Infinity });
    expect(config.get('a')).toBe(1);
  });

  test.each([{ requestTimeoutMs: 0 }, { silenceMs: Number.NaN }, { requestTimeoutMs: -1 }])('options of %j are refused', (options) => {
    expect(() => new ConfigClient({ url: NOBODY, prefix: '', ...options })).toThrow(/give milliseconds above 0/);
  });

  test('a second start while a kept state serves resolves as the first did', async () => {
    const lastKnown: LastKnownStore = {
      load: async () => ({ savedAt: 1, revision: 2, items: [] }),
      changed: () => undefined,
      close: async () => undefined,
    };
    await using config = new ConfigClient({ url: NOBODY, prefix: '', lastKnown, ...QUIET });
    for (let count = 0; count < 2; count++) await config.start({ timeoutMs: 20 });
    expect(config.status).toMatchObject({ state: 'stale', source: 'file' });
  });

  test('a connection that stood and broke without a route is no proof that a write was not sent', async () => {
    const sent: string[] = [];
    const broken = async (url: unknown, init?: RequestInit): Promise<Response> => {
      if (init?.method === 'PUT') sent.push(String(url));
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('no route'), { code: 'EHOSTUNREACH', syscall: 'read' }) });
    };
    await using config = new ConfigClient({ url: [NOBODY, 'http://127.0.0.1:2'], prefix: '', fetch: broken, ...QUIET });
    await expect(config.set('a', 1)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(sent).toHaveLength(1);
  });

  test('a gateway’s own JSON is no word of the service on a write', async () => {
    const gateway = async (): Promise<Response> =>
      new Response('{"code":"gateway_timeout"}', { status: 503, headers: { 'content-type': 'application/json' } });
    await using config = new ConfigClient({ url: NOBODY, prefix: '', fetch: gateway, ...QUIET });
    await expect(config.set('a', 1)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });
});
