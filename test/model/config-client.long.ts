import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { ConfigProvider } from '../../src/core/provider.ts';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { DEFAULT_WINDOW } from '../../src/server/cache/window.ts';
import { Cluster, FAST_FEED, NAMESPACE } from '../support/cluster.ts';
import { judgeClient } from '../support/judge-client.ts';
import { RecordedClient } from '../support/recorded-client.ts';
import { IS_LONG } from '../support/seed.ts';
import { clientSteps, healClients, restoredSteps, spectatorSteps, type ClientRun, type ClientStep } from './client-commands.ts';

const TIME_LIMIT_MS = IS_LONG ? 7_200_000 : 300_000;
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

type CreateStore = () => Promise<ConfigProvider>;

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
    await healClients(run);
    const histories = cluster.store.histories(NAMESPACE);
    for (const client of clients) {
      const record = client.record();
      expect(judgeClient(histories, record)).toEqual([]);
      count('runs of a client');
      count('calls', record.heard.length);
      count('resumed', record.cursors.length);
      count('second states', record.snapshots.length - 1);
      for (const [fault, times] of client.ledger.faults) count(fault, times);
      for (const { kind } of client.ledger.requests) count(kind);
    }
  } finally {
    for (const client of clients) await client[Symbol.asyncDispose]();
  }
}

interface Proof {
  readonly create: CreateStore;
  readonly steps: fc.Arbitrary<ClientStep>;
  /** Twenty times as many in the long form. */
  readonly runs: number;
}

async function prove(name: string, { create, steps, runs }: Proof): Promise<void> {
  const { ATTUNE_SEED, ATTUNE_PATH: failing } = process.env;
  const seed = Number(ATTUNE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.info(`${name}: ATTUNE_SEED=${seed}`);
  const property = fc.asyncProperty(anyShape, fc.array(steps, { minLength: 8, maxLength: 30, size: 'max' }), (shape, list) =>
    play(create, shape, list),
  );
  const details = await fc.check(property, {
    numRuns: IS_LONG ? runs * 20 : runs,
    seed,
    ...(failing !== undefined && { path: failing, endOnFailure: true }),
  });
  console.info(`${name}: ${[...happened].map(([what, times]) => `${times} ${what}`).join(', ')}`);
  if (!details.failed) return;
  const [shape, counterexample = []] = details.counterexample ?? [];
  const list = counterexample.map(({ text }) => `  ${text}`).join('\n');
  const error = details.errorInstance instanceof Error ? details.errorInstance : new Error(String(details.errorInstance));
  throw new Error(
    `run ${details.numRuns}, ATTUNE_SEED=${details.seed} ATTUNE_PATH=${details.counterexamplePath} broke on ${JSON.stringify(shape)}:\n${list}\n${error.message}`,
    { cause: error },
  );
}

const directories: string[] = [];

async function createMemory(): Promise<ConfigProvider> {
  const provider = new MemoryProvider();
  await provider.open();
  return provider;
}

async function createEmbedded(): Promise<ConfigProvider> {
  const directory = await mkdtemp(path.join(tmpdir(), 'attune-client-model-'));
  directories.push(directory);
  const provider = new EmbeddedProvider(directory);
  await provider.open();
  return provider;
}

afterAll(async () => {
  await Promise.all(directories.map((directory) => rm(directory, { recursive: true, force: true })));
});

/*
 * Not among the tests of a tier yet: of five runs one still ends in a verdict of which it is open whether the client or the judge is wrong
 * (ATTUNE_SEED=2033883385, "put back", the first state of a client that polls).
 */
describe('a ConfigClient on real servers keeps what it promises', () => {
  it(
    'telling each key its whole history, through cuts, stalls, spoiled frames, polls, restarts and node switches',
    async () => prove('spectators', { create: createMemory, steps: spectatorSteps, runs: 40 }),
    TIME_LIMIT_MS,
  );
  it(
    'with writes of its own in between',
    async () => prove('writers', { create: createMemory, steps: clientSteps, runs: 40 }),
    TIME_LIMIT_MS,
  );
  it(
    'over stores that are put back to an earlier state',
    async () => prove('restored', { create: createMemory, steps: restoredSteps, runs: 40 }),
    TIME_LIMIT_MS,
  );
  it('over the embedded store', async () => prove('embedded', { create: createEmbedded, steps: restoredSteps, runs: 15 }), TIME_LIMIT_MS);
});
