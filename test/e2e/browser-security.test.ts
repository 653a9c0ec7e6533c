import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { launchChromium } from '../support/chromium.ts';
import { HttpService, type HttpServiceOptions } from '../support/http-service.ts';
import { POSTS, PRELUDE, PROBES, READS, WRITES } from './browser-attempts.ts';
import { BrowserDoor } from './browser-door.ts';

/*
 * What can a web page do to a service on loopback that has no authentication? Every way a page has to read and to write is tried by a real
 * browser, from a page of the service's own origin, where it works, and from those of others.
 */

const SECRET = 'top-secret';
const ATTEMPT_MS = 3_000;

/** A secret, and the same secret in types that a page can load without reading them. */
const VALUES: readonly (readonly [key: string, type: string, body: string])[] = [
  ['app/secret', 'application/json', JSON.stringify({ value: SECRET })],
  ['app/program', 'text/javascript', `window.stolen = '${SECRET}';`],
  ['app/module', 'text/javascript', `export default '${SECRET}';`],
  ['app/style', 'text/css', `:root { --stolen: ${SECRET} }`],
  ['app/picture', 'text/xml', '<svg xmlns="http://www.w3.org/2000/svg" width="37" height="37"></svg>'],
];

const refuse = `new Promise((resolve) => setTimeout(() => resolve('refused: no answer'), ${ATTEMPT_MS}))`;

/** What `page` gets out of an attempt: `learned ...`, or `refused ...`. */
async function attempt(page: Page, base: string, source: string): Promise<string> {
  const run = `(async () => { const base = ${JSON.stringify(base)}; ${PRELUDE} ${source} })()`;
  const told = `${run}.then((value) => 'learned ' + String(value ?? ''), (error) => 'refused ' + error)`;
  return String(await page.evaluate(`Promise.race([${told}, ${refuse}])`));
}

/** What each read told that should tell nothing. */
async function findLeaks(page: Page, base: string): Promise<readonly string[]> {
  const leaks: string[] = [];
  for (const [name, source] of [...Object.entries(READS), ...Object.entries(PROBES)]) {
    const told = await attempt(page, base, source);
    if (!/^(learned (undefined|null|0|)$|refused)/.test(told) || told.includes(SECRET)) leaks.push(`${name}: ${told.slice(0, 200)}`);
  }
  return leaks;
}

/** Each attempt to write after which the store was not what it had been. */
async function findWrites(page: Page, base: string, service: HttpService): Promise<readonly string[]> {
  const writes: string[] = [];
  let before = await service.dump();
  for (const [name, source] of [...Object.entries(WRITES), ...Object.entries(POSTS)]) {
    await attempt(page, base, source);
    // Whatever was sent has been answered once a request after it has.
    await attempt(page, base, `await fetch(base + '/healthz', { mode: 'no-cors' });`);
    const after = await service.dump();
    if (after.revision !== before.revision || JSON.stringify(after.entries) !== JSON.stringify(before.entries)) writes.push(name);
    before = after;
  }
  return writes;
}

describe('a service on loopback, without authentication', () => {
  let browser: Browser;
  let service: HttpService;
  let door: BrowserDoor;
  let page: Page;
  const statuses: number[] = [];
  const start = async (options: HttpServiceOptions = {}): Promise<void> => {
    service = await HttpService.start(options);
    for (const [key, type, body] of VALUES) {
      const { status, text } = await service.send({
        method: 'PUT',
        path: `/api/v1/configs/${key}`,
        headers: { 'Content-Type': type },
        body,
      });
      if (status !== 201) throw new Error(`PUT ${key}: ${status} ${text}`);
    }
  };

  beforeAll(async () => {
    browser = await launchChromium({ hosts: { 'evil.test': '127.0.0.1' } });
  }, 300_000);
  afterAll(() => browser.close());
  beforeEach(async () => {
    page = await browser.newPage();
    statuses.length = 0;
    page.on('response', (response) => !response.url().endsWith('/page') && statuses.push(response.status()));
  });
  afterEach(async () => {
    await page.close();
    await door[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
  });

  // What follows would prove nothing if these attempts did not work at all.
  it('is read and written by every attempt from a page of its own', async () => {
    await start();
    door = await BrowserDoor.open(service.port);
    const base = `http://127.0.0.1:${door.port}`;
    await page.goto(`${base}/page`);
    const told: Record<string, string> = {};
    for (const [name, source] of Object.entries(READS)) told[name] = await attempt(page, base, source);
    const { 'fetch of the status': status, 'long-poll': poll, ...values } = told;
    expect(status).toContain('"revision":');
    expect(poll).toContain('"changes":');
    expect(Object.entries(values).filter(([, text]) => !text.includes(SECRET))).toEqual([]);
    expect(await findWrites(page, base, service)).toEqual(Object.keys(WRITES));
  });

  describe.each([
    ['another port of the same address', '127.0.0.1', '/page'],
    ['another name of this machine', 'localhost', '/page'],
    ['another site', 'evil.test', '/page'],
    ['its own address, in a sandbox', '127.0.0.1', '/page?sandbox'],
  ])('to a page of %s', (_name, host, path) => {
    let base: string;
    beforeEach(async () => {
      await start();
      door = await BrowserDoor.open(service.port);
      base = path === '/page' ? service.url : `http://127.0.0.1:${door.port}`;
      await page.goto(`http://${host}:${door.port}${path}`);
    });

    it('tells nothing', async () => {
      expect(await findLeaks(page, base)).toEqual([]);
    });

    it('is not open for writing', async () => {
      expect(await findWrites(page, base, service)).toEqual([]);
      expect(statuses).toContain(403);
    });
  });

  it('answers nothing to a page whose name was bound anew to this machine', async () => {
    await start();
    door = await BrowserDoor.open(service.port);
    const base = `http://evil.test:${door.port}`;
    await page.goto(`${base}/page`);
    expect(await findLeaks(page, base).then((leaks) => leaks.filter((leak) => !leak.includes('HOST_NOT_ALLOWED')))).toEqual([]);
    expect(await findWrites(page, base, service)).toEqual([]);
    expect(statuses.length).toBeGreaterThan(20);
    expect(new Set(statuses)).toEqual(new Set([421]));
  });

  describe('with an origin named in --cors-origins', () => {
    beforeEach(async () => {
      await start();
      door = await BrowserDoor.open(service.port);
      await service[Symbol.asyncDispose]();
      await start({ corsOrigins: [`http://localhost:${door.port}`] });
    });

    it('is read, written and watched by pages of that origin, which see the headers that go with it', async () => {
      await page.goto(`http://localhost:${door.port}/page`);
      const told = await attempt(
        page,
        service.url,
        `
        const read = await fetch(key('app/secret'));
        const etag = read.headers.get('ETag');
        const source = new EventSource(base + '/api/v1/watch?key=app/secret&since=' + read.headers.get('Attune-Cursor'));
        const changed = new Promise((resolve) => source.addEventListener('change', ({ data, lastEventId }) => resolve([JSON.parse(data).changes[0].newValue, lastEventId])));
        await new Promise((resolve) => source.addEventListener('synced', resolve));
        const put = await fetch(key('app/secret'), { method: 'PUT', headers: { 'Content-Type': 'application/json', 'If-Match': etag }, body: '{"value":"changed"}' });
        const [newValue, id] = await changed;
        source.close();
        const conflict = await fetch(key('app/secret'), { method: 'DELETE', headers: { 'If-Match': etag } });
        const created = await fetch(key('app/new'), { method: 'PUT', headers: { 'If-None-Match': '*' }, body: 'x' });
        const page = await fetch(base + '/api/v1/configs?limit=1');
        const held = await fetch(key('app/secret'), { headers: { 'If-None-Match': put.headers.get('ETag'), Prefer: 'wait=1' } });
        const deleted = await fetch(key('app/secret'), { method: 'DELETE' });
        return JSON.stringify({
          read: [read.status, (await read.json()).value, etag !== null, read.headers.get('Attune-Revision') !== null],
          put: [put.status, newValue, put.headers.get('ETag') === '"' + id + '"'],
          conflict: [conflict.status, (await conflict.json()).code],
          created: [created.status, created.headers.get('Location')],
          page: page.headers.get('Link') !== null,
          held: [held.status, held.headers.get('Preference-Applied')],
          deleted: deleted.status,
        });`,
      );
      expect(JSON.parse(told.replace(/^learned /, ''))).toEqual({
        read: [200, SECRET, true, true],
        put: [200, 'changed', true],
        conflict: [412, 'CONFLICT'],
        created: [201, '/api/v1/configs/app/new'],
        page: true,
        held: [304, 'wait=1'],
        deleted: 204,
      });
    });

    it.each(['127.0.0.1', 'evil.test'])('is closed to pages of %s', async (host) => {
      await page.goto(`http://${host}:${door.port}/page`);
      expect(await findLeaks(page, service.url)).toEqual([]);
      expect(await findWrites(page, service.url, service)).toEqual([]);
    });
  });

  it.each([
    ['text/html', `<!doctype html><title>data</title><p>${SECRET}</p><script>document.title = 'ran';</script>`],
    [
      'text/xml',
      `<svg xmlns="http://www.w3.org/2000/svg"><title>data</title><text>${SECRET}</text><script>document.querySelector('title').textContent = 'ran';</script></svg>`,
    ],
  ])('shows a stored %s value without running its scripts', async (type, body) => {
    await start();
    door = await BrowserDoor.open(service.port);
    await service.send({ method: 'PUT', path: '/api/v1/configs/app/page', headers: { 'Content-Type': type }, body });
    await page.goto(`${service.url}/api/v1/configs/app/page?raw`);
    expect(await page.evaluate('document.documentElement.textContent')).toContain(SECRET);
    expect(await page.evaluate(`document.querySelector('title').textContent`)).toBe('data');
  });
});
