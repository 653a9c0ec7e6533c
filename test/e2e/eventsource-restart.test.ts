import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { EventSource } from 'eventsource';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { launchChromium } from '../support/chromium.ts';
import { eventually } from '../support/eventually.ts';
import { NodeProcess } from '../support/node-process.ts';
import { BrowserDoor } from './browser-door.ts';

/*
 * EventSource resumes by itself: it sends the last id it has seen and asks no questions. Two implementations that are not ours follow the service
 * through restarts, in order and by kill -9, while somebody writes all the time; then their record is compared with the store's own.
 */

const WATCH = '/api/v1/watch?prefix=app/';
const ENDINGS = ['SIGTERM', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const;
const EVENTS = ['synced', 'change', 'snapshot', 'reset', 'goaway', 'status', 'bookmark'];

/** What a client was told, in order: `change` as `<version> <key>=<value>`, everything else by its name. */
interface Record {
  readonly seen: () => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

/** Runs in Node and, as text, in the browser: `source` is an EventSource, `seen` the record. */
function recordEvents(source: Pick<EventSource, 'addEventListener'>, seen: string[], events: readonly string[]): void {
  for (const name of events) {
    source.addEventListener(name, ({ data, lastEventId }: { readonly data: string; readonly lastEventId: string }) => {
      if (name !== 'change') return seen.push(name);
      const { revision, changes } = JSON.parse(data) as {
        readonly revision: number;
        readonly changes: readonly { readonly key: string; readonly newValue: string; readonly version: number }[];
      };
      if (!lastEventId.endsWith(`-${revision}`)) seen.push(`${revision} under the id ${lastEventId}`);
      return seen.push(...changes.map(({ key, newValue, version }) => `${version} ${key}=${newValue}`));
    });
  }
}

function recordInNode(base: string): Record {
  const seen: string[] = [];
  const source = new EventSource(base + WATCH);
  recordEvents(source, seen, EVENTS);
  return {
    seen: () => Promise.resolve(seen),
    close: async () => source.close(),
  };
}

async function recordInBrowser(browser: Browser, base: string): Promise<Record> {
  const page = await browser.newPage();
  await page.goto(`${base}/page`);
  await page.evaluate(
    `window.seen = []; (${recordEvents.toString()})(new EventSource('${WATCH}'), window.seen, ${JSON.stringify(EVENTS)})`,
  );
  return { seen: () => page.evaluate('window.seen'), close: () => page.close() };
}

/** Writes new values in turn, one after the other, whatever happens to the service meanwhile. */
function startWriting(url: string): { readonly acknowledged: () => number; readonly stop: () => Promise<void> } {
  let acknowledged = 0;
  let isOver = false;
  const writing = (async () => {
    for (let count = 0; !isOver; count++) {
      const body = JSON.stringify({ value: `value ${count}` });
      try {
        const { ok } = await fetch(`${url}/api/v1/configs/app/${count % 7}`, {
          method: 'PUT',
          headers: { 'Content-Type': 'application/json' },
          body,
        });
        if (ok) acknowledged++;
      } catch {
        await sleep(20);
      }
      await sleep(5);
    }
  })();
  return {
    acknowledged: () => acknowledged,
    stop: async () => {
      isOver = true;
      await writing;
    },
  };
}

/** One history record for each change, at the change's own revision. */
async function readTruth(dataDir: string): Promise<readonly string[]> {
  await using provider = new EmbeddedProvider(dataDir);
  await provider.open();
  const { entries } = await provider.list('app/config.attune/history/');
  return entries
    .toSorted((a, b) => a.revision - b.revision)
    .map(({ revision, value }) => {
      const record = JSON.parse(Buffer.from(value).toString('utf8')) as { readonly key: string; readonly value: string };
      return `${revision} ${record.key}=${JSON.parse(record.value)}`;
    });
}

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
}, 300_000);
afterAll(() => browser.close());

it('npm eventsource and Chromium follow a stream through restarts in order and by kill -9: every change once, in order', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'attune-eventsource-'));
  let node = await NodeProcess.start(dataDir);
  await using door = await BrowserDoor.open(node.port);
  const clients = { npm: recordInNode(node.url), chromium: await recordInBrowser(browser, `http://127.0.0.1:${door.port}`) };
  for (const { seen } of Object.values(clients)) await expect.poll(seen, { timeout: 30_000 }).toContain('synced');
  const writer = startWriting(node.url);
  /** Waits until both have been told of some change more, on a connection more if `connections` says so. */
  const untilFollowing = async (connections: number): Promise<void> => {
    for (const { seen } of Object.values(clients)) {
      for (const deadline = performance.now() + 60_000; ; await sleep(50)) {
        const told = await seen();
        const from = told.lastIndexOf('synced');
        if (told.filter((event) => event === 'synced').length === connections && told.length > from + 20) break;
        if (performance.now() > deadline) throw new Error(`not following on connection ${connections}: ${told.slice(-5).join(', ')}`);
      }
    }
  };
  try {
    let missed = 0;
    for (const [index, signal] of ENDINGS.entries()) {
      await untilFollowing(index + 1);
      expect(await node.end(signal)).toBe(signal === 'SIGTERM' ? 0 : null);
      const before = writer.acknowledged();
      node = await NodeProcess.start(dataDir, node.port);
      expect((await fetch(`${node.url}/readyz`)).status).toBe(200);
      // Clients come back after a second or more. What is written until then is what Last-Event-ID is for.
      await eventually(() => expect(writer.acknowledged()).toBeGreaterThan(before));
      const synced = (await clients.chromium.seen()).filter((event) => event === 'synced').length;
      if (synced === index + 1) missed++;
    }
    expect(missed).toBeGreaterThan(0);
    await untilFollowing(ENDINGS.length + 1);
    await writer.stop();
    const last = (await (await fetch(`${node.url}/api/v1/configs`)).json()) as { readonly items: readonly { readonly version: number }[] };
    const newest = Math.max(...last.items.map(({ version }) => version));
    for (const { seen } of Object.values(clients)) {
      for (const deadline = performance.now() + 30_000; !(await seen()).at(-1)?.startsWith(`${newest} `); await sleep(50)) {
        if (performance.now() > deadline) throw new Error(`the last change was not told: ${(await seen()).at(-1)}, not ${newest}`);
      }
    }
    const told = { npm: await clients.npm.seen(), chromium: await clients.chromium.seen() };
    for (const client of Object.values(clients)) await client.close();
    expect(await node.end('SIGTERM')).toBe(0);

    const truth = await readTruth(dataDir);
    const changesOf = (events: readonly string[]): readonly string[] => events.filter((event) => !EVENTS.includes(event));
    expect(truth.length).toBeGreaterThan(ENDINGS.length * 20);
    expect(changesOf(told.npm)).toEqual(truth);
    expect(changesOf(told.chromium)).toEqual(truth);
    for (const events of Object.values(told)) {
      expect(events).not.toContain('reset');
      expect(events).not.toContain('snapshot');
      expect(events.filter((event) => event === 'goaway')).toHaveLength(ENDINGS.filter((signal) => signal === 'SIGTERM').length);
    }
  } finally {
    await writer.stop();
    for (const client of Object.values(clients)) await client.close();
    await node.end('SIGKILL');
    await rm(dataDir, { recursive: true, force: true });
  }
}, 240_000);
