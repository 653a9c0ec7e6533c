import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { eventually } from '../support/eventually.ts';
import { HttpStream } from '../support/http-stream.ts';
import { NodeProcess } from '../support/node-process.ts';

const KILLS = process.env['ATTUNE_LONG'] === '1' ? 100 : 20;
const WRITERS = 8;
const NAMESPACE = 'app/config';

interface Write {
  readonly key: string;
  readonly value: string;
  /** Undefined if no answer came: it may have been applied, or not. */
  version: number | undefined;
}

const answerSchema = z.object({ version: z.int() });
const changeFrameSchema = z.object({
  revision: z.int(),
  changes: z.array(z.object({ key: z.string(), newValue: z.string(), version: z.int() })),
});
/** The value is kept as it was stored: the JSON text of a string. */
const recordSchema = z.object({ key: z.string(), value: z.string().transform((text) => z.string().parse(JSON.parse(text))) });

/** Writes to one key of its own, a new value each time, until it is told to stop. */
async function writeOn(port: () => number, key: string, writes: Write[], isOver: () => boolean): Promise<void> {
  for (let count = 0; !isOver(); count++) {
    const write: Write = { key, value: `${key} ${count}`, version: undefined };
    writes.push(write);
    try {
      const response = await fetch(`http://127.0.0.1:${port()}/api/v1/configs/${key}`, {
        method: 'PUT',
        body: JSON.stringify({ value: write.value }),
        headers: { 'Content-Type': 'application/json' },
      });
      if (response.ok) write.version = answerSchema.parse(await response.json()).version;
    } catch {
      await sleep(20); // The node was killed; it comes back.
    }
  }
}

/** Follows everything with one cursor over every restart; fails if it is ever told to start over. */
async function follow(port: () => number, seen: Map<number, string>, isOver: () => boolean): Promise<void> {
  let cursor: string | undefined;
  while (!isOver()) {
    try {
      const stream = await HttpStream.open(port(), {
        path: '/api/v1/watch',
        headers: cursor === undefined ? {} : { 'Last-Event-ID': cursor },
      });
      for (let block = await stream.next(); block; block = await stream.next()) {
        if (block.event === 'reset' || block.event === 'snapshot') throw new RangeError(`the stream began anew: ${block.raw}`);
        if (block.event === 'change') {
          const { changes } = changeFrameSchema.parse(block.data);
          for (const { key, newValue, version } of changes) {
            if (seen.has(version)) throw new RangeError(`version ${version} came twice`);
            if (version <= Math.max(0, ...[...seen.keys()].slice(-1))) throw new RangeError(`version ${version} came out of order`);
            seen.set(version, `${key}=${newValue}`);
          }
        }
        cursor = block.id ?? cursor;
      }
    } catch (error) {
      if (error instanceof RangeError) throw error;
      await sleep(20);
    }
  }
}

it(`Durable, Resumable: kill -9 during a stream of writes, ${KILLS} times, loses no acknowledged write and no follower a change`, async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'attune-crash-'));
  let node = await NodeProcess.start(dataDir);
  const { port } = node;
  const writes: Write[] = [];
  const seen = new Map<number, string>();
  let isOver = false;
  let isFollowed = false;
  const following = follow(
    () => port,
    seen,
    () => isFollowed,
  );
  const writing = Array.from({ length: WRITERS }, (_, index) =>
    writeOn(
      () => port,
      `crash/${index}`,
      writes,
      () => isOver,
    ),
  );
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      const before = writes.length;
      await eventually(() => expect(writes.length).toBeGreaterThan(before + 20 + Math.random() * 100));
      await node.end('SIGKILL');
      node = await NodeProcess.start(dataDir, port);
    }
    isOver = true;
    await Promise.all(writing);
    // The last change of all is the highest version of an item: nothing was deleted.
    const { items } = z.object({ items: z.array(answerSchema) }).parse(await (await fetch(`${node.url}/api/v1/configs`)).json());
    const last = Math.max(...items.map(({ version }) => version));
    await eventually(() => expect(seen.has(last)).toBe(true), 30_000);
    isFollowed = true;
    await node.end('SIGTERM'); // Ends the stream, and with it the follower's wait.
    await following;
  } finally {
    isOver = true;
    isFollowed = true;
    await node.end('SIGKILL');
    await Promise.allSettled([...writing, following]);
  }

  // The truth is what the store holds: one history record for each change, at the change's revision.
  await using provider = new EmbeddedProvider(dataDir);
  await provider.open();
  const { entries } = await provider.list(`${NAMESPACE}.attune/history/`);
  const truth = new Map(
    entries
      .map(({ revision, value }) => ({ revision: Number(revision), record: recordSchema.parse(JSON.parse(Buffer.from(value).toString())) }))
      .sort((a, b) => a.revision - b.revision)
      .map(({ revision, record }) => [revision, `${record.key}=${record.value}`]),
  );
  const acknowledged = writes.filter(({ version }) => version !== undefined);
  expect(acknowledged.length).toBeGreaterThan(KILLS * 20);
  const lost = acknowledged.filter(({ key, value, version }) => truth.get(version ?? 0) !== `${key}=${value}`);
  expect(lost).toEqual([]);
  const attempted = new Set(writes.map(({ key, value }) => `${key}=${value}`));
  expect([...truth.values()].filter((change) => !attempted.has(change))).toEqual([]);
  expect(new Set(truth.values()).size, 'no write was applied twice').toBe(truth.size);
  // Gap and repeat would both show: the follower saw the history, all of it, in order.
  expect([...seen]).toEqual([...truth]);
  await rm(dataDir, { recursive: true });
}, 300_000);
