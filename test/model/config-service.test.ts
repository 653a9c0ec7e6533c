import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLayout } from '../../src/server/store/layout.ts';
import { DEFAULT_WINDOW } from '../../src/server/cache/window.ts';
import { Cluster, createMemory, FAST_FEED, NAMESPACE, type CreateStore } from '../support/cluster.ts';
import { createEmbedded } from '../support/embedded-stores.ts';
import { stateAt } from '../support/true-history.ts';
import { disasterSteps, everydaySteps, healAll, Run, type Step } from './commands.ts';
import { prove, TIME_LIMIT_MS } from './prove.ts';

const SMALL_WINDOW = { minAgeMs: -1, minBatches: 6, maxBytes: 1024 * 1024 };

interface Shape {
  readonly nodes: number;
  readonly hasSmallWindow: boolean;
  /** The store merges what happens between two reads, as Consul does: what other tools make and delete in between, nobody is told of. */
  readonly isMerging: boolean;
}

const anyShape: fc.Arbitrary<Shape> = fc
  .record({
    nodes: fc.integer({ min: 1, max: 2 }),
    hasSmallWindow: fc.boolean(),
    isMerging: fc.constantFrom(false, false, false, true),
  })
  .map((shape) => ({ ...shape, nodes: shape.isMerging ? 1 : shape.nodes }));
/** A store that keeps no past cannot prove a rollback by what other tools wrote; the fence that Consul needs for it is its provider's. */
const anyShapeWithPast = anyShape.map((shape) => ({ ...shape, isMerging: false }));

async function play(create: CreateStore, shape: Shape, steps: readonly Step[]): Promise<void> {
  const window = shape.hasSmallWindow ? SMALL_WINDOW : DEFAULT_WINDOW;
  await using cluster = await Cluster.start({ nodes: 0, create, window, feed: { ...FAST_FEED, silenceMs: 200 } });
  for (let count = 0; count < shape.nodes; count++) await cluster.addNode({ isMerging: shape.isMerging });
  const run = new Run(cluster);
  for (const step of steps) await step.run(run);
  await healAll(run);
  await cluster.settle();
  expect(cluster.verdict()).toEqual([]);
  requireOldValues(cluster);
  await requireSequences(cluster);
}

/** What a change says it replaced is what was there before it. */
function requireOldValues(cluster: Cluster): void {
  const histories = cluster.store.histories(NAMESPACE);
  const [history] = histories;
  if (histories.length > 1 || !history) return;
  for (const { told } of cluster.watchers) {
    for (const { change, gap } of told) {
      if (gap || !('oldValue' in change)) continue;
      const before = stateAt(history, change.version - 1).get(change.key);
      const [value] = JSON.parse(before?.content ?? '[null]') as [unknown];
      expect(change.oldValue, `${change.key} at ${change.version}`).toEqual(value);
    }
  }
}

/** The history records of a key are numbered from 1 without a hole. */
async function requireSequences(cluster: Cluster): Promise<void> {
  const { entries } = await cluster.store.list(createLayout(NAMESPACE).archive);
  const seen = new Map<string, number>();
  for (const { key } of entries) {
    const [, name = '', sequence = ''] = /^(.*)\/(\d{16})$/.exec(key) ?? [];
    expect(Number(sequence), key).toBe((seen.get(name) ?? 0) + 1);
    seen.set(name, Number(sequence));
  }
}

const LENGTHS = { minLength: 1, maxLength: 24 };

describe.each([
  { store: 'memory', create: createMemory, share: 0.8 },
  { store: 'embedded', create: createEmbedded, share: 0.2 },
])('ConfigService over the $store store keeps every guarantee', ({ store, create, share }) => {
  const proof = { lengths: LENGTHS, play: (shape: Shape, steps: readonly Step[]) => play(create, shape, steps) };
  it(
    'through writes, faults, restarts and compactions',
    async () => prove({ ...proof, name: `${store}, everyday`, shapes: anyShape, steps: everydaySteps, runs: 350 * share }),
    TIME_LIMIT_MS,
  );
  it(
    'through rollbacks, wipes and lost epochs',
    async () => prove({ ...proof, name: `${store}, disasters`, shapes: anyShapeWithPast, steps: disasterSteps, runs: 150 * share }),
    TIME_LIMIT_MS,
  );
});
