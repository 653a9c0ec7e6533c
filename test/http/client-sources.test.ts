import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/core/item.ts';
import type { KnownItem, LastKnown, LastKnownStore, OverrideSource } from '../../src/client/durable.ts';
import { ConfigClient } from '../../src/client/index.ts';
import { z } from 'zod';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';

const NOBODY = 'http://127.0.0.1:1';
const FAST = { backoff: { baseMs: 5, maxMs: 20, factor: 2 }, onError: () => undefined } as const;
const SOON = { timeoutMs: 100 } as const;

/** A store of the last known state in memory. */
class Shelf implements LastKnownStore {
  kept: LastKnown | undefined;
  closed = 0;

  constructor(kept?: LastKnown) {
    this.kept = kept;
  }

  async load(): Promise<LastKnown | undefined> {
    return this.kept;
  }

  changed(_prefixes: readonly string[], state: () => LastKnown): void {
    this.kept = state();
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

/** Overrides that a test sets. */
class Levers implements OverrideSource {
  #tell: (values: ReadonlyMap<string, JsonValue>) => void = () => undefined;
  #values: Readonly<Record<string, JsonValue>>;
  closed = 0;

  constructor(values: Readonly<Record<string, JsonValue>> = {}) {
    this.#values = values;
  }

  async open(onValues: (values: ReadonlyMap<string, JsonValue>) => void): Promise<void> {
    this.#tell = onValues;
    this.set(this.#values);
  }

  set(values: Readonly<Record<string, JsonValue>>): void {
    this.#values = values;
    this.#tell(new Map(Object.entries(values)));
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

const known = (key: string, value: JsonValue, version = 1): KnownItem => ({
  key,
  value,
  version,
  contentType: 'application/json',
  metadata: {},
});
const keptState = (...items: readonly KnownItem[]): LastKnown => ({ savedAt: 1, revision: 99, items });

test('as many prefixes as fit into the limit of their length reach the server', async () => {
  await using service = await HttpService.start();
  const prefix = Array.from({ length: 93 }, (_, index) => `${'p'.repeat(116)}${String(index).padStart(2, '0')}/`);
  await service.set(`${prefix[92]}a`, 1);
  await using config = await ConfigClient.connect({ url: `http://127.0.0.1:${service.port}`, prefix, ...FAST });
  expect(config.get(`${prefix[92]}a`)).toBe(1);
});

describe('a kept state', () => {
  test('serves at the deadline where no server does, as stale from a file', async () => {
    const lastKnown = new Shelf(keptState(known('app/a', 'kept')));
    await using config = new ConfigClient({ url: NOBODY, prefix: 'app/', lastKnown, ...FAST });
    const seen: unknown[] = [];
    config.watch('app/a', (value, { type }) => seen.push([type, value]));
    await config.start(SOON);
    expect([config.get('app/a'), config.status]).toMatchObject([
      'kept',
      { state: 'stale', source: 'file', cause: { code: 'UNAVAILABLE' } },
    ]);
    expect(seen).toEqual([['created', 'kept']]);
  });

  test('gives way to what a server says, of whatever history, and watchers hear exactly the difference', async () => {
    await using service = await HttpService.start();
    await service.set('app/same', 1);
    await service.set('app/other', 'now');
    const { port } = service;
    const lastKnown = new Shelf(keptState(known('app/same', 1, 70), known('app/other', 'before', 80), known('app/gone', true, 90)));
    let isThere = false;
    await using config = new ConfigClient({
      url: `http://127.0.0.1:${port}`,
      prefix: 'app/',
      lastKnown,
      ...FAST,
      fetch: async (input, init) => {
        if (!isThere) throw new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) });
        return fetch(input, init);
      },
    });
    await config.start(SOON);
    expect(config.view('app/').toObject()).toEqual({ same: 1, other: 'before', gone: true });
    const seen: unknown[] = [];
    config.view('app/').watch(({ type, key, newValue }) => seen.push([type, key, newValue]));
    isThere = true;
    await eventually(() => expect(config.status.state).toBe('live'));
    expect(seen).toHaveLength(2);
    expect(seen).toEqual(
      expect.arrayContaining([
        ['updated', 'app/other', 'now'],
        ['deleted', 'app/gone', null],
      ]),
    );
    await service.set('app/other', 'later');
    await eventually(() => expect(config.get('app/other')).toBe('later'));
    await config.set('app/own', 1);
    await eventually(() =>
      expect(new Map(lastKnown.kept?.items.map(({ key, value }) => [key, value]))).toEqual(
        new Map<string, unknown>([
          ['app/same', 1],
          ['app/other', 'later'],
          ['app/own', 1],
        ]),
      ),
    );
  });

  test.each([401, 403])('never serves one whom the server refuses (%i), not even at a second start', async (status) => {
    const code = status === 401 ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED';
    const headers = { 'content-type': 'application/problem+json' };
    const refusing = async (): Promise<Response> => new Response(JSON.stringify({ code, status, title: 'no' }), { status, headers });
    const lastKnown = new Shelf(keptState(known('app/a', 'secret')));
    await using config = new ConfigClient({ url: NOBODY, prefix: 'app/', lastKnown, fetch: refusing, ...FAST });
    await expect(config.start(SOON)).rejects.toMatchObject({ code });
    await expect(config.start(SOON)).rejects.toMatchObject({ code });
    expect([config.get('app/a'), config.status.state]).toEqual([undefined, 'connecting']);
  });

  test.each([401, 403])('serves nobody whom a proxy refuses in its own words either (%i)', async (status) => {
    const lastKnown = new Shelf(keptState(known('app/a', 'secret')));
    const refusing = async (): Promise<Response> => new Response('<h1>Sign in</h1>', { status, headers: { 'content-type': 'text/html' } });
    await using config = new ConfigClient({ url: NOBODY, prefix: 'app/', lastKnown, fetch: refusing, ...FAST });
    await expect(config.start(SOON)).rejects.toMatchObject({ code: status === 401 ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED' });
    expect(config.get('app/a')).toBeUndefined();
  });

  test('that is still being read at the deadline is waited for, and told with its age and revision', async () => {
    const lastKnown = new Shelf(keptState(known('app/a', 'kept')));
    lastKnown.load = () => new Promise((resolve) => setTimeout(() => resolve(lastKnown.kept), 50));
    await using config = new ConfigClient({ url: NOBODY, prefix: 'app/', lastKnown, ...FAST });
    await config.start({ timeoutMs: 0 });
    expect([config.get('app/a'), config.status]).toMatchObject([
      'kept',
      { state: 'stale', source: 'file', revision: 99, since: new Date(1) },
    ]);
  });

  test('that cannot be loaded, or takes for ever, is as none', async () => {
    const errors: unknown[] = [];
    const broken: LastKnownStore = {
      load: () => Promise.reject(new Error('no disk')),
      changed: () => undefined,
      close: async () => undefined,
    };
    await using config = new ConfigClient({
      url: NOBODY,
      prefix: 'app/',
      lastKnown: broken,
      ...FAST,
      onError: (error) => errors.push(error),
    });
    await expect(config.start(SOON)).rejects.toMatchObject({ code: 'NOT_READY' });
    expect(errors).toContainEqual(expect.objectContaining({ message: 'no disk' }));
    const slow: LastKnownStore = { load: () => new Promise(() => undefined), changed: () => undefined, close: async () => undefined };
    await using other = new ConfigClient({
      url: NOBODY,
      prefix: 'app/',
      schema: { 'app/a': z.number().default(5) },
      lastKnown: slow,
      ...FAST,
    });
    await other.start(SOON);
    expect([other.get('app/a'), other.status]).toMatchObject([5, { state: 'stale', source: 'defaults' }]);
  });

  test('is closed with the client', async () => {
    await using service = await HttpService.start();
    const [lastKnown, overrides] = [new Shelf(), new Levers()];
    const config = await ConfigClient.connect({ url: service.url, prefix: '', lastKnown, overrides });
    await config.close();
    expect([lastKnown.closed, overrides.closed]).toEqual([1, 1]);
  });
});

describe('overrides', () => {
  test('win over the server from the first moment on, and give way when they end', async () => {
    await using service = await HttpService.start();
    await service.set('app/a', 'server');
    const overrides = new Levers({ 'app/a': 'override', 'elsewhere/x': 1 });
    await using config = await ConfigClient.connect({ url: service.url, prefix: 'app/', overrides });
    expect(config.get('app/a')).toBe('override');
    expect(() => config.get('elsewhere/x')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    const seen: unknown[] = [];
    config.watch('app/a', (value, { type, oldValue }) => seen.push([type, oldValue, value]));
    await service.set('app/a', 'unheard');
    await service.set('app/mark', 1);
    await eventually(() => expect(config.get('app/mark')).toBe(1));
    expect(seen).toEqual([]);
    overrides.set({ 'app/a': 'another' });
    overrides.set({ 'app/a': 'another' });
    overrides.set({});
    expect(seen).toEqual([
      ['updated', 'override', 'another'],
      ['updated', 'another', 'unheard'],
    ]);
    await service.set('app/a', 'heard');
    await eventually(() => expect(config.get('app/a')).toBe('heard'));
  });

  test('make a key, also of null, and take it away again', async () => {
    await using service = await HttpService.start();
    const overrides = new Levers();
    await using config = await ConfigClient.connect({ url: service.url, prefix: '', overrides });
    const seen: unknown[] = [];
    config.view('').watch(({ type, key, newValue }) => seen.push([type, key, newValue]));
    overrides.set({ 'app/n': null });
    expect([config.get('app/n'), config.view('app/').keys()]).toEqual([null, ['n']]);
    overrides.set({});
    expect([config.get('app/n'), config.view('app/').keys()]).toEqual([undefined, []]);
    expect(seen).toEqual([
      ['created', 'app/n', null],
      ['deleted', 'app/n', null],
    ]);
  });

  test('are enough for a start without a server, where they are all that is needed', async () => {
    const overrides = new Levers({ 'app/a': 7 });
    const schema = { 'app/a': z.number() };
    await using config = await ConfigClient.connect({ url: NOBODY, prefix: 'app/', schema, overrides, ...FAST }, SOON);
    expect([config.get('app/a'), config.status]).toMatchObject([7, { state: 'stale', source: 'defaults' }]);
  });

  test('that do not fit the schema are reported, and the last good value stays', async () => {
    await using service = await HttpService.start();
    await service.set('app/a', 1);
    const errors: unknown[] = [];
    const overrides = new Levers();
    const schema = { 'app/a': z.number() };
    await using config = await ConfigClient.connect({
      url: service.url,
      prefix: 'app/',
      schema,
      overrides,
      onError: (error) => errors.push(error),
    });
    overrides.set({ 'app/a': 'text' });
    expect([config.get('app/a'), errors]).toMatchObject([1, [{ code: 'SCHEMA_VIOLATION' }]]);
  });
});

describe('once, until and view', () => {
  test('once is the next change of a key', async () => {
    await using service = await HttpService.start();
    await using config = await ConfigClient.connect({ url: service.url, prefix: '' });
    const next = config.once('app/a');
    await service.set('app/b', 0);
    await service.set('app/a', 1);
    await service.set('app/a', 2);
    expect(await next).toMatchObject({ type: 'created', key: 'app/a', newValue: 1 });
  });

  test('until is the value as soon as it fits, now or later', async () => {
    await using service = await HttpService.start();
    await service.set('app/a', 1);
    await using config = await ConfigClient.connect({ url: service.url, prefix: '' });
    expect(await config.until('app/a')).toBe(1);
    const big = config.until('app/a', (value) => typeof value === 'number' && value > 2);
    for (const value of [2, 3, 4]) await service.set('app/a', value);
    expect(await big).toBe(3);
    const failing = config.until('app/a', () => {
      throw new TypeError('no');
    });
    await expect(failing).rejects.toThrow('no');
  });

  test('both end with their signal, and with the client, and leave no listener', async () => {
    await using service = await HttpService.start();
    const config = await ConfigClient.connect({ url: service.url, prefix: '' });
    const stop = new AbortController();
    const aborted = [config.once('app/a', stop), config.until('app/a', () => false, stop)];
    stop.abort(new Error('enough'));
    for (const waiting of aborted) await expect(waiting).rejects.toThrow('enough');
    const closed = [config.once('app/a'), config.until('app/a')];
    await config.close();
    for (const waiting of closed) await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(config.once('app/a')).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('a view names keys by what follows its prefix, and is always current', async () => {
    await using service = await HttpService.start();
    await service.set('app/db/host', 'h1');
    await service.set('app/other', 1);
    await using config = await ConfigClient.connect({ url: service.url, prefix: 'app/' });
    const db = config.view('app/db/');
    expect([db.prefix, db.get('host'), db.get('port'), db.keys(), db.toObject()]).toEqual([
      'app/db/',
      'h1',
      undefined,
      ['host'],
      { host: 'h1' },
    ]);
    const seen: string[] = [];
    const stop = db.watch(({ key }) => seen.push(key));
    await service.set('app/db/port', 5432);
    await service.set('app/other', 2);
    await config.until('app/other', (value) => value === 2);
    expect([db.keys(), seen]).toEqual([['host', 'port'], ['app/db/port']]);
    stop();
    expect(() => config.view('elsewhere/')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
