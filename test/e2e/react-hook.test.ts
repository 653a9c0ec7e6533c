import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Banner } from '../../examples/react-hook/banner.tsx';
import { createShopConfig } from '../../examples/react-hook/shop-config.ts';
import { bundleScript } from '../../scripts/bundle-client.ts';
import { launchChromium } from '../support/chromium.ts';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';

describe('examples/react-hook', () => {
  it('renders on a server what the client knows', async () => {
    await using service = await HttpService.start();
    await service.set('shop/banner', { text: 'Sale', color: 'red' });
    const config = createShopConfig(service.url);
    try {
      expect(renderToString(createElement(Banner, { config }))).toBe('<p style="color:gray" data-state="connecting">Welcome</p>');
      await config.start();
      expect(renderToString(createElement(Banner, { config }))).toBe('<p style="color:red" data-state="live">Sale</p>');
    } finally {
      await config.close();
    }
  });

  describe('in Chromium', () => {
    let browser: Browser;
    let site: Server;
    let origin: string;
    beforeAll(async () => {
      const script = await bundleScript('examples/react-hook/main.tsx', 'Example');
      site = createServer((request, response) => {
        const isScript = request.url === '/main.js';
        response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' });
        response.end(isScript ? script : '<!doctype html><div id="banner"></div><script src="/main.js"></script>');
      }).listen(0, '127.0.0.1');
      await once(site, 'listening');
      origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
      browser = await launchChromium();
    }, 300_000);
    afterAll(async () => {
      await browser.close();
      site.closeAllConnections();
      site.close();
    });

    it('shows the default, then the value, then each change, and lets go of its connection', async () => {
      await using service = await HttpService.start({ corsOrigins: [origin] });
      await service.set('shop/banner', { text: 'Sale', color: 'red' });
      const page = await browser.newPage();
      const failures: string[] = [];
      page.on('pageerror', (error) => failures.push(error.message));
      await page.goto(origin);
      const shows = (html: string) =>
        page.waitForFunction(`document.getElementById('banner').innerHTML === ${JSON.stringify(html)}`, undefined, { timeout: 10_000 });

      await page.evaluate(`window.unmount = Example.mount(document.getElementById('banner'), ${JSON.stringify(service.url)})`);
      await shows('<p data-state="live" style="color: red;">Sale</p>');
      expect((await service.get('/api/v1/status')).json()).toMatchObject({ streams: 1 });
      await service.set('shop/banner', { text: 'Bigger sale', color: 'blue' });
      await shows('<p data-state="live" style="color: blue;">Bigger sale</p>');
      await service.delete('shop/banner');
      await shows('<p data-state="live" style="color: gray;">Welcome</p>');

      await page.evaluate('window.unmount()');
      await shows('');
      await eventually(async () => expect((await service.get('/api/v1/status')).json()).toMatchObject({ streams: 0 }));
      expect(failures).toEqual([]);
      await page.close();
    });
  });
});
