import { setTimeout as sleep } from 'node:timers/promises';

import { beforeAll, describe, expect, it } from 'vitest';

import { streamFilterAt, type Filter } from './streams-filters.ts';
import { Follower } from './streams-follower.ts';
import type { Census } from './streams-node.ts';
import { StreamsNodeProcess } from './streams-node-process.ts';
import { Poller } from './streams-poller.ts';
import { StreamReader } from './streams-reader.ts';
import { Requester } from './streams-requester.ts';
import { firstDifference, truthOf } from './streams-truth.ts';
import { randomFrom, writeMany, writeEach } from './streams-writer.ts';

/*
 * A thousand streams and a thousand long-polls on one node while thousands of writes go by. What each was told is compared, change by
 * change, with what the store itself saw; what is left of them when they have gone is counted in the node's own process.
 */

const SCALE = process.env['ATTUNE_LONG'] ? 5 : 1;
const MARKER = '{"n":"marker"}';
// Generous: nothing here is a matter of time.
const TEST_MS = 300_000 * SCALE;

interface Sizes {
  readonly streams: number;
  readonly polls: number;
  readonly writes: number;
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000 * SCALE;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`this did not come true: ${what}`);
    await sleep(20);
  }
}

async function cursorOf(node: StreamsNodeProcess): Promise<string> {
  const requester = new Requester(node.port);
  const { headers } = await requester.send('/api/v1/status');
  requester.close();
  return headers.get('attune-cursor') ?? '';
}

/** Lets watchers come, follow the writes and leave. Resolves with what they were told, beside what is true. */
async function watchWrites(node: StreamsNodeProcess, { streams, polls, writes }: Sizes, seed: number) {
  const random = randomFrom(seed);
  await writeEach(node, null);
  await node.call('record');
  await writeEach(node, MARKER);
  const { revision: start } = await node.call('counts');
  const cursor = await cursorOf(node);
  // Every tenth is cut after a few frames and resumes.
  const followers = Array.from(
    { length: streams },
    (_, index) => new Follower(node.port, streamFilterAt(index), index % 10 === 3 ? 1 + Math.floor(random() * 12) : undefined),
  );
  await until('every stream is synced', () => followers.every(({ isSynced }) => isSynced));
  const pollers = Array.from({ length: polls }, (_, index) => new Poller(node.port, index, cursor));
  await until('every poll is held', async () => (await node.call('counts')).polls === polls);
  const atFull = await node.call('counts');

  const acknowledged = await writeMany(node, writes, seed);
  await writeEach(node, MARKER);
  const history = await node.call('history');
  const [truth, wholeTruth] = [truthOf(history, start), truthOf(history, 0)];
  // Every key has changed in the end: who was told of the last change of its filter has been told of what came before, or never will be.
  const last = (filter: Filter): string => truth(filter).at(-1)?.at(-1) ?? '';
  const isAtEnd = ({ kind, filter, answers, failure }: Poller): boolean => {
    const told = answers.at(-1)?.at(-1);
    return failure !== undefined || (kind === 'conditional' ? told?.split(' ')[0] === last(filter).split(' ')[0] : told === last(filter));
  };
  const isToldAll = (): boolean =>
    followers.every(({ filter, frames }) => frames.at(-1)?.at(-1) === last(filter)) && pollers.every(isAtEnd);
  // If it does not come true, the tests say of whom, and what was missed.
  await until('everybody was told the last change', isToldAll).catch(() => undefined);
  for (const watcher of [...followers, ...pollers]) watcher.close();
  return { followers, pollers, atFull, acknowledged, history, truth, wholeTruth };
}

describe('a thousand streams and a thousand long-polls while thousands of writes go by', () => {
  let seen: Awaited<ReturnType<typeof watchWrites>>;
  let before: Census;
  let after: Census;
  const sizes: Sizes = { streams: 1_000 * SCALE, polls: 1_000 * SCALE, writes: 5_000 * SCALE };

  beforeAll(async () => {
    await using node = await StreamsNodeProcess.start({ window: { minBatches: 16 } });
    await watchWrites(node, { streams: 100, polls: 100, writes: 500 }, 1);
    await settle(node);
    before = await node.call('census');
    seen = await watchWrites(node, sizes, 2);
    await settle(node);
    await until('the node has noticed that they are gone', async () => {
      const { subscribers, connections } = await node.call('counts');
      return subscribers + connections === 0;
    });
    after = await node.call('census');
  }, TEST_MS);

  it('holds all of them at once', () => {
    expect(seen.atFull).toMatchObject({ streams: sizes.streams, polls: sizes.polls, subscribers: sizes.streams + sizes.polls });
  });

  it('wrote what it acknowledged, as often as it acknowledged', () => {
    const revisions = seen.history.filter(({ changes }) => !changes.some(({ value }) => value === MARKER));
    expect(revisions).toHaveLength(seen.acknowledged.written);
    expect(revisions.length).toBeGreaterThanOrEqual(sizes.writes);
    const committed = new Map(seen.history.map(({ revision, changes: [first] }) => [revision, `${first?.key} ${first?.value}`]));
    expect([...seen.acknowledged.puts].filter(([revision, text]) => committed.get(revision) !== text)).toEqual([]);
  });

  it('tells every stream every revision of its filter once, in order and whole, also over a cut', () => {
    const wrong = seen.followers.flatMap(({ filter, frames, surprises }) => {
      const difference = surprises[0] ?? firstDifference(frames, seen.truth(filter));
      return difference === undefined ? [] : [`${JSON.stringify(filter)}: ${difference}`];
    });
    expect(wrong).toEqual([]);
  });

  it('tells every poll for many keys every revision of its filter once, in order, none divided between two answers', () => {
    const wrong = seen.pollers.flatMap(({ kind, filter, answers, failure }) => {
      if (kind !== 'many') return [];
      const difference = failure ?? firstDifference(byRevision(answers), seen.truth(filter));
      return difference === undefined ? [] : [`${JSON.stringify(filter)}: ${difference}`];
    });
    expect(wrong).toEqual([]);
  });

  it('tells every poll for one key nothing but what was true, in order, and the last state in the end', () => {
    const wrong = seen.pollers.flatMap(({ kind, filter, answers, failure }) => {
      if (kind === 'many') return [];
      const told = answers.map(([text = '']) => text);
      const lines = seen.wholeTruth(filter).map(([text = '']) => (kind === 'event' ? text : withoutName(text)));
      const places = told.map((text) => lines.indexOf(text));
      const isInOrder = places.every((place, index) => place >= 0 && place > (places[index - 1] ?? -1));
      const problem =
        failure ??
        (isInOrder ? undefined : 'not what was true, in order') ??
        (told.at(-1) === lines.at(-1) ? undefined : 'not the last state');
      return problem === undefined ? [] : [`${kind} ${JSON.stringify(filter)}: ${problem}`];
    });
    expect(wrong).toEqual([]);
  });

  it('keeps no stream, poll, subscriber, socket or timer of a client that has left', () => {
    const { heapUsed: _heap, external: _external, ...left } = after;
    const { heapUsed: _heapBefore, external: _externalBefore, ...there } = before;
    // A controller of the start, which nobody holds any more, may be collected in between.
    const controllers = left.alive['AbortController'] ?? 0;
    expect(controllers).toBeLessThanOrEqual(there.alive['AbortController'] ?? 0);
    expect(left).toEqual({ ...there, alive: { ...there.alive, AbortController: controllers } });
    expect(left).toMatchObject({ streams: 0, polls: 0, subscribers: 0, alive: { StreamSession: 0, BoundedConnection: 0 } });
  });

  it('gives the memory back', () => {
    // A stream costs 12 KB of heap, a poll 4: kept, they would be 16 MB. The caches' own tables and compiled code grow by up to 3.
    const toleratedBytes = 6 * 1024 * 1024 * SCALE;
    expect(after.heapUsed - before.heapUsed).toBeLessThan(toleratedBytes);
    expect(after.external - before.external).toBeLessThan(toleratedBytes);
  });
});

/** The changes of each revision together. */
function byRevision(answers: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return answers.flatMap((answer) => {
    const groups = new Map<string, string[]>();
    for (const text of answer) {
      const revision = text.slice(0, text.indexOf(' '));
      groups.set(revision, [...(groups.get(revision) ?? []), text]);
    }
    return [...groups.values()];
  });
}

/** `41 updated app/x 7` as a conditional GET tells it: `41 7`. */
function withoutName(text: string): string {
  const [version, , , ...value] = text.split(' ');
  return `${version} ${value.join(' ')}`;
}

/**
 * Brings the node to a state that does not depend on what went by: the window and the store forget what they keep for its age, and the caches
 * of rendered items, changes and frames, bounded by bytes (64 MiB each), are full of a few large values.
 */
async function settle(node: StreamsNodeProcess): Promise<void> {
  const keys = ['large/a', 'large/b'];
  let seen = 0;
  const reader = new StreamReader(node.port, { query: '?prefix=large/', onEvent: ({ id }) => (seen = Number(id?.split('-')[1])) });
  for (let from = 0; from < 140; from += 10) {
    const last = await node.call('fill', { keys, from, count: 10, bytes: 512 * 1024, isRendered: true });
    await until('the large frames are rendered and read', () => seen >= last);
  }
  reader.close();
  await node.call('commit', Object.fromEntries(keys.map((key) => [key, null])));
  await node.call('age');
  await node.call('fill', { keys: ['other/steady'], count: 300, bytes: 20 });
}
