import { createServer } from 'node:net';
import { getEventListeners, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createApi, type Api } from '../../src/client/api.ts';
import { freePort } from '../support/free-ports.ts';
import { item, updated } from '../unit/client/wire-samples.ts';
import { json, problem, ScriptedServer } from './client/scripted-server.ts';

const POSITION = { 'attune-revision': '7', 'attune-cursor': 'e-7' };

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}

async function all<T>(iterable: AsyncIterable<T>): Promise<readonly T[]> {
  const items: T[] = [];
  for await (const one of iterable) items.push(one);
  return items;
}

describe('reading', () => {
  test('gives the item, its value as it was written, and the position', async () => {
    await using server = await ScriptedServer.start();
    const body =
      '{"key":"a/b","value":{"n": 9007199254740993},"version":7,"etag":"e-7","lastUpdated":null,"metadata":{},"contentType":"application/json","createdVersion":7}\n';
    server.script = () => ({ headers: { 'content-type': 'application/json; charset=utf-8', 'attune-stale': '3', ...POSITION }, body });
    const answer = await createApi({ url: server.url }).get('a/b', { minRevision: 'e-5', consistency: 'strong' });
    expect(answer).toMatchObject({
      item: { version: 7 },
      valueText: '{"n": 9007199254740993}',
      bodyText: body,
      revision: 7,
      cursor: 'e-7',
      staleMs: 3_000,
      status: 200,
      server: server.url,
    });
    expect(server.requests[0]).toMatchObject({
      method: 'GET',
      target: '/api/v1/configs/a/b?minRevision=e-5&consistency=strong',
      headers: { accept: 'application/json' },
    });
  });

  test.each([
    ['text', item('a', '"quoted"', 7), '"quoted"'],
    ['a JSON string', item('a', 'x', 7, { contentType: 'application/json' }), '"x"'],
    ['base64', item('a', '/w==', 7, { contentType: 'application/octet-stream' }), '/w=='],
  ])('gives %s as it is stored', async (_what, body, valueText) => {
    await using server = await ScriptedServer.start();
    server.script = () => json(body);
    expect((await createApi({ url: server.url }).get('a')).valueText).toBe(valueText);
  });

  test('raw gives the bytes and their type', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => ({
      headers: { 'content-type': 'application/octet-stream', etag: '"e-7"', ...POSITION },
      body: Buffer.from([0xff, 0x00]),
    });
    const answer = await createApi({ url: server.url }).getRaw('a');
    expect(answer).toMatchObject({
      bytes: new Uint8Array([0xff, 0x00]),
      contentType: 'application/octet-stream',
      etag: 'e-7',
      cursor: 'e-7',
    });
    expect(server.requests[0]?.target).toBe('/api/v1/configs/a?raw');
  });

  test("lists page after page, each with the first page's cursor and values as written", async () => {
    await using server = await ScriptedServer.start();
    const texts = [
      `{"revision":7,"cursor":"e-7","items":[${JSON.stringify(item('a', 1, 1)).replace('"value":1', '"value":1.10')}],"prefixes":["x/"],"next":"/api/v1/configs?after=a&limit=1"}`,
      `{"revision":9,"cursor":"e-9","items":[${JSON.stringify(item('b', 'text', 9))}]}`,
    ];
    server.script = ({ target }) => ({
      headers: { 'content-type': 'application/json' },
      body: texts[target.includes('after=') ? 1 : 0] ?? '',
    });
    const pages = await all(createApi({ url: server.url }).list({ prefix: 'p q', delimiter: '/', limit: 1 }));
    expect(pages.map(({ cursor, revision, hasNext, prefixes }) => ({ cursor, revision, hasNext, prefixes }))).toEqual([
      { cursor: 'e-7', revision: 7, hasNext: true, prefixes: ['x/'] },
      { cursor: 'e-7', revision: 9, hasNext: false, prefixes: [] },
    ]);
    expect(pages.map((page) => [...page.valueTexts()])).toEqual([[['a', '1.10']], [['b', 'text']]]);
    expect(server.requests.map(({ target }) => target)).toEqual([
      '/api/v1/configs?prefix=p%20q&delimiter=%2F&limit=1',
      '/api/v1/configs?after=a&limit=1',
    ]);
  });

  test('never follows a next page to another host', async () => {
    await using server = await ScriptedServer.start();
    await using other = await ScriptedServer.start();
    server.script = ({ target }) =>
      json({ revision: 1, cursor: 'e-1', items: [], ...(target.includes('page=2') ? {} : { next: `${other.url}/steal?page=2` }) });
    await all(createApi({ url: server.url, token: 'secret' }).list());
    expect(other.requests).toEqual([]);
    expect(server.requests.map(({ target }) => target)).toEqual(['/api/v1/configs', '/api/v1/configs?page=2']);
  });

  test('lists keys with their versions', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json({ revision: 7, cursor: 'e-7', items: [{ key: 'a', version: 3 }] });
    expect((await all(createApi({ url: server.url }).listKeys({ prefix: '' }))).map(({ keys }) => keys)).toEqual([
      [{ key: 'a', version: 3 }],
    ]);
    expect(server.requests[0]?.target).toBe('/api/v1/configs?prefix=&keysOnly');
  });

  test('polls for changes', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json({ revision: 8, cursor: 'e-8', changes: [updated('a', 1, 8)] });
    const answer = await createApi({ url: server.url }).poll({ prefixes: ['a/', 'b/'], keys: ['c'], since: 'e-7', waitMs: 500 });
    expect(answer).toMatchObject({ revision: 8, cursor: 'e-8', changes: [{ key: 'a', version: 8 }] });
    expect(server.requests[0]?.target).toBe('/api/v1/configs?prefix=a%2F&prefix=b%2F&key=c&watch&since=e-7&wait=500ms');
  });

  test('gives the status with members it does not know', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json({ version: '0.1.0', state: 'live', colour: 'red' });
    expect((await createApi({ url: server.url }).status()).body).toMatchObject({ version: '0.1.0', state: 'live', colour: 'red' });
  });
});

describe('writing', () => {
  test('sends conditions, and tells whether the key was created', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json(item('a', 1, 7), 201, 'application/json', POSITION);
    const api = createApi({ url: server.url, token: () => Promise.resolve('t-1'), userAgent: 'test/1' });
    expect(await api.put('a', { value: 1 }, { ifVersion: 0 })).toMatchObject({ created: true, item: { version: 7 }, cursor: 'e-7' });
    await api.put('a', { value: 1 }, { ifMatch: 'e-7' });
    expect(server.requests[0]).toMatchObject({ method: 'PUT', target: '/api/v1/configs/a?ifVersion=0', body: '{"value":1}' });
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer t-1',
      'user-agent': 'test/1',
      'content-type': 'application/json',
    });
    expect(server.requests[1]?.headers).toMatchObject({ 'if-match': '"e-7"' });
  });

  test('a raw body without a type is sent without a type', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json(item('a', '1.10', 7));
    await createApi({ url: server.url }).put('a', { raw: '1.10' });
    expect(server.requests[0]?.headers['content-type']).toBeUndefined();
    expect(server.requests[0]?.body).toBe('1.10');
  });

  test('delete gives the position', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => ({ status: 204, headers: POSITION });
    expect(await createApi({ url: server.url }).delete('a', { ifMatch: '*' })).toMatchObject({ revision: 7, cursor: 'e-7' });
    expect(server.requests[0]).toMatchObject({ method: 'DELETE', headers: { 'if-match': '*' } });
  });

  test('an entity tag that would break the header is refused', async () => {
    expect(await rejection(createApi({ url: 'http://127.0.0.1:1' }).put('a', { value: 1 }, { ifMatch: 'x"\r\n' }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('failures', () => {
  test('what the server refuses is told as it says it', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => problem(412, 'CONFLICT', { current: { version: 43 } });
    expect(await rejection(createApi({ url: server.url }).put('a', { value: 1 }))).toMatchObject({
      code: 'CONFLICT',
      message: 'CONFLICT it is',
      details: { status: 412, requestId: 'r-1', current: { version: 43 } },
    });
  });

  test('a refused connection is UNAVAILABLE, names the URL and is certainly not applied', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const api = createApi({ url });
    const errors = await Promise.all([api.get('a'), api.put('a', { value: 1 }), api.delete('a'), api.status()].map(rejection));
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE', message: `cannot reach ${url}: connection refused`, details: { url } });
    }
  });

  test('a write that is cut after sending is OUTCOME_UNKNOWN and sent once', async () => {
    await using server = await ScriptedServer.start();
    await using second = await ScriptedServer.start();
    server.script = () => 'cut';
    const api = createApi({ url: [server.url, second.url] });
    expect(await rejection(api.put('a', { value: 1 }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect([server.requests.length, second.requests.length]).toEqual([1, 0]);
  });

  const answers = [
    ['html', 200, { 'content-type': 'text/html' }, '<html>', 'PROTOCOL', 'OUTCOME_UNKNOWN'],
    ['no content type', 200, {}, 'x', 'PROTOCOL', 'OUTCOME_UNKNOWN'],
    ['JSON cut short', 200, { 'content-type': 'application/json' }, '{"key":', 'PROTOCOL', 'OUTCOME_UNKNOWN'],
    ['JSON of another service', 200, { 'content-type': 'application/json' }, '{"hello":1}', 'PROTOCOL', 'OUTCOME_UNKNOWN'],
    ['bytes that are not UTF-8', 200, { 'content-type': 'application/json' }, Buffer.from([0x7b, 0xff]), 'PROTOCOL', 'OUTCOME_UNKNOWN'],
    ['a 404 of another server', 404, { 'content-type': 'text/html' }, 'nothing here', 'PROTOCOL', 'PROTOCOL'],
    ['a 404 with JSON of another service', 404, { 'content-type': 'application/json' }, '{"message":"x"}', 'PROTOCOL', 'PROTOCOL'],
    ['a 500 of a proxy', 500, { 'content-type': 'text/html' }, 'oops', 'PROTOCOL', 'OUTCOME_UNKNOWN'],
    ['a 502 of a proxy', 502, { 'content-type': 'text/html' }, 'bad gateway', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ] as const;
  test.each(answers)('%s is %s', async (_what, status, headers, body, readCode, writeCode) => {
    await using server = await ScriptedServer.start();
    server.script = () => ({ status, headers, body });
    const api = createApi({ url: server.url });
    expect(await rejection(api.get('a'))).toMatchObject({ code: readCode });
    expect(await rejection(api.put('a', { value: 1 }))).toMatchObject({ code: writeCode });
  });

  test('a read goes on to the next server, and stays there', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json(item('a', 1, 7));
    const dead = `http://127.0.0.1:${await freePort()}`;
    const fetched: string[] = [];
    const api = createApi({
      url: [dead, server.url],
      fetch: (input, init) => {
        fetched.push(typeof input === 'string' && input.startsWith(dead) ? 'dead' : 'alive');
        return fetch(input, init);
      },
    });
    await api.get('a');
    await api.get('a');
    expect(fetched).toEqual(['dead', 'alive', 'alive']);
  });

  test('a read that is cut asks a single server once more', async () => {
    await using server = await ScriptedServer.start();
    const api = createApi({ url: server.url });
    server.script = () => (server.requests.length === 1 ? 'cut' : json(item('a', 1, 7)));
    expect(await api.get('a')).toMatchObject({ item: { version: 7 } });
    server.script = () => 'cut';
    expect(await rejection(api.get('a'))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(server.requests).toHaveLength(4);
  });

  test('reads at the same time do not push each other past the server that lives', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json(item('a', 1, 7));
    const api = createApi({ url: [`http://127.0.0.1:${await freePort()}`, server.url] });
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.get('a')));
    expect(new Set(answers.map((answer) => answer.server))).toEqual(new Set([server.url]));
  });

  test('a read that is cut asks the next server; a write that is refused does too, since it never left', async () => {
    await using first = await ScriptedServer.start();
    await using second = await ScriptedServer.start();
    first.script = () => 'cut';
    second.script = () => json(item('a', 1, 7));
    expect((await createApi({ url: [first.url, second.url] }).get('a')).server).toBe(second.url);
    const dead = `http://127.0.0.1:${await freePort()}`;
    expect((await createApi({ url: [dead, second.url] }).put('a', { value: 1 })).server).toBe(second.url);
  });

  test('all servers gone is told with the last of them', async () => {
    const dead = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
    expect(await rejection(createApi({ url: dead }).get('a'))).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(dead[1] ?? '') as string,
    });
  });

  const calls: readonly (readonly [string, (api: Api, signal: AbortSignal) => Promise<unknown>])[] = [
    ['a read', (api, signal) => api.get('a', { signal })],
    ['a list', (api, signal) => all(api.list({ signal }))],
    ['a poll', (api, signal) => api.poll({ since: 'e-1', signal })],
  ];
  test.each(calls)('%s that is aborted rejects with the reason of the signal', async (_what, call) => {
    await using server = await ScriptedServer.start();
    const controller = new AbortController();
    const reason = new Error('enough');
    server.script = () => {
      controller.abort(reason);
      return new Promise(() => undefined);
    };
    expect(await rejection(call(createApi({ url: server.url }), controller.signal))).toBe(reason);
    expect(await rejection(call(createApi({ url: server.url }), controller.signal))).toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  test('a write that is aborted after sending is OUTCOME_UNKNOWN, before sending the reason', async () => {
    await using server = await ScriptedServer.start();
    const controller = new AbortController();
    server.script = () => {
      controller.abort(new Error('enough'));
      return new Promise(() => undefined);
    };
    const api = createApi({ url: server.url });
    expect(await rejection(api.put('a', { value: 1 }, { signal: controller.signal }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(await rejection(api.put('a', { value: 1 }, { signal: controller.signal }))).toMatchObject({ message: 'enough' });
    expect(server.requests).toHaveLength(1);
  });

  test('calls leave nothing on a signal that outlives them', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json(item('a', 1, 7));
    const { signal } = new AbortController();
    const api = createApi({ url: server.url });
    await api.get('a', { signal });
    await api.put('a', { value: 1 }, { signal });
    const frames = api.openStream({ signal });
    const reading = frames.next();
    (await server.stream()).write('data: 1\n\n').end();
    await reading;
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await frames.next();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('a server that accepts and says nothing is given up after the timeout', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const api = createApi({ url, timeoutMs: 50 });
    expect(await rejection(api.get('a'))).toMatchObject({ code: 'UNAVAILABLE', message: `cannot reach ${url}: no answer within 50 ms` });
    expect(await rejection(api.put('a', { value: 1 }, { timeoutMs: 20 }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    silent.close();
  });

  test.each(['line\nfeed', '', 'ümlaut'])('a token %j is refused unsent and never shown', async (token) => {
    await using server = await ScriptedServer.start();
    const error = (await rejection(createApi({ url: server.url, token }).put('a', { value: 1 }))) as Error;
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    if (token !== '') expect(error.message).not.toContain(token);
    expect(server.requests).toEqual([]);
  });

  test('a token function that fails is told with its cause, and nothing is sent', async () => {
    await using server = await ScriptedServer.start();
    const cause = new Error('vault is sealed');
    expect(await rejection(createApi({ url: server.url, token: () => Promise.reject(cause) }).put('a', { value: 1 }))).toMatchObject({
      code: 'UNAUTHENTICATED',
      cause,
    });
    expect(server.requests).toEqual([]);
  });
});
