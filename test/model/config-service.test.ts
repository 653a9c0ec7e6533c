import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLayout } from '../../src/server/store/layout.ts';
import { DEFAULT_WINDOW } from '../../src/server/cache/window.ts';
import type { ConfigKey } from '../../src/core/key.ts';
import { Cluster, NAMESPACE } from '../support/cluster.ts';
import { stateAt } from '../support/true-history.ts';
import { disasterSteps, everydaySteps, healAll, Run, type Step } from './commands.ts';

const LONG = process.env['ATTUNE_LONG'] === '1';
const TIME_LIMIT_MS = LONG ? 7_200_000 : 300_000;
const SMALL_WINDOW = { minAgeMs: -1, minBatches: 6, maxBytes: 1024 * 1024 };

interface Shape {
  readonly nodes: number;
  readonly hasSmallWindow: boolean;
  /** The store merges what happens between two reads, as Consul does. */
  readonly isMerging: boolean;
}

const anyShape: fc.Arbitrary<Shape> = fc.record({
  nodes: fc.integer({ min: 1, max: 2 }),
  hasSmallWindow: fc.boolean(),
  isMerging: fc.constantFrom(false, false, false, true),
});
/** A store that keeps no past cannot prove a rollback by what other tools wrote; the fence that Consul needs for it is its provider's. */
const anyShapeWithPast = anyShape.map((shape) => ({ ...shape, isMerging: false }));

async function play(shape: Shape, steps: readonly Step[]): Promise<void> {
  await using cluster = await Cluster.start({ nodes: 0, window: shape.hasSmallWindow ? SMALL_WINDOW : DEFAULT_WINDOW });
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
  expect(
    [...seen.keys()].every((name) =>
      name.startsWith(
        createLayout(NAMESPACE)
          .historyPrefix('a' as ConfigKey)
          .slice(0, -2),
      ),
    ),
  ).toBe(true);
}

async function prove(shapes: fc.Arbitrary<Shape>, steps: fc.Arbitrary<Step>, numRuns: number): Promise<void> {
  const { ATTUNE_SEED: seed, ATTUNE_PATH: path } = process.env;
  const property = fc.asyncProperty(shapes, fc.array(steps, { minLength: 1, maxLength: 24, size: 'max' }), play);
  const details = await fc.check(property, {
    numRuns: LONG ? numRuns * 20 : numRuns,
    ...(seed !== undefined && { seed: Number(seed) }),
    ...(path !== undefined && { path, endOnFailure: true }),
  });
  if (!details.failed) return;
  const [shape, failing = []] = details.counterexample ?? [];
  const list = failing.map(({ text }) => `  ${text}`).join('\n');
  const error = details.errorInstance instanceof Error ? details.errorInstance : new Error(String(details.errorInstance));
  throw new Error(
    `run ${details.numRuns}, ATTUNE_SEED=${details.seed} ATTUNE_PATH=${details.counterexamplePath} broke on ${JSON.stringify(shape)}:\n${list}\n${error.message}`,
    { cause: error },
  );
}

describe('ConfigService over a memory store', () => {
  it(
    'keeps every guarantee through writes, faults, restarts and compactions',
    async () => prove(anyShape, everydaySteps, 350),
    TIME_LIMIT_MS,
  );
  it(
    'keeps every guarantee through rollbacks, wipes and lost epochs',
    async () => prove(anyShapeWithPast, disasterSteps, 150),
    TIME_LIMIT_MS,
  );
});
