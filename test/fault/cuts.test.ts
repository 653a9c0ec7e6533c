import { describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { callNode } from '../support/node-call.ts';
import { seenItem, type WireItem } from '../support/recorded-watcher.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

describe('a stream that is cut', () => {
  it('fresh, before its first change, loses no change', async () => {
    await using cluster = await Cluster.start();
    await cluster.write(cluster.node, { key: 'a', value: 0 });
    for (const wantsSnapshot of [false, true]) {
      const watcher = cluster.watcher({ wantsSnapshot });
      await watcher.connect(cluster.node.server.url);
      await watcher.untilEvent('synced');
      watcher.cut();
      expect(watcher.lastId).toBeDefined();
      await cluster.write(cluster.node, { key: 'a', value: `while cut ${wantsSnapshot}` });
      await watcher.connect(cluster.node.server.url, { isHeld: true });
      await watcher.untilEvent('change');
    }
    await cluster.settle();
    expect(cluster.watchers.flatMap(({ events }) => events).filter(({ type }) => type === 'reset')).toEqual([]);
    expect(cluster.verdict()).toEqual([]);
  });

  it('in the middle of its snapshot, wherever that is, begins it again and loses no change', async () => {
    await using cluster = await Cluster.start();
    // Three parts of at most 256 items.
    for (let batch = 0; batch < 6; batch++) {
      await cluster.outside(
        Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k/${batch}/${index}`, `"${'x'.repeat(200)} ${index}"`])),
      );
    }
    await cluster.caughtUp(cluster.node);
    await using proxy = await TcpProxy.start(() => cluster.node.server.port);
    const whole = await (await fetch(`${cluster.node.server.url}/api/v1/configs?limit=10000`)).text();
    const watcher = cluster.watcher({ wantsSnapshot: true });
    for (let cut = 0; cut < 12; cut++) {
      proxy.resetAfter(Math.floor((whole.length * (cut + 0.5)) / 11));
      await watcher.connect(proxy.url).catch(() => undefined);
      await watcher.until('the cut or the end', () => !watcher.isConnected || watcher.lastId !== undefined);
      watcher.cut();
      await cluster.outside({ [`k/0/${cut}`]: `"changed at cut ${cut}"`, [`k/1/${cut}`]: null });
    }
    expect(watcher.events.filter(({ type }) => type === 'snapshot').length).toBeGreaterThan(5);
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('at any byte, while changes go by, resumes without gap or repeat', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    await using proxy = await TcpProxy.start(() => cluster.node.server.port);
    const watcher = cluster.watcher();
    let isWriting = true;
    const writing = (async () => {
      for (let index = 0; isWriting; index++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        await cluster.outside({ [`k/${index % 3}`]: `"value ${index}"`, [`l/${index % 2}`]: index % 5 ? `${index}` : null });
      }
    })();
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    for (let cut = 0; cut < 40; cut++) {
      proxy.resetAfter(300 + cut * 97);
      await watcher.connect(proxy.url, { isHeld: true }).catch(() => undefined);
      await watcher.until('the cut', () => !watcher.isConnected);
    }
    isWriting = false;
    await writing;
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });

  it('without a word from either side goes on where it was once the network is back', async () => {
    await using cluster = await Cluster.start();
    await using proxy = await TcpProxy.start(() => cluster.node.server.port);
    const watcher = cluster.watcher();
    await watcher.connect(proxy.url);
    await watcher.untilEvent('synced');
    proxy.pause('toClient');
    await cluster.write(cluster.node, { key: 'a', value: 1 });
    const half = cluster.watcher();
    await half.connect(cluster.node.server.url, { since: watcher.lastId ?? null });
    await half.untilEvent('change');
    proxy.resume('toClient');
    await watcher.untilEvent('change');
    await cluster.settle();
    expect(cluster.verdict()).toEqual([]);
  });
});

function stateOf(item: WireItem): { readonly version: number; readonly content: string } {
  const { version, content } = seenItem(item);
  return { version, content };
}

interface Page {
  readonly revision: number;
  readonly cursor: string;
  readonly items: readonly WireItem[];
  readonly next?: string;
}

describe('a list read page by page while keys change', () => {
  it('and resumed from the cursor of its first page loses no change', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    await cluster.outside(Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`k/${String(index).padStart(2, '0')}`, '0'])));
    await Promise.all(cluster.nodes.map((node) => cluster.caughtUp(node)));
    const copy = new Map<string, { readonly version: number; readonly content: string }>();
    let cursor: string | undefined;
    let pages = 0;
    for (let path: string | undefined = '/api/v1/configs?prefix=k/&limit=7'; path;) {
      const answer: { readonly status: number; readonly body: Page } = await callNode<Page>(cluster.nodeAt(pages).server.url, path);
      expect(answer.status).toBe(200);
      cursor ??= answer.body.cursor;
      expect(answer.body.cursor).toBe(cursor);
      for (const item of answer.body.items) copy.set(item.key, stateOf(item));
      path = answer.body.next;
      pages++;
      // Before, within and after what was read: changed, deleted, made.
      await cluster.outside({
        'k/00': String(pages),
        [`k/${String(60 - pages)}`]: String(pages),
        [`k/0${pages % 10}`]: null,
        [`k/3${pages}x`]: String(pages),
      });
      await cluster.write(cluster.node, { key: 'k/59', value: pages });
    }
    expect(pages).toBeGreaterThan(8);
    const watcher = cluster.watcher({ filter: { keys: [], prefixes: ['k/'] } });
    await watcher.connect(cluster.nodeAt(1).server.url, { since: cursor ?? null, isHeld: true });
    await cluster.settle();
    // As a client that ignores versions not above its own.
    for (const event of watcher.events) {
      if (event.type !== 'change') continue;
      for (const { key, version, content } of event.changes) {
        if (version <= (copy.get(key)?.version ?? -1) || !key.startsWith('k/')) continue;
        if (content === undefined) copy.delete(key);
        else copy.set(key, { version, content });
      }
    }
    const { body } = await callNode<Page>(cluster.node.server.url, '/api/v1/configs?prefix=k/&limit=10000');
    expect([...copy].sort()).toEqual(body.items.map((item): [string, object] => [item.key, stateOf(item)]).sort());
    expect(cluster.verdict()).toEqual([]);
  });
});
