import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleScript } from '../../scripts/bundle-client.ts';
import { launchChromium } from '../support/chromium.ts';
import { eventually } from '../support/eventually.ts';
import { NodeProcess } from '../support/node-process.ts';

const run = promisify(execFile);

/** What the page of an application does: shows one setting, and writes another when it is asked to. */
const pageOf = (url: string, isShared = false): string => `<!doctype html><meta charset="utf-8"><title>nothing</title>
<script src="/client.js"></script><script src="/tabs.js"></script><script>
  const share = ${isShared ? "attuneTabs.shareTabs({ name: 'somebody' })" : 'undefined'};
  const backoff = { baseMs: 50, factor: 2, maxMs: 500 };
  const client = new attune.ConfigClient({ url: ${JSON.stringify(url)}, prefix: 'shop/', onError: () => undefined, share, backoff });
  window.heard = [];
  client.watch('shop/banner', (value) => { window.heard.push(value); document.title = String(value); }, { immediate: true });
  window.client = client;
  window.started = client.start();
</script>`;

describe('two tabs of a browser', () => {
  let browser: Browser;
  let folder: string;
  let pages: Server;
  let origin: string;
  let html = '';

  beforeAll(async () => {
    browser = await launchChromium();
    folder = await mkdtemp(path.join(tmpdir(), 'attune-browser-'));
    const scripts = new Map([
      ['/client.js', await bundleScript('src/client/index.ts', 'attune')],
      ['/tabs.js', await bundleScript('src/client/tabs/index.ts', 'attuneTabs')],
    ]);
    pages = createServer(({ url }, response) => {
      const script = scripts.get(url ?? '');
      response.writeHead(200, { 'content-type': `${script === undefined ? 'text/html' : 'text/javascript'}; charset=utf-8` });
      response.end(script ?? html);
    }).listen(0, '127.0.0.1');
    await once(pages, 'listening');
    origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  }, 300_000);

  afterAll(async () => {
    await browser.close();
    pages.closeAllConnections();
    pages.close();
    await rm(folder, { recursive: true, force: true });
  });

  const serve = async (port = 0): Promise<NodeProcess> =>
    NodeProcess.over(`embedded:${path.join(folder, 'data')}`, { port, args: ['--cors-origins', origin] });
  const shows = async (page: Page, text: string): Promise<void> => {
    await page.waitForFunction((wanted) => (globalThis as { document?: { title: string } }).document?.title === wanted, text, {
      timeout: 20_000,
      // Tabs in the background paint no frames.
      polling: 50,
    });
  };

  it('show a change made by curl, through a restart of the server in between, and each other’s writes', async () => {
    let node = await serve();
    const { port } = node;
    try {
      html = pageOf(`http://127.0.0.1:${port}`);
      const curl = async (value: string): Promise<void> => {
        const body = JSON.stringify({ value });
        await run('curl', ['-sSf', '-X', 'PUT', '-d', body, `http://127.0.0.1:${port}/api/v1/configs/shop/banner`]);
      };
      await curl('grüße 🎉');
      const tabs = await Promise.all([browser.newPage(), browser.newPage()]);
      for (const tab of tabs) await tab.goto(origin);
      for (const tab of tabs) await shows(tab, 'grüße 🎉');
      await curl('second');
      for (const tab of tabs) await shows(tab, 'second');

      await node[Symbol.asyncDispose]();
      for (const tab of tabs) await tab.waitForFunction('client.status.state === "stale"', undefined, { timeout: 20_000 });
      expect(await tabs[0]?.title()).toBe('second');
      node = await serve(port);
      await curl('after the restart');
      for (const tab of tabs) await shows(tab, 'after the restart');

      await tabs[0]?.evaluate('client.set("shop/banner", "from a tab")');
      for (const tab of tabs) await shows(tab, 'from a tab');
      for (const tab of tabs) {
        const heard = (await tab.evaluate('heard')) as readonly unknown[];
        expect(heard.filter((value) => value !== undefined && value !== null)).toEqual([
          'grüße 🎉',
          'second',
          'after the restart',
          'from a tab',
        ]);
        await tab.evaluate('client.close()');
        await tab.close();
      }
    } finally {
      await node[Symbol.asyncDispose]();
    }
  });

  it('share one stream if they are told to, and go on without the one that held it', async () => {
    await using node = await serve();
    html = pageOf(node.url, true);
    const put = async (value: string): Promise<void> => {
      const answer = await fetch(`${node.url}/api/v1/configs/shop/banner`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ value }),
      });
      expect(answer.ok).toBe(true);
    };
    const streams = async (): Promise<number> => ((await (await fetch(`${node.url}/api/v1/status`)).json()) as { streams: number }).streams;
    await put('one');
    const context = await browser.newContext();
    const tabs: Page[] = [];
    for (let count = 0; count < 3; count++) {
      const tab = await context.newPage();
      await tab.goto(origin);
      await shows(tab, 'one');
      tabs.push(tab);
    }
    expect(await streams()).toBe(1);
    await put('two');
    for (const tab of tabs) await shows(tab, 'two');
    for (const left of [2, 1]) {
      await tabs.shift()?.close();
      await put(`${left} left`);
      for (const tab of tabs) await shows(tab, `${left} left`);
      await eventually(async () => expect(await streams()).toBe(1));
    }
    const heard = (await tabs[0]?.evaluate('heard')) as readonly unknown[];
    expect(heard.filter((value) => value !== undefined && value !== null)).toEqual(['one', 'two', '2 left', '1 left']);
    await context.close();
    await eventually(async () => expect(await streams()).toBe(0));
  });
});
