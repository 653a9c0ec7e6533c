import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { BoundedConnection, MAX_UNSENT_BYTES } from '../../src/server/http/bounded-connection.ts';
import { StalledCopy } from './stalled-copy.ts';
import { StreamsNodeProcess } from './streams-node-process.ts';
import { StreamReader } from './streams-reader.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** No test waits for a stall to be noticed unless it is about that. */
const NEVER_MS = 3_600_000;
const BULK_KEYS = Array.from({ length: 32 }, (_, index) => `bulk/${String(index).padStart(2, '0')}`);
/** Of values. A frame holds the value before too, so that twice as much goes to a reader. */
const BULK_BYTES = (process.env['ATTUNE_LONG'] ? 2_000 : 200) * MIB;
const VALUE_BYTES = 64 * KIB;

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 100_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`this did not come true: ${what}`);
    await sleep(10);
  }
}

/** A reader that keeps up, and knows by the ids alone whether it has been told of everything. */
function follow(
  node: StreamsNodeProcess,
  query: string,
): { readonly revisions: number[]; readonly others: string[]; readonly close: () => void } {
  const revisions: number[] = [];
  const others: string[] = [];
  const reader = new StreamReader(node.port, {
    query,
    onEvent: ({ event, id }) => {
      if (event === 'change') revisions.push(Number(id?.split('-')[1]));
      else if (event !== 'bookmark') others.push(event);
    },
    onEnd: () => others.push('end'),
  });
  return { revisions, others, close: () => reader.close() };
}

describe('a reader that stops reading while 200 MB of changes pass', () => {
  it('costs a bounded amount of memory, delays nobody, and is told the whole truth when it reads again', async () => {
    await using node = await StreamsNodeProcess.start({ stallMs: NEVER_MS, window: { minAgeMs: 0, minBatches: 16, maxBytes: 4 * MIB } });
    let written = 0;
    await node.call('fill', { keys: [...BULK_KEYS, 'pulse'], count: BULK_KEYS.length + 1, bytes: VALUE_BYTES });
    const stalled = new StalledCopy(node.port, 'bulk/');
    const bulk = follow(node, '?prefix=bulk/');
    const pulses = Array.from({ length: 20 }, () => follow(node, '?key=pulse'));
    await until('everybody is synced', () => stalled.revision > 0 && [bulk, ...pulses].every(({ others }) => others.includes('synced')));

    /** Lets changes pass, half a window at a time: nothing goes on before those who read have seen everything. */
    const pass = async (bytes: number, isStalled: boolean): Promise<void> => {
      for (const end = written + bytes / VALUE_BYTES; written < end; written += 8) {
        const last = await node.call('fill', { keys: BULK_KEYS, from: written, count: 8, bytes: VALUE_BYTES });
        const pulse = await node.call('commit', { pulse: String(written) });
        await until('those who read have seen it', () => {
          const isSeen = bulk.revisions.at(-1) === last && (isStalled || stalled.revision === last);
          return isSeen && pulses.every(({ revisions }) => revisions.at(-1) === pulse);
        });
      }
    };
    const isCurrent = (): boolean => stalled.revision >= (bulk.revisions.at(-1) ?? 0);
    const expectTruth = async (): Promise<void> => {
      const { pulse: _pulse, ...truth } = await node.call('items');
      expect(stalled.items).toEqual(truth);
    };
    // The caches of rendered changes and frames are bounded too (64 MiB each): full before anything is measured.
    await pass(96 * MIB, false);
    const before = await node.call('census');
    const { rss: rssBefore } = await node.call('memory');
    const seenBefore = bulk.revisions.length;

    stalled.pause();
    await pass(BULK_BYTES, true);

    const during = await node.call('census');
    const { rss: rssDuring } = await node.call('memory');
    // What is unsent when a frame is begun, that frame, and what the measurement itself varies by.
    const bound = MAX_UNSENT_BYTES + 2 * VALUE_BYTES + 6 * MIB;
    expect(during.heapUsed + during.external - before.heapUsed - before.external).toBeLessThan(bound);
    // Resident memory holds garbage as well: a quarter of what passed would be a queue.
    expect(rssDuring - rssBefore).toBeLessThan(100 * MIB);
    const expected = BULK_BYTES / VALUE_BYTES;
    expect(bulk.revisions.slice(seenBefore)).toHaveLength(expected);
    expect([bulk, ...pulses].map(({ others }) => others)).toEqual(Array.from({ length: 21 }, () => ['synced']));

    const resetData = (): unknown => stalled.told.findLast(({ event }) => event === 'reset')?.data;
    stalled.resume();
    await until('it is current again, or sent away', () => isCurrent() || stalled.isEnded);
    expect(stalled.events.slice(0, 6)).toEqual(['snapshot', 'synced', 'change', 'reset', 'snapshot', 'synced']);
    expect(resetData()).toEqual({ reason: 'slow' });
    // The system's buffers may have taken the reset while it stalled: then that snapshot is the second thing it was too slow for.
    if (!stalled.isEnded) {
      await expectTruth();
      await pass(1 * MIB, false);
      stalled.pause();
      await pass(40 * MIB, true);
      stalled.resume();
      await until('it is sent away', () => stalled.isEnded);
    }
    expect(stalled.told.at(-1)).toMatchObject({ event: 'goaway', data: { retryMs: expect.any(Number) } });
    stalled.reconnect();
    await until('it is current once more', isCurrent);
    expect(resetData()).toEqual({ reason: 'compacted' });
    await expectTruth();

    for (const reader of [stalled, bulk, ...pulses]) reader.close();
    await until('the node has noticed', async () => (await node.call('counts')).subscribers === 0);
  }, 300_000);

  it('is told every single change if the window still holds what it missed', async () => {
    await using node = await StreamsNodeProcess.start({ stallMs: NEVER_MS });
    await node.call('fill', { keys: BULK_KEYS, count: BULK_KEYS.length, bytes: VALUE_BYTES });
    const stalled = new StalledCopy(node.port, 'bulk/');
    await until('it is synced', () => stalled.revision > 0);
    const start = stalled.revision;
    stalled.pause();
    const last = await node.call('fill', { keys: BULK_KEYS, count: 384, bytes: VALUE_BYTES });
    stalled.resume();
    await until('it has caught up', () => stalled.revision === last);
    expect(stalled.events).toEqual(['snapshot', 'synced', 'change']);
    expect(stalled.revisions).toEqual(Array.from({ length: last - start }, (_, index) => start + 1 + index));
    expect(stalled.items).toEqual(await node.call('items'));
    stalled.close();
  });

  it('is closed after the stall time if it never reads again, and leaves nothing behind', async () => {
    await using node = await StreamsNodeProcess.start({ stallMs: 250 });
    await node.call('commit', { pulse: '0' });
    const before = await node.call('census');
    const pulses = follow(node, '?key=pulse');
    const stalled = Array.from({ length: 5 }, () => new StalledCopy(node.port, 'bulk/'));
    await until('all are synced', async () => stalled.every(({ revision }) => revision > 0) && pulses.others.includes('synced'));
    for (const reader of stalled) reader.pause();
    await node.call('fill', { keys: BULK_KEYS, count: 384, bytes: VALUE_BYTES });
    await until('only the one who reads is left', async () => (await node.call('counts')).streams === 1);
    const last = await node.call('commit', { pulse: '1' });
    await until('who reads is still told', () => pulses.revisions.at(-1) === last);
    pulses.close();
    await until('it is gone too', async () => (await node.call('counts')).subscribers === 0);
    const { alive, resources, streams } = await node.call('census');
    expect({ alive, resources, streams }).toEqual({ alive: before.alive, resources: before.resources, streams: 0 });
    for (const reader of stalled) reader.close();
  });
});

describe('a hundred readers that have stalled before one large frame', () => {
  it('share its bytes', async () => {
    await using node = await StreamsNodeProcess.start({ stallMs: NEVER_MS });
    const readers = Array.from({ length: 100 }, () => new StalledCopy(node.port, 'large/'));
    await until('all are synced', () => readers.every(({ told }) => told.length > 0));
    for (const reader of readers) reader.pause();
    const before = await node.call('census');
    const keys = Array.from({ length: 16 }, (_, index) => `large/${index}`);
    const last = await node.call('commitTogether', { keys, bytes: 512 * KIB });
    const during = await node.call('census');
    expect(during.streams).toBe(100);
    // The values, their rendered changes, the frame: 8 MiB each. A frame for each reader would be 800.
    expect(during.heapUsed + during.external - before.heapUsed - before.external).toBeLessThan(40 * MIB);
    for (const reader of readers) reader.resume();
    await until('all have read it', () => readers.every(({ revision }) => revision === last));
    expect(
      readers.every(({ items }) => Object.values(items).every(({ version, text }) => version === last && text.length === 512 * KIB)),
    ).toBe(true);
    for (const reader of readers) reader.close();
  }, 180_000);
});

describe('a reader that is sent away', () => {
  // Regression: it kept its connection, and what was unsent, for as long as it liked.
  it('is closed after the stall time if it does not take the farewell', async () => {
    let closed: Promise<unknown> | undefined;
    const server = createServer((_request, response) => {
      const connection = new BoundedConnection(response);
      closed = once(response, 'close');
      connection.sendHead();
      connection.write(Buffer.alloc(32 * MIB));
      connection.end(100);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
    socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(server, 'request');
    await closed;
    socket.destroy();
    server.close();
  });
});

describe('readers that vanish', () => {
  const STAGES = [
    'on connecting',
    'in the request',
    'before the head',
    'after the head',
    'in the snapshot',
    'in a frame',
    'while polling',
  ] as const;
  const EACH = process.env['ATTUNE_LONG'] ? 1_500 : 75;

  it(`leave nothing behind, ${EACH} times at each of ${STAGES.length} stages`, async () => {
    await using node = await StreamsNodeProcess.start({ window: { minAgeMs: 0, minBatches: 16, maxBytes: 4 * MIB } });
    const keys = Array.from({ length: 128 }, (_, index) => `store/${index}`);
    await node.call('fill', { keys, count: 128, bytes: 32 * KIB });
    const watch = 'GET /api/v1/watch?prefix=store/&snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const poll = 'GET /api/v1/configs?watch&prefix=never/&wait=120s HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const isFull = (await node.call('items'))['store/0']?.text.length === 32 * KIB;
    expect(isFull).toBe(true);

    const vanish = async (stage: (typeof STAGES)[number], index: number): Promise<void> => {
      const socket = connect(node.port, '127.0.0.1').on('error', () => undefined);
      const gone = once(socket, 'close');
      const reset = (): unknown => socket.resetAndDestroy();
      /** Resets once so many bytes have come: anywhere in what is on its way. */
      const resetAfter = (bytes: number): void => {
        let left = bytes;
        socket.on('data', (chunk: Buffer) => (left -= chunk.byteLength) <= 0 && reset());
      };
      await once(socket, 'connect');
      switch (stage) {
        case 'on connecting':
          reset();
          break;
        case 'in the request':
          socket.write(watch.slice(0, 1 + (index % (watch.length - 1))), () => (index % 2 === 0 ? reset() : setImmediate(reset)));
          break;
        case 'before the head':
          socket.write(watch, () => (index % 2 === 0 ? reset() : setImmediate(reset)));
          break;
        case 'after the head':
          socket.write(watch);
          resetAfter(1);
          break;
        case 'in the snapshot':
          socket.write(watch);
          resetAfter(1 + ((index * 7_919) % (3 * MIB)));
          break;
        case 'in a frame':
          // The snapshot has been read by then; the writer sees to it that frames follow.
          socket.write(watch);
          resetAfter(4.5 * MIB + ((index * 7_919) % (512 * KIB)));
          break;
        case 'while polling':
          socket.write(poll, () => setTimeout(reset, index % 20));
          break;
      }
      await gone;
    };

    let isWriting = true;
    const run = async (each: number): Promise<void> => {
      isWriting = true;
      const writing = (async () => {
        for (let from = 0; isWriting; from += 4) await node.call('fill', { keys, from, count: 4, bytes: 32 * KIB });
      })();
      const jobs = STAGES.flatMap((stage) => Array.from({ length: each }, (_, index) => [stage, index] as const));
      const work = async (): Promise<void> => {
        for (let job = jobs.pop(); job; job = jobs.pop()) await vanish(...job);
      };
      await Promise.all(Array.from({ length: 24 }, work));
      isWriting = false;
      await writing;
      await until('the node has noticed', async () => {
        const { streams, polls, subscribers, connections } = await node.call('counts');
        return streams + polls + subscribers + connections === 0;
      });
    };
    await run(3);
    const before = await node.call('census');
    await run(EACH);
    const after = await node.call('census');
    expect({ ...after, heapUsed: 0, external: 0 }).toEqual({ ...before, heapUsed: 0, external: 0 });
    expect(after.alive).toMatchObject({ StreamSession: 0, BoundedConnection: 0 });
  }, 180_000);
});
