import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { launchChromium } from '../support/chromium.ts';

const PAGE = `<!doctype html><script>
  new EventSource('/events').addEventListener('change', ({ lastEventId, data }) => { document.title = lastEventId + ' ' + data; });
</script>`;

describe('Chromium', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium({ hosts: { 'rebound.test': '127.0.0.1' } });
  }, 300_000);
  afterAll(() => browser.close());

  it.each(['127.0.0.1', 'localhost', 'rebound.test'])('follows an event stream of a server at %s', async (host) => {
    const seenHosts: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seenHosts.push(request.headers.host);
      const isStream = request.url === '/events';
      response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'text/html' });
      if (isStream) response.write('id: e-7\nevent: change\ndata: hello\n\n');
      else response.end(PAGE);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const page = await browser.newPage();
    try {
      await page.goto(`http://${host}:${port}/`);
      await page.waitForFunction('document.title !== ""', undefined, { timeout: 10_000 });
      expect(await page.title()).toBe('e-7 hello');
      expect(seenHosts).toContain(`${host}:${port}`);
    } finally {
      await page.close();
      server.closeAllConnections();
      server.close();
    }
  });

  it('reaches nothing but loopback', async () => {
    const page = await browser.newPage();
    await expect(page.goto('http://example.com/')).rejects.toThrow('ERR_NAME_NOT_RESOLVED');
    await page.close();
  });
});
