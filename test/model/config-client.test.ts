import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { DEFAULT_WINDOW } from '../../src/server/cache/window.ts';
import { Cluster, createMemory, FAST_FEED, NAMESPACE, type CreateStore } from '../support/cluster.ts';
import { createEmbedded } from '../support/embedded-stores.ts';
import { judgeClient } from '../support/judge-client.ts';
import { RecordedClient } from '../support/recorded-client.ts';
import { clientSteps, endRun, restoredSteps, spectatorSteps, type ClientRun, type ClientStep } from './client-commands.ts';
import { prove, TIME_LIMIT_MS } from './prove.ts';

const SMALL_WINDOW = { minAgeMs: -1, minBatches: 6, maxBytes: 1024 * 1024 };

interface Shape {
  readonly nodes: number;
  readonly clients: number;
  readonly prefixes: readonly string[];
  readonly hasSmallWindow: boolean;
}

const anyShape: fc.Arbitrary<Shape> = fc.record({
  nodes: fc.integer({ min: 1, max: 2 }),
  clients: fc.integer({ min: 1, max: 2 }),
  prefixes: fc.constantFrom([''], [''], ['a/'], ['a/', 'b/']),
  hasSmallWindow: fc.boolean(),
});

/** What came to pass over all runs: a fault that never did would prove nothing. */
const happened = new Map<string, number>();

function count(what: string, times = 1): void {
  if (times > 0) happened.set(what, (happened.get(what) ?? 0) + times);
}

async function play(create: CreateStore, shape: Shape, steps: readonly ClientStep[]): Promise<void> {
  const window = shape.hasSmallWindow ? SMALL_WINDOW : DEFAULT_WINDOW;
  await using cluster = await Cluster.start({ nodes: shape.nodes, create, window, feed: { ...FAST_FEED, silenceMs: 200 } });
  await cluster.outside({ 'a/1': '1', 'b/x': '"first"' });
  const servers = cluster.nodes.map(({ server }) => server.url);
  const clients: RecordedClient[] = [];
  try {
    for (let index = 0; index < shape.clients; index++) clients.push(await RecordedClient.create(shape.prefixes, servers));
    const run: ClientRun = { cluster, clients, prefixes: shape.prefixes };
    for (const client of clients) client.start();
    for (const step of steps) await step.run(run);
    await endRun(run);
    const histories = cluster.store.histories(NAMESPACE);
    for (const client of clients) {
      const record = client.record();
      expect(judgeClient(histories, record)).toEqual([]);
      count('runs of a client');
      count('times put back', histories.length - 1);
      count('calls', record.heard.length);
      count('covered', record.heard.filter(({ override }) => override !== undefined).length);
      count('resumed', record.cursors.length);
      count('second states', record.snapshots.length - 1);
      for (const [fault, times] of client.ledger.faults) count(fault, times);
      for (const { kind } of client.ledger.requests) count(kind);
    }
  } finally {
    for (const client of clients) await client[Symbol.asyncDispose]();
  }
}

const LENGTHS = { minLength: 8, maxLength: 30 };

describe('a ConfigClient on real servers keeps what it promises', () => {
  const proof = (create: CreateStore) => ({
    shapes: anyShape,
    lengths: LENGTHS,
    play: (shape: Shape, steps: readonly ClientStep[]) => play(create, shape, steps),
  });
  it(
    'telling each key its whole history, through cuts, stalls, spoiled frames, polls, restarts and node switches',
    async () => prove({ ...proof(createMemory), name: 'spectators', steps: spectatorSteps, runs: 30 }),
    TIME_LIMIT_MS,
  );
  it(
    'with writes of its own in between',
    async () => prove({ ...proof(createMemory), name: 'writers', steps: clientSteps, runs: 30 }),
    TIME_LIMIT_MS,
  );
  it(
    'over stores that are put back to an earlier state',
    async () => prove({ ...proof(createMemory), name: 'put back', steps: restoredSteps, runs: 30 }),
    TIME_LIMIT_MS,
  );
  it(
    'over the embedded store',
    async () => prove({ ...proof(createEmbedded), name: 'embedded', steps: restoredSteps, runs: 12 }),
    TIME_LIMIT_MS,
  );
  afterAll(() => console.info([...happened].map(([what, times]) => `${times} ${what}`).join(', ')));
});
