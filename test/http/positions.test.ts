import { describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import { HttpService } from '../support/http-service.ts';

/** Two nodes over one store, the second behind its own connection. */
async function twoNodes(): Promise<
  { readonly ahead: HttpService; readonly behind: HttpService; readonly link: FaultyProvider } & AsyncDisposable
> {
  const store = new MemoryProvider();
  const ahead = await HttpService.start({ store });
  const link = new FaultyProvider(store);
  const behind = await HttpService.start({ provider: link, store });
  await ahead.set('k', 'old');
  await behind.server.service.reached(ahead.server.service.revision);
  return {
    ahead,
    behind,
    link,
    [Symbol.asyncDispose]: async () => {
      await behind[Symbol.asyncDispose]();
      await ahead[Symbol.asyncDispose]();
    },
  };
}

const PATHS = ['/api/v1/configs/k?', '/api/v1/configs/k?raw&', '/api/v1/configs?prefix=k&', '/api/v1/configs?watch&wait=0s&'] as const;

describe('every answer', () => {
  it('carries where the node stands', async () => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    const requests: Parameters<HttpService['send']>[0][] = [
      { path: '/' },
      { path: '/', headers: { Accept: 'text/html' } },
      { path: '/docs/errors' },
      { path: '/healthz' },
      { path: '/readyz' },
      { path: '/metrics' },
      { path: '/api/v1/status' },
      { path: '/api/v1/configs' },
      { path: '/api/v1/configs?raw' },
      { path: '/api/v1/configs?watch&wait=0s' },
      { path: '/api/v1/configs/k' },
      { path: '/api/v1/configs/k?raw' },
      { path: '/api/v1/configs/k', headers: { 'If-None-Match': '*' } },
      { path: '/api/v1/configs/k?watch&wait=0s' },
      { path: '/api/v1/configs/k?watch&version=0' },
      { path: '/api/v1/configs/absent' },
      { path: '/nowhere' },
      { path: '/', headers: { Host: 'evil.test' } },
      { method: 'POST', path: '/api/v1/configs' },
      { method: 'HEAD', path: '/api/v1/watch' },
      { method: 'PUT', path: '/api/v1/configs/k', headers: { 'Content-Type': 'application/json' }, body: '{"value":2}' },
      { method: 'PUT', path: '/api/v1/configs/k', headers: { 'Content-Type': 'application/json' }, body: '{' },
      { method: 'DELETE', path: '/api/v1/configs/k' },
    ];
    for (const request of requests) {
      const answer = await service.send(request);
      expect([request, answer.header('attune-cursor')]).toEqual([request, await service.cursor()]);
      expect(answer.header('attune-cursor')).toMatch(new RegExp(`-${answer.header('attune-revision')}$`));
      expect(answer.header('attune-stale')).toBeUndefined();
      expect(answer.header('x-content-type-options')).toBe('nosniff');
    }
    const stream = await service.stream();
    expect(stream.headers.get('attune-cursor')).toBe(await service.cursor());
    expect(stream.headers.get('attune-revision')).toBe(String(service.server.service.revision));
  });
});

describe('reading one’s own writes', () => {
  it('every read after the answer of a write sees it', async () => {
    await using service = await HttpService.start();
    for (let round = 0; round < 20; round++) {
      const version = await service.set('w', round);
      const [item, list, status, raw] = await Promise.all([
        service.item('w'),
        service.get('/api/v1/configs'),
        service.get('/api/v1/status'),
        service.get('/api/v1/configs/w?raw'),
      ]);
      expect([item.version, item.value]).toEqual([version, round]);
      expect(list.json().items[0].version).toBe(version);
      expect(status.json().store.revision).toBeGreaterThanOrEqual(version);
      expect(raw.text).toBe(String(round));
    }
    await service.delete('w');
    expect((await service.get('/api/v1/configs/w')).status).toBe(404);
    expect((await service.get('/api/v1/configs')).json().items).toEqual([]);
  });
});

describe('minRevision', () => {
  it('is met at once by a node that is there', async () => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    for (const path of PATHS) {
      for (const minRevision of [await service.cursor(), String(service.server.service.revision), '0'])
        expect((await service.get(`${path}minRevision=${minRevision}`)).status).toBe(200);
    }
  });

  it.each(['cursor', 'number'])('as a %s is waited for, and then the newer state is answered', async (form) => {
    await using nodes = await twoNodes();
    const { ahead, behind, link } = nodes;
    link.hold();
    await ahead.set('k', 'new');
    const wanted = form === 'cursor' ? await ahead.cursor() : String(ahead.server.service.revision);
    const answers = PATHS.slice(0, 3).map((path) => behind.get(`${path}minRevision=${wanted}`));
    // Without it the node answers what it has.
    expect((await behind.item('k')).value).toBe('old');
    link.release();
    const [item, raw, list] = await Promise.all(answers);
    expect(item?.json().value).toBe('new');
    expect(raw?.text).toBe('"new"');
    expect(list?.json().items[0].value).toBe('new');
  });

  it('that is not reached within 3 s is 503, never an older state', async () => {
    await using nodes = await twoNodes();
    const { ahead, behind, link } = nodes;
    link.hold();
    await ahead.set('k', 'new');
    const started = performance.now();
    const cursor = await ahead.cursor();
    const answers = await Promise.all(PATHS.map((path) => behind.get(`${path}minRevision=${cursor}`)));
    for (const answer of answers) {
      expect([answer.status, answer.json().code, answer.header('retry-after')]).toEqual([503, 'NOT_READY', '1']);
      expect(answer.header('cache-control')).toBe('no-store');
    }
    expect(performance.now() - started).toBeGreaterThan(2_500);
    expect(performance.now() - started).toBeLessThan(6_000);
    link.release();
  });

  it('above the store is 410 for a cursor, 503 for a bare number, both at once', async () => {
    await using service = await HttpService.start();
    const cursor = await service.cursor();
    for (const path of PATHS) {
      const started = performance.now();
      const gone = await service.get(`${path}minRevision=${cursor.replace(/\d+$/, '999999')}`);
      expect([gone.status, gone.json().code, gone.json().reason, gone.json().cursor]).toEqual([410, 'CURSOR_GONE', 'ahead', cursor]);
      const notReady = await service.get(`${path}minRevision=999999`);
      expect([notReady.status, notReady.json().code, notReady.header('retry-after')]).toEqual([503, 'NOT_READY', '1']);
      expect(performance.now() - started).toBeLessThan(2_000);
    }
  });

  it('of another history is 410 with the cursor to go on from', async () => {
    await using service = await HttpService.start();
    const gone = await service.get('/api/v1/configs/k?minRevision=ffff-1');
    expect([gone.status, gone.json().reason, gone.json().cursor]).toEqual([410, 'epoch', await service.cursor()]);
  });
});

describe('consistency=strong', () => {
  it('sees what the store holds, also written through another node or by another tool a moment ago', async () => {
    await using nodes = await twoNodes();
    const { ahead, behind, link } = nodes;
    link.hold();
    await ahead.set('k', 'new');
    const answers = PATHS.slice(0, 3).map((path) => behind.get(`${path}consistency=strong`));
    setTimeout(() => link.release(), 50);
    const [item, raw, list] = await Promise.all(answers);
    expect(item?.json().value).toBe('new');
    expect(raw?.text).toBe('"new"');
    expect(list?.json().items[0].value).toBe('new');
    expect(item?.header('cache-control')).toBe('no-store');
  });

  it('is current also when writes happen elsewhere in the store only', async () => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    const revision = await service.elsewhere();
    const answer = await service.get('/api/v1/configs/k?consistency=strong');
    expect(answer.status).toBe(200);
    expect(Number(answer.header('attune-revision'))).toBeGreaterThanOrEqual(revision);
  });

  it('is 503 when the node does not catch up in 3 s, or the store does not answer', async () => {
    await using nodes = await twoNodes();
    const { ahead, behind, link } = nodes;
    link.hold();
    await ahead.set('k', 'new');
    const late = await behind.get('/api/v1/configs/k?consistency=strong');
    expect([late.status, late.json().code]).toEqual([503, 'NOT_READY']);
    link.release();
    link.down();
    const down = await behind.get('/api/v1/configs/k?consistency=strong');
    expect([down.status, down.json().code, down.header('retry-after')]).toEqual([503, 'UNAVAILABLE', '1']);
    expect(down.text).not.toContain('ECONNREFUSED');
    link.up();
  });

  it('cached is the same as nothing', async () => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    expect((await service.get('/api/v1/configs/k?consistency=cached')).header('cache-control')).toBe('private, no-cache');
  });
});
