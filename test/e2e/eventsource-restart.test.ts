import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EventSource } from 'eventsource';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { launchChromium } from '../support/chromium.ts';
import { NodeProcess } from '../support/node-process.ts';

/** What one EventSource has been told, as `version=value`, and how often it was told to start over. */
interface Follower {
  seen(): Promise<readonly string[]>;
  resets(): Promise<number>;
  isOpen(): Promise<boolean>;
  close(): Promise<void>;
}

const WRITES = 25;
const frameSchema = z.object({ changes: z.array(z.object({ newValue: z.number(), version: z.int() })) });
const itemSchema = z.object({ version: z.int() });

const followInNode = async (url: string): Promise<Follower> => {
  const source = new EventSource(`${url}/api/v1/watch?prefix=app/`);
  const seen: string[] = [];
  let resets = 0;
  source.addEventListener('change', ({ data }) => {
    for (const { newValue, version } of frameSchema.parse(JSON.parse(String(data))).changes) seen.push(`${version}=${newValue}`);
  });
  source.addEventListener('reset', () => resets++);
  return {
    seen: async () => seen,
    resets: async () => resets,
    isOpen: async () => source.readyState === source.OPEN,
    close: async () => source.close(),
  };
};

/** In a page of the service itself, for a page of another origin may not read. */
async function followInPage(page: Page, url: string): Promise<Follower> {
  await page.goto(`${url}/api/v1/status`);
  await page.evaluate(`
    globalThis.seen = [];
    globalThis.resets = 0;
    globalThis.source = new EventSource('/api/v1/watch?prefix=app/');
    source.addEventListener('change', ({ data }) => {
      for (const { newValue, version } of JSON.parse(data).changes) seen.push(version + '=' + newValue);
    });
    source.addEventListener('reset', () => resets++);
  `);
  return {
    seen: async () => z.array(z.string()).parse(await page.evaluate('seen')),
    resets: async () => z.number().parse(await page.evaluate('resets')),
    isOpen: async () => z.boolean().parse(await page.evaluate('source.readyState === EventSource.OPEN')),
    close: () => page.close(),
  };
}

describe('EventSource', () => {
  let browser: Browser;
  let folder: string;
  let node: NodeProcess;

  beforeAll(async () => {
    browser = await launchChromium();
  }, 300_000);
  afterAll(() => browser.close());
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'attune-eventsource-'));
    node = await NodeProcess.start(folder);
  });
  afterEach(async () => {
    await node.end('SIGTERM');
    await rm(folder, { recursive: true });
  });

  /** Writes one after the other; what was acknowledged, in order. */
  async function write(): Promise<readonly string[]> {
    const written: string[] = [];
    for (let value = 0; value < WRITES; value++) {
      const response = await fetch(`${node.url}/api/v1/configs/app/counter`, {
        method: 'PUT',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ value }),
      });
      written.push(`${itemSchema.parse(await response.json()).version}=${value}`);
    }
    return written;
  }

  async function expectSeen(follower: Follower, written: readonly string[]): Promise<void> {
    for (const deadline = performance.now() + 20_000; (await follower.seen()).length < written.length && performance.now() < deadline;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await follower.seen()).toEqual(written);
    expect(await follower.resets()).toBe(0);
  }

  it.each(['npm eventsource', 'Chromium'] as const)(
    'Resumable: %s follows a stream through restarts of the server: every change once, in order',
    async (kind) => {
      const follower = kind === 'Chromium' ? await followInPage(await browser.newPage(), node.url) : await followInNode(node.url);
      try {
        for (const deadline = performance.now() + 10_000; !(await follower.isOpen()) && performance.now() < deadline;)
          await new Promise((resolve) => setTimeout(resolve, 20));
        const written = [...(await write())];
        await expectSeen(follower, written);
        for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
          const { port } = node;
          expect(await node.end(signal)).toBe(signal === 'SIGTERM' ? 0 : null);
          node = await NodeProcess.start(folder, port);
          // Some of these are written before the client is back: it is told of them by its last event id alone.
          written.push(...(await write()));
          await expectSeen(follower, written);
        }
      } finally {
        await follower.close();
      }
    },
  );
});
