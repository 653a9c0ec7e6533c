import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROBLEMS } from '../../src/server/http/problem.ts';
import { HttpService } from '../support/http-service.ts';

describe('routes about the service itself', () => {
  let service: HttpService;
  beforeAll(async () => {
    service = await HttpService.start();
    await service.put('app/one', { value: 1 });
  });
  afterAll(() => service[Symbol.asyncDispose]());

  it('GET / shows five commands to curl, and a page without scripts to a browser', async () => {
    const text = await request(service.url).get('/').expect(200).expect('Content-Type', 'text/plain; charset=utf-8');
    expect(text.text.match(/^ {2}\w+ +curl /gm)).toHaveLength(5);
    expect(text.text).toContain(`${service.url}/api/v1/watch`);
    const page = await request(service.url)
      .get('/')
      .set('Accept', 'text/html')
      .expect(200)
      .expect('Content-Type', 'text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.text).not.toContain('<script');
    expect(page.text).toContain('curl -N');
  });

  it('GET /healthz and /readyz answer 200 while the node is live', async () => {
    await request(service.url).get('/healthz').expect(200, { status: 'ok' });
    const { body } = await request(service.url).get('/readyz').expect(200);
    expect(body).toMatchObject({
      status: 'ready',
      checks: [
        { name: 'loaded', ok: true },
        { name: 'accepting', ok: true },
      ],
    });
  });

  it('GET /api/v1/status has the shape that operators and tools read', async () => {
    const { body } = await request(service.url).get('/api/v1/status').expect(200).expect('Cache-Control', 'no-store');
    expect(body).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      state: 'live',
      since: expect.stringMatching(/^\d{4}-.*Z$/),
      store: { provider: 'memory', epoch: expect.any(String), revision: expect.any(Number), lagMs: expect.any(Number) },
      window: { oldest: expect.any(Number), newest: expect.any(Number) },
      streams: 0,
      polls: 0,
      keys: 1,
      skippedKeys: 0,
      limits: { maxValueBytes: 512 * 1024, maxKeyBytes: 512 },
      history: 'full',
    });
  });

  it('GET /docs/errors explains every code under the anchor that problem documents point to', async () => {
    const { text } = await request(service.url).get('/docs/errors').expect(200);
    for (const code of Object.keys(PROBLEMS)) expect(text).toContain(`<h2 id="${code}">`);
    const { body } = await request(service.url)
      .get('/api/v1/configs/app/none')
      .expect(404)
      .expect('Content-Type', 'application/problem+json');
    expect(body.type).toBe('/docs/errors#NOT_FOUND');
  });

  it('every answer bears a request id, the one that was sent if it is sane', async () => {
    await request(service.url).get('/healthz').set('X-Request-Id', 'trace-1').expect('X-Request-Id', 'trace-1');
    const { headers } = await request(service.url).get('/healthz').set('X-Request-Id', 'no spaces please');
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('a strong list is stored nowhere, as a strong read is not', async () => {
    await request(service.url).get('/api/v1/configs?consistency=strong').expect('Cache-Control', 'no-store');
    await request(service.url).get('/api/v1/configs').expect('Cache-Control', 'private, no-cache');
  });

  it('pretty is refused, as every flag is, if it is neither true nor false', async () => {
    const { body } = await request(service.url).get('/api/v1/configs?pretty=maybe').expect(400);
    expect(body).toMatchObject({ code: 'INVALID_ARGUMENT', detail: expect.stringContaining('pretty') });
  });

  it('a request with two Host headers is refused, for a proxy may have looked at the other one', async () => {
    const answer = await service.get('/api/v1/status', { Host: ['localhost', 'evil.test'] });
    expect(answer.status).toBe(421);
  });
});
