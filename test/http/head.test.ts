import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import { HttpService } from '../support/http-service.ts';

/** They tell the moment, not the resource. */
const OF_THE_MOMENT: ReadonlySet<string> = new Set(['date', 'x-request-id']);

const headersOf = (headers: ReadonlyMap<string, string>): Record<string, string> =>
  Object.fromEntries([...headers].filter(([name]) => !OF_THE_MOMENT.has(name)));

describe('HEAD equals GET without the body', () => {
  let service: HttpService;
  let etag = '';

  beforeAll(async () => {
    service = await HttpService.start();
    etag = `"${(await service.put('k', { value: 'é', metadata: { a: 'b' } })).json().etag}"`;
    await service.put('text', { value: 'x', contentType: 'text/html' });
    await service.set('other', 1);
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it.each([
    '/',
    '/healthz',
    '/readyz',
    '/docs/errors',
    '/api/v1/configs',
    '/api/v1/configs?prefix=k&limit=1&pretty',
    '/api/v1/configs?limit=1',
    '/api/v1/configs?raw',
    '/api/v1/configs?prfx=k',
    '/api/v1/configs?watch&wait=0s',
    '/api/v1/configs/k',
    '/api/v1/configs/k?raw',
    '/api/v1/configs/k?pretty',
    '/api/v1/configs/k?consistency=strong',
    '/api/v1/configs/k?minRevision=1',
    '/api/v1/configs/k?minRevision=999999',
    '/api/v1/configs/k?watch&version=1',
    '/api/v1/configs/k?watch&wait=0s',
    '/api/v1/configs/text?raw',
    '/api/v1/configs/absent',
    '/api/v1/configs/a//b',
    '/nowhere',
  ])('on %s', async (path) => {
    const [get, head] = [await service.get(path), await service.head(path)];
    expect([head.status, head.body.length]).toEqual([get.status, 0]);
    // The length of a problem document depends on nothing but the request, save for its id, which has one length.
    expect(headersOf(head.headers)).toEqual(headersOf(get.headers));
  });

  it('on /api/v1/status and /metrics, whose bodies tell the moment', async () => {
    for (const path of ['/api/v1/status', '/metrics']) {
      const [get, head] = [await service.get(path), await service.head(path)];
      const { 'content-length': _, ...expected } = headersOf(get.headers);
      const { 'content-length': length, ...actual } = headersOf(head.headers);
      expect([head.status, actual]).toEqual([get.status, expected]);
      expect(Number(length)).toBeGreaterThan(0);
    }
  });

  it('on a stream: the head of a stream, and the end', async () => {
    const stream = await service.stream('?prefix=k');
    const head = await service.head('/api/v1/watch?prefix=k');
    const { 'transfer-encoding': _, ...expected } = headersOf(stream.headers);
    expect([head.status, headersOf(head.headers)]).toEqual([200, expected]);
    expect((await service.head('/api/v1/watch?since=x')).status).toBe(400);
    expect((await service.get('/api/v1/status')).json().streams).toBe(1);
  });

  it('with If-None-Match too', async () => {
    for (const path of ['/api/v1/configs/k', '/api/v1/configs/k?raw']) {
      const [get, head] = [await service.get(path, { 'If-None-Match': etag }), await service.head(path, { 'If-None-Match': etag })];
      expect([head.status, headersOf(head.headers)]).toEqual([304, headersOf(get.headers)]);
    }
  });
});

describe('HEAD never waits', () => {
  it.each([
    ['/api/v1/configs/k?watch', 304],
    ['/api/v1/configs/k?watch&wait=120s', 304],
    ['/api/v1/configs/absent?watch&version=0&wait=120s', 304],
    ['/api/v1/configs?watch&wait=120s', 200],
    ['/api/v1/watch', 200],
    ['/api/v1/watch?snapshot', 200],
  ])('for %s', async (path, status) => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    const started = performance.now();
    expect((await service.head(path)).status).toBe(status);
    expect(performance.now() - started).toBeLessThan(1_500);
  });

  it('for a preference to wait', async () => {
    await using service = await HttpService.start();
    const { etag } = (await service.put('k', { value: 1 })).json();
    const started = performance.now();
    const head = await service.head('/api/v1/configs/k', { 'If-None-Match': `"${etag}"`, Prefer: 'wait=60' });
    expect([head.status, head.header('preference-applied')]).toEqual([304, undefined]);
    expect(performance.now() - started).toBeLessThan(1_500);
  });

  it('for a node that is behind', async () => {
    const store = new MemoryProvider();
    await using ahead = await HttpService.start({ store });
    const link = new FaultyProvider(store);
    await using behind = await HttpService.start({ provider: link, store });
    await ahead.set('k', 1);
    await behind.server.service.reached(ahead.server.service.revision);
    link.hold();
    await ahead.set('k', 2);
    const cursor = await ahead.cursor();
    const started = performance.now();
    for (const path of [
      `/api/v1/configs/k?minRevision=${cursor}`,
      '/api/v1/configs/k?consistency=strong',
      `/api/v1/configs?cursor=${cursor}`,
      `/api/v1/configs?watch&since=${cursor}`,
    ]) {
      expect([path, (await behind.head(path)).status]).toEqual([path, 503]);
    }
    expect(performance.now() - started).toBeLessThan(2_000);
    link.release();
  });
});
