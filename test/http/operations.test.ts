import { describe, expect, it } from 'vitest';
import { DEFAULT_ADMISSION } from '../../src/server/http/admission.ts';
import { VERSION } from '../../src/server/version.ts';
import { held, HttpService } from '../support/http-service.ts';

/** `name{labels}` to number. */
function samples(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .flatMap((line) =>
        line === '' || line.startsWith('#')
          ? []
          : [[line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))] as const],
      ),
  );
}

describe('GET /api/v1/status', () => {
  it('has the shape of the contract', async () => {
    await using service = await HttpService.start();
    await service.set('a', 1);
    await service.outside({ b: '1', 'odd//key': '1' });
    const stream = await service.stream();
    await stream.until('synced');
    const poll = service.get('/api/v1/configs?watch');
    await held(service, 1);
    const answer = await service.get('/api/v1/status');
    const [epoch, revision] = (answer.header('attune-cursor') ?? '').split('-');
    expect(answer.json()).toEqual({
      version: VERSION,
      state: 'live',
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      store: { provider: 'memory', epoch, revision: Number(revision), lagMs: expect.any(Number) },
      window: { oldest: expect.any(Number), newest: Number(revision) },
      streams: 1,
      polls: 1,
      keys: 2,
      skippedKeys: 1,
      limits: { maxValueBytes: 512 * 1024, maxTransactionBytes: expect.any(Number), maxKeyBytes: 512, ...DEFAULT_ADMISSION },
      history: 'full',
    });
    expect(answer.header('cache-control')).toBe('no-store');
    await service.set('end', 1);
    await poll;
  });

  it('counts keys as they come and go', async () => {
    await using service = await HttpService.start();
    const keys = async (): Promise<number> => (await service.get('/api/v1/status')).json().keys;
    expect(await keys()).toBe(0);
    await service.set('a', 1);
    await service.set('a', 2);
    await service.outside({ b: '1', c: '1' });
    expect(await keys()).toBe(3);
    await service.delete('a');
    await service.outside({ b: null });
    expect(await keys()).toBe(1);
  });

  it('shows the limit that a 413 names', async () => {
    await using service = await HttpService.start({ service: { maxValueBytes: 100 } });
    const { limits } = (await service.get('/api/v1/status')).json();
    expect(limits.maxValueBytes).toBe(100);
    const refused = await service.send({
      method: 'PUT',
      path: '/api/v1/configs/k',
      headers: { 'Content-Type': 'text/plain' },
      body: 'x'.repeat(101),
    });
    expect([refused.status, refused.json().maxValueBytes]).toEqual([413, 100]);
    expect(
      (await service.send({ method: 'PUT', path: '/api/v1/configs/k', headers: { 'Content-Type': 'text/plain' }, body: 'x'.repeat(100) }))
        .status,
    ).toBe(201);
  });
});

describe('GET /healthz and /readyz', () => {
  it('say so in JSON', async () => {
    await using service = await HttpService.start();
    expect((await service.get('/healthz')).json()).toEqual({ status: 'ok' });
    const ready = await service.get('/readyz');
    expect([ready.status, ready.header('cache-control')]).toEqual([200, 'no-store']);
    for (const check of ready.json().checks) expect(check).toEqual({ name: expect.any(String), ok: true, detail: expect.any(String) });
  });
});

describe('GET /metrics', () => {
  it('is Prometheus text with the names of the contract', async () => {
    await using service = await HttpService.start();
    await service.set('a', 1);
    const stream = await service.stream('?since=ffff-1');
    await stream.until('synced');
    const poll = service.get('/api/v1/configs?watch');
    await held(service, 1);
    const answer = await service.get('/metrics');
    expect(answer.header('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const found = samples(answer.text);
    expect(found.get('attune_streams')).toBe(1);
    expect(found.get('attune_polls')).toBe(1);
    expect(found.get('attune_keys')).toBe(1);
    expect(found.get('attune_skipped_keys')).toBe(0);
    expect(found.get('attune_mirror_revision')).toBe(service.server.service.revision);
    expect(found.get('attune_mirror_age_seconds')).toBeGreaterThanOrEqual(0);
    expect(found.get('attune_live')).toBe(1);
    expect(found.get('attune_resets_total{reason="epoch"}')).toBe(1);
    expect([...found.keys()].some((name) => name.startsWith('nodejs_eventloop_lag'))).toBe(true);
    for (const name of ['attune_streams', 'attune_polls', 'attune_keys', 'attune_resets_total', 'attune_http_request_duration_seconds']) {
      expect(answer.text).toContain(`# HELP ${name} `);
      expect(answer.text).toContain(`# TYPE ${name} `);
    }
    await service.set('end', 1);
    await poll;
    stream.close();
  });

  it('counts requests by route, method and status, and no label ever holds what a user sent', async () => {
    await using service = await HttpService.start();
    const secret = 'sesame-3141';
    await service.set(`app/${secret}`, secret);
    await service.get(`/api/v1/configs/app/${secret}`);
    await service.get(`/api/v1/configs/${secret}?${secret}=${secret}`);
    await service.get(`/api/v1/configs?prefix=${secret}`);
    await service.get(`/${secret}`);
    await service.get(`/api/v1/configs/..${secret}%00`);
    await service.get('/', { Host: `${secret}.test`, 'User-Agent': secret, Origin: `https://${secret}.test` });
    await service.send({ method: 'DELETE', path: `/api/v1/configs/app/${secret}` });
    await service.send({ method: 'PROPFIND', path: `/api/v1/configs/${secret}` });
    const stream = await service.stream(`?key=${secret}`);
    await stream.until('synced');
    stream.close();
    const { text } = await service.get('/metrics');
    expect(text).not.toContain(secret);
    const counted = [...samples(text)]
      .filter(([name]) => name.startsWith('attune_http_request_duration_seconds_count'))
      .map(([name, count]) => [/\{(.*)\}/.exec(name)?.[1], count]);
    expect(Object.fromEntries(counted)).toMatchObject({
      'route="/api/v1/configs/{key}",method="PUT",status="201"': 1,
      'route="/api/v1/configs/{key}",method="GET",status="200"': 1,
      'route="/api/v1/configs/{key}",method="GET",status="400"': 2,
      'route="/api/v1/configs/{key}",method="DELETE",status="204"': 1,
      'route="/api/v1/configs/{key}",method="other",status="405"': 1,
      'route="/api/v1/configs",method="GET",status="200"': 1,
      'route="none",method="GET",status="404"': 1,
      'route="none",method="GET",status="421"': 1,
    });
  });
});

describe('a request id', () => {
  it('is the client’s where it is harmless, else one of the service’s own', async () => {
    await using service = await HttpService.start();
    expect((await service.get('/nowhere', { 'X-Request-Id': 'trace-1.a:b_c' })).json().requestId).toBe('trace-1.a:b_c');
    for (const id of ['', 'a b', '<script>', 'x'.repeat(65), '\u00e9']) {
      const answer = await service.get('/nowhere', { 'X-Request-Id': id });
      expect(answer.json().requestId).toMatch(/^[0-9a-f-]{36}$/);
      expect(answer.header('x-request-id')).toBe(answer.json().requestId);
    }
  });
});
