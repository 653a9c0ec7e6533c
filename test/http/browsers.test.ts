import { describe, expect, it } from 'vitest';
import request from 'supertest';
import { HttpService } from '../support/http-service.ts';

const ORIGIN = 'https://console.example';
const OTHER = 'https://other.example';

describe('without --cors-origins', () => {
  it('no answer lets a page of another origin read it, whatever the page asks', async () => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    for (const origin of [ORIGIN, 'null', `http://127.0.0.1:${service.port}`, 'http://localhost:3000']) {
      for (const path of ['/api/v1/configs/k', '/api/v1/configs', '/api/v1/status', '/metrics', '/', '/nowhere']) {
        const answer = await request(service.url).get(path).set('Origin', origin);
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
    }
    const stream = await service.stream('', { Origin: ORIGIN });
    expect([...stream.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });

  it('a preflight is answered as any wrong method, so that the browser sends nothing', async () => {
    await using service = await HttpService.start();
    const answer = await request(service.url).options('/api/v1/configs/k').set({ Origin: ORIGIN, 'Access-Control-Request-Method': 'PUT' });
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([405, undefined]);
  });

  it('a page of the service’s own may write', async () => {
    await using service = await HttpService.start();
    const own = `http://127.0.0.1:${service.port}`;
    for (const headers of [{ Origin: own }, { Origin: own, 'Sec-Fetch-Site': 'same-origin' }, { 'Sec-Fetch-Site': 'none' }]) {
      await request(service.url)
        .put('/api/v1/configs/k')
        .set(headers)
        .send({ value: Math.random() })
        .expect(/"key":"k"/);
    }
  });
});

describe('with --cors-origins', () => {
  const start = () => HttpService.start({ corsOrigins: [ORIGIN, OTHER] });

  it('exactly those origins may read, and see what they need', async () => {
    await using service = await start();
    await service.set('k', 1);
    for (const origin of [ORIGIN, OTHER]) {
      const answer = await request(service.url).get('/api/v1/configs/k').set('Origin', origin);
      expect(answer.headers['access-control-allow-origin']).toBe(origin);
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
      const exposed = answer.headers['access-control-expose-headers']?.split(',').map((name) => name.trim().toLowerCase());
      expect(exposed).toEqual(
        expect.arrayContaining([
          'attune-revision',
          'attune-cursor',
          'attune-stale',
          'etag',
          'link',
          'location',
          'retry-after',
          'preference-applied',
        ]),
      );
    }
    for (const origin of [
      'https://console.example.evil.test',
      'http://console.example',
      'https://console.example:444',
      'null',
      'https://CONSOLE.example',
    ]) {
      const answer = await request(service.url).get('/api/v1/configs/k').set('Origin', origin);
      expect([origin, answer.status, answer.headers['access-control-allow-origin']]).toEqual([origin, 200, undefined]);
    }
  });

  it('no cache gives one origin what was meant for another', async () => {
    await using service = await start();
    const etag = (await service.put('k', { value: 1 })).header('etag') ?? '';
    const paths = ['/api/v1/configs/k', '/api/v1/configs/k?raw', '/api/v1/configs', '/api/v1/configs/absent', '/', '/docs/errors'];
    for (const path of paths) {
      for (const headers of [{ Origin: ORIGIN }, {}, { Origin: 'https://evil.test' }, { Origin: OTHER, 'If-None-Match': etag }]) {
        const answer = await service.get(path, headers);
        expect([path, answer.status, answer.header('vary')?.split(/,\s*/)]).toEqual([
          path,
          answer.status,
          expect.arrayContaining(['Origin']),
        ]);
        if (path.startsWith('/api/v1/configs/k')) expect(answer.header('vary')).toContain('Prefer');
      }
    }
  });

  it('they may write, after a preflight that names the methods', async () => {
    await using service = await start();
    const preflight = await request(service.url).options('/api/v1/configs/k').set({
      Origin: ORIGIN,
      'Access-Control-Request-Method': 'PUT',
      'Access-Control-Request-Headers': 'content-type,if-match,prefer,last-event-id',
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-methods': 'GET,HEAD,PUT,DELETE',
      'access-control-allow-headers': 'content-type,if-match,prefer,last-event-id',
    });
    await request(service.url)
      .put('/api/v1/configs/k')
      .set({ Origin: ORIGIN, 'Sec-Fetch-Site': 'cross-site' })
      .send({ value: 1 })
      .expect(201);
    await request(service.url).delete('/api/v1/configs/k').set({ Origin: OTHER }).expect(204);
    const foreign = await request(service.url).put('/api/v1/configs/k').set({ Origin: 'https://evil.test' }).send({ value: 1 });
    expect([foreign.status, foreign.body.code]).toEqual([403, 'PERMISSION_DENIED']);
  });

  it('they may follow a stream', async () => {
    await using service = await start();
    const stream = await service.stream('?snapshot', { Origin: ORIGIN });
    expect(stream.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect((await stream.until('synced')).length).toBeGreaterThan(0);
  });

  it('they can read why something was refused', async () => {
    await using service = await start();
    for (const path of ['/api/v1/configs/absent', '/api/v1/configs?prfx=a', '/nowhere']) {
      const answer = await request(service.url).get(path).set('Origin', ORIGIN);
      expect([answer.headers['access-control-allow-origin'], typeof answer.body.code]).toEqual([ORIGIN, 'string']);
    }
  });
});

describe('the Host header', () => {
  it('may name loopback in any spelling, and what was allowed', async () => {
    await using service = await HttpService.start({ allowedHosts: ['config.internal'] });
    for (const host of [
      'localhost',
      `localhost:${service.port}`,
      'LocalHost:1',
      '127.0.0.1',
      '[::1]:80',
      'config.internal',
      'Config.Internal:443',
      'config.internal.',
    ]) {
      expect([host, (await service.get('/api/v1/configs', { Host: host })).status]).toEqual([host, 200]);
    }
    for (const host of ['evil.internal', 'x.config.internal', 'config.internal.evil.test']) {
      const answer = await service.get('/api/v1/configs', { Host: host });
      expect([host, answer.status, answer.json().code]).toEqual([host, 421, 'HOST_NOT_ALLOWED']);
      expect(answer.text).not.toContain('"items"');
    }
  });
});

describe('a stored value', () => {
  it.each(['text/html', 'text/javascript', 'application/xml', 'text/css', 'text/plain'])(
    'of type %s is data when read bare: a browser neither runs nor guesses it',
    async (contentType) => {
      await using service = await HttpService.start();
      await service.put('k', { value: '<script>alert(1)</script>', contentType });
      const answer = await request(service.url).get('/api/v1/configs/k?raw');
      expect(answer.headers).toMatchObject({
        'content-type': `${contentType}; charset=utf-8`,
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
      });
      expect(answer.headers['set-cookie']).toBeUndefined();
    },
  );

  it('of JSON or of bytes likewise', async () => {
    await using service = await HttpService.start();
    await service.outside({ json: '{"a":"<script>"}', bytes: Uint8Array.of(0xff, 0xd8, 0xff) });
    for (const [key, type] of [
      ['json', 'application/json'],
      ['bytes', 'application/octet-stream'],
    ]) {
      const answer = await service.get(`/api/v1/configs/${key}?raw`);
      expect([answer.header('content-type'), answer.header('x-content-type-options'), answer.header('content-security-policy')]).toEqual([
        type,
        'nosniff',
        "default-src 'none'; sandbox",
      ]);
    }
  });
});

describe('pages', () => {
  it('GET / is text for curl and a small page for browsers, which loads and runs nothing', async () => {
    await using service = await HttpService.start();
    const text = await service.get('/', { Accept: '*/*' });
    expect(text.header('content-type')).toBe('text/plain; charset=utf-8');
    const page = await service.get('/', { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' });
    expect(page.header('content-type')).toBe('text/html; charset=utf-8');
    expect(page.header('content-security-policy')).toContain("default-src 'none'");
    expect(page.text).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1)/);
    for (const answer of [text, page]) {
      expect(answer.header('vary')).toContain('Accept');
      expect(answer.text.match(/curl /g)).toHaveLength(5);
      expect(answer.text).toContain(`http://127.0.0.1:${service.port}/api/v1/configs/app/pool-size`);
    }
  });

  it('the type of every problem leads to its explanation', async () => {
    await using service = await HttpService.start();
    const { type } = (await service.get('/api/v1/configs/absent')).json();
    const [path, anchor] = type.split('#');
    const page = await service.get(path);
    expect(page.status).toBe(200);
    expect(page.text).toContain(`id="${anchor}"`);
  });

  it('show nothing of what the browser sent', async () => {
    await using service = await HttpService.start({ allowedHosts: ['a.example'] });
    const page = await service.get('/?pretty', { Accept: 'text/html', Host: 'a.example', Referer: '<script>' });
    expect(page.text).not.toContain('<script');
  });
});
