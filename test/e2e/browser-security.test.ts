import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { startHttpServer, type HttpServer } from '../../src/server/http-server.ts';
import { launchChromium } from '../support/chromium.ts';

const SECRET = 'only for those on this machine';
const ITEM = '/api/v1/configs/app/secret';

/** What a page tried and what came of it: `blocked`, or what it could see. */
type Attempt = readonly [name: string, outcome: string];

/**
 * Runs in the page, as a script of that page could: everything a browser lets a page send or load without asking the user. `base` is
 * where the service is, as the page would reach it.
 */
const ATTACK = `async (base) => {
  const item = base + '${ITEM}';
  const outcomes = [];
  const attempt = async (name, run) => {
    try {
      outcomes.push([name, String(await run())]);
    } catch {
      outcomes.push([name, 'blocked']);
    }
  };
  const within = (ms, start) => new Promise((resolve, reject) => { setTimeout(() => reject(new Error('nothing')), ms); start(resolve, reject); });
  const read = (init) => async () => { const response = await fetch(item + '?raw', init); return response.status + ' ' + (await response.text()); };
  await attempt('read by fetch', read({}));
  await attempt('read by fetch without CORS', read({ mode: 'no-cors' }));
  await attempt('read a list', async () => (await fetch(base + '/api/v1/configs')).text());
  await attempt('read by EventSource', () => within(1500, (resolve, reject) => {
    const source = new EventSource(base + '/api/v1/watch?snapshot');
    source.addEventListener('snapshot', ({ data }) => resolve(data));
    source.onerror = () => { source.close(); reject(new Error('refused')); };
  }));
  await attempt('read by script', () => within(1500, (resolve, reject) => {
    const script = document.createElement('script');
    script.src = item;
    script.onload = () => resolve('ran');
    script.onerror = reject;
    document.head.append(script);
  }));
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json', undefined]) {
    for (const mode of ['cors', 'no-cors']) {
      for (const method of ['PUT', 'POST', 'DELETE']) {
        const body = method === 'DELETE' ? undefined : type === undefined ? new Blob(['{"value":"owned"}']) : '{"value":"owned"}';
        const headers = type === undefined || method === 'DELETE' ? {} : { 'Content-Type': type };
        await attempt('write by ' + method + ' ' + mode + ' ' + type, async () => {
          const { type: kind, ok, status } = await fetch(item, { method, mode, headers, body });
          return kind === 'opaque' ? 'blocked' : ok ? 'written' : 'answered ' + status;
        });
      }
    }
  }
  await attempt('write by beacon', () => { navigator.sendBeacon(item, '{"value":"owned"}'); return 'blocked'; });
  await attempt('write by form', () => within(2000, (resolve) => {
    const frame = document.createElement('iframe');
    frame.name = 'sink';
    document.body.append(frame);
    const form = Object.assign(document.createElement('form'), { action: item, method: 'post', target: 'sink', enctype: 'text/plain' });
    form.append(Object.assign(document.createElement('input'), { name: '{"value":"owned","comment":"', value: '"}' }));
    document.body.append(form);
    frame.onload = () => resolve('blocked');
    form.submit();
  }));
  return outcomes;
}`;

/** A web site: any path answers one empty page. */
async function startSite(): Promise<Server> {
  const site = createServer((_request, response) =>
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><body></body>'),
  );
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  return site;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

describe('a web page', () => {
  let browser: Browser;
  let site: Server;
  let provider: MemoryProvider;
  let node: HttpServer;

  beforeAll(async () => {
    browser = await launchChromium({ hosts: { 'evil.test': '127.0.0.1', 'site.test': '127.0.0.1' } });
    site = await startSite();
  }, 300_000);
  afterAll(async () => {
    await browser.close();
    site.closeAllConnections();
    site.close();
  });

  async function startNode(corsOrigins: readonly string[]): Promise<void> {
    provider = new MemoryProvider();
    await provider.open();
    node = await startHttpServer({ provider, namespace: 'app/config', corsOrigins });
    await fetch(`${node.url}${ITEM}`, {
      method: 'PUT',
      body: JSON.stringify({ value: SECRET }),
      headers: { 'Content-Type': 'application/json' },
    });
  }

  async function stopNode(): Promise<void> {
    await node.close({ graceMs: 100 });
    await provider.close();
  }

  /** The store, as the service itself shows it to somebody on this machine. */
  const stored = async (): Promise<unknown> =>
    z.object({ revision: z.int(), items: z.array(z.unknown()) }).parse(await (await fetch(`${node.url}/api/v1/configs`)).json());

  async function attack(page: Page, base: string): Promise<readonly Attempt[]> {
    return z.array(z.tuple([z.string(), z.string()])).parse(await page.evaluate(`(${ATTACK})(${JSON.stringify(base)})`));
  }

  describe('of an origin that was not allowed', () => {
    beforeEach(async () => {
      await startNode([]);
      return stopNode;
    });

    it.each(['127.0.0.1', 'localhost', 'site.test'])('at %s can neither read nor write', async (host) => {
      const before = await stored();
      const page = await browser.newPage();
      await page.goto(`http://${host}:${portOf(site)}/`);
      const outcomes = await attack(page, node.url);
      await page.close();
      expect(outcomes.length).toBeGreaterThan(20);
      expect(outcomes.filter(([name, outcome]) => outcome !== 'blocked' && !(name.endsWith('without CORS') && outcome === '0 '))).toEqual(
        [],
      );
      expect(await stored()).toEqual(before);
    });

    it('under a rebound host name can neither read nor write', async () => {
      const before = await stored();
      const base = `http://evil.test:${node.port}`;
      const page = await browser.newPage();
      // To the browser this is the page's own origin: only the Host header tells.
      await page.goto(`${base}/`);
      expect(await page.textContent('body')).toContain('HOST_NOT_ALLOWED');
      const outcomes = await attack(page, base);
      await page.close();
      expect(outcomes.some(([, outcome]) => outcome.includes(SECRET) || outcome === 'written' || outcome === 'ran')).toBe(false);
      expect(outcomes.filter(([name]) => name.startsWith('write by PUT cors')).map(([, outcome]) => outcome)).toEqual(
        Array.from({ length: 4 }, () => 'answered 421'),
      );
      expect(await stored()).toEqual(before);
    });

    it('does not run a stored page, whatever type it claims', async () => {
      const html =
        '<!doctype html><title>still</title><script>document.title = "ran"; fetch("/api/v1/configs/app/secret", { method: "DELETE" })</script>';
      await fetch(`${node.url}/api/v1/configs/app/page`, { method: 'PUT', body: html, headers: { 'Content-Type': 'text/html' } });
      const before = await stored();
      const page = await browser.newPage();
      const response = await page.goto(`${node.url}/api/v1/configs/app/page?raw`);
      expect(await response?.text()).toBe(html);
      expect(await page.title()).toBe('still');
      await page.close();
      expect(await stored()).toEqual(before);
    });
  });

  describe('of an origin that was allowed', () => {
    beforeEach(async () => {
      await startNode([`http://site.test:${portOf(site)}`]);
      return stopNode;
    });

    it('reads, writes and sees the headers it needs', async () => {
      const page = await browser.newPage();
      await page.goto(`http://site.test:${portOf(site)}/`);
      const seen = await page.evaluate(`(async (item) => {
        const written = await fetch(item, { method: 'PUT', headers: { 'Content-Type': 'application/json', 'If-Match': (await fetch(item)).headers.get('etag') }, body: '{"value":"new"}' });
        return [written.status, written.headers.has('attune-cursor'), written.headers.has('etag'), await (await fetch(item + '?raw')).text()];
      })(${JSON.stringify(node.url + ITEM)})`);
      await page.close();
      expect(seen).toEqual([200, true, true, '"new"']);
    });

    it('is the only one: another origin still can neither read nor write', async () => {
      const before = await stored();
      const page = await browser.newPage();
      await page.goto(`http://localhost:${portOf(site)}/`);
      const outcomes = await attack(page, node.url);
      await page.close();
      expect(outcomes.filter(([name, outcome]) => outcome !== 'blocked' && !(name.endsWith('without CORS') && outcome === '0 '))).toEqual(
        [],
      );
      expect(await stored()).toEqual(before);
    });
  });
});
