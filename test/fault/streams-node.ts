import { ServerResponse } from 'node:http';
import { setTimeout as sleep, setImmediate as nextTurn } from 'node:timers/promises';
import { queryObjects } from 'node:v8';

import type { ConfigKey } from '../../src/core/key.ts';
import type { Operation, Revision } from '../../src/core/provider.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { DEFAULT_WINDOW, type WindowLimits } from '../../src/server/cache/window.ts';
import { startHttpServer } from '../../src/server/http-server.ts';
import { BoundedConnection } from '../../src/server/http/bounded-connection.ts';
import { StreamSession } from '../../src/server/http/stream-session.ts';
import { createLayout } from '../../src/server/store/layout.ts';

/*
 * One node in a process of its own, run with --expose-gc, so that its memory can be weighed and what is left of its clients counted.
 * Nothing catches what nobody caught: an unhandled rejection or an uncaught exception ends it, and the test that started it fails.
 */

export interface StreamsNodeOptions {
  readonly window?: Partial<WindowLimits>;
  readonly stallMs?: number;
  /** Revisions the store itself keeps: what it retains must not be taken for what the server retains. */
  readonly historyLimit?: number;
}

/** What is held for clients. Equal before they came and after they left. */
export interface Census {
  readonly streams: number;
  readonly polls: number;
  /** Watchers registered with the service. */
  readonly subscribers: number;
  /** Sockets, timers and whatever else keeps the event loop alive, by kind. */
  readonly resources: Readonly<Record<string, number>>;
  /** Instances that survive a garbage collection, by class. */
  readonly alive: Readonly<Record<string, number>>;
  /** Bytes, after a garbage collection. */
  readonly heapUsed: number;
  readonly external: number;
}

export interface Counts {
  readonly streams: number;
  readonly polls: number;
  readonly subscribers: number;
  readonly connections: number;
  readonly revision: number;
}

export interface TrueChange {
  readonly key: string;
  /** Undefined for a deletion. */
  readonly value: string | undefined;
}

/** The changes of users' keys in one revision. */
export interface TrueBatch {
  readonly revision: number;
  readonly changes: readonly TrueChange[];
}

export interface FillOptions {
  /** Written in turn, each value in a transaction of its own. */
  readonly keys: readonly string[];
  readonly count: number;
  /** Of each value, a text that begins with its number. */
  readonly bytes: number;
  /** Number of the first. */
  readonly from?: number;
  /** Whether each item is rendered, as a GET does it. */
  readonly isRendered?: boolean;
}

const { window, stallMs, historyLimit = 256 } = JSON.parse(process.argv[2] ?? '{}') as StreamsNodeOptions;
const layout = createLayout('app/config');
const provider = new MemoryProvider({ historyLimit });
await provider.open();

// What truly happened, read off the store itself, beside the server.
const history: TrueBatch[] = [];
let isRecording = false;
let recorded = 0;
const recording = (async () => {
  for await (const { revision, changes } of provider.watch(layout.root, { after: 0 as Revision, signal: new AbortController().signal })) {
    const users = changes.flatMap((change): TrueChange[] => {
      const key = layout.keyOfValue(change.type === 'put' ? change.entry.key : change.key);
      return key === undefined
        ? []
        : [{ key, value: change.type === 'put' ? Buffer.from(change.entry.value).toString('utf8') : undefined }];
    });
    if (users.length > 0 && isRecording) history.push({ revision, changes: users });
    recorded = revision;
  }
})();
let agedMs = 0;
const server = await startHttpServer({
  provider,
  namespace: layout.namespace,
  ...(stallMs !== undefined && { stallMs }),
  service: { now: () => Date.now() + agedMs, window: { ...DEFAULT_WINDOW, ...window } },
});
let subscribers = 0;
const subscribe = server.service.subscribe.bind(server.service);
server.service.subscribe = (filter, subscriber) => {
  const unsubscribe = subscribe(filter, subscriber);
  let isSubscribed = true;
  subscribers++;
  return () => {
    if (isSubscribed) subscribers--;
    isSubscribed = false;
    unsubscribe();
  };
};

function collectGarbage(): void {
  if (!gc) throw new Error('start this process with --expose-gc');
  gc();
}

const commands = {
  async census(): Promise<Census> {
    // What ended in this turn is let go of in the next ones: finalisers, `close` events, replies on their way.
    for (let turn = 0; turn < 3; turn++) {
      await sleep(50);
      collectGarbage();
    }
    const resources: Record<string, number> = {};
    for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
    const classes = { StreamSession, BoundedConnection, ServerResponse, AbortController };
    const alive = Object.fromEntries(Object.entries(classes).map(([name, type]) => [name, queryObjects(type, { format: 'count' })]));
    const { heapUsed, external } = process.memoryUsage();
    return { streams: server.streams.size, polls: server.polls.size, subscribers, resources, alive, heapUsed, external };
  },

  /** As {@link census}, at once and at no cost: what is about to go is counted too. */
  async counts(): Promise<Counts> {
    const connections = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    return { streams: server.streams.size, polls: server.polls.size, subscribers, connections, revision: server.service.revision };
  },

  /** Bytes as they are now, garbage included. */
  async memory(): Promise<NodeJS.MemoryUsage> {
    return process.memoryUsage();
  },

  /** One transaction, written past the server as another tool does. */
  async commit(values: Readonly<Record<string, string | null>>): Promise<number> {
    const operations = Object.entries(values).map(([key, value]): Operation => {
      const storeKey = layout.valueKey(key as ConfigKey);
      return value === null ? { type: 'delete', key: storeKey } : { type: 'put', key: storeKey, value: Buffer.from(value) };
    });
    const revision = await provider.commit({ checks: [], operations });
    await server.service.reached(revision);
    return revision;
  },

  /** One transaction with a text of `bytes` under each key. */
  async commitTogether({ keys, bytes }: { readonly keys: readonly string[]; readonly bytes: number }): Promise<number> {
    return commands.commit(Object.fromEntries(keys.map((key) => [key, 'x'.repeat(bytes)])));
  },

  /** Writes many values past the server, which shows each before the next. Resolves with the last revision. */
  async fill({ keys, count, bytes, from = 0, isRendered = false }: FillOptions): Promise<number> {
    let revision = 0;
    for (let i = from; i < from + count; i++) {
      const text = `${i} `;
      const key = keys[i % keys.length] as ConfigKey;
      revision = await commands.commit({ [key]: text + 'x'.repeat(Math.max(0, bytes - text.length)) });
      if (isRendered) server.service.renderedItem(key);
    }
    return revision;
  },

  async record(): Promise<void> {
    isRecording = true;
  },

  /** What truly happened since {@link record}; forgotten here. */
  async history(): Promise<readonly TrueBatch[]> {
    const head = await provider.head(layout.root);
    while (recorded < head) await nextTurn();
    isRecording = false;
    return history.splice(0);
  },

  /** Ten minutes pass: whatever is kept for its age only is let go of by the next write. The store, which lies in this process, drops its archive. */
  async age(): Promise<void> {
    agedMs += 600_000;
    const { entries } = await provider.list(layout.archive);
    for (let from = 0; from < entries.length; from += 100) {
      await provider.commit({
        checks: [],
        operations: entries.slice(from, from + 100).map(({ key }): Operation => ({ type: 'delete', key })),
      });
    }
  },

  /** Every item by key, with its version, as the server has it. */
  async items(): Promise<Readonly<Record<string, { readonly version: number; readonly text: string }>>> {
    const view = server.service.view();
    return Object.fromEntries(
      [...server.service.keysFrom(view, '', '')].map((key) => {
        const item = server.service.get(key, view);
        return [key, { version: item?.version ?? 0, text: item?.text ?? '' }];
      }),
    );
  },

  async stop(): Promise<void> {
    await server.close({ graceMs: 500, spreadMs: 0 });
    await provider.close();
    await recording.catch(() => undefined);
    // The reply is the last thing that keeps this process alive.
    process.nextTick(() => process.disconnect());
  },
};

export type StreamsNodeCommands = typeof commands;

process.on('message', ({ id, name, argument }: { id: number; name: keyof StreamsNodeCommands; argument: never }) => {
  const command = commands[name] as (argument: never) => Promise<unknown>;
  command(argument).then(
    (result) => process.send?.({ id, result }),
    (error: unknown) => process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.send?.({ port: server.port });
