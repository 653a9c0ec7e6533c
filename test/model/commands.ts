import fc from 'fast-check';
import { expect } from 'vitest';
import { type Cluster, EPOCH_KEY, NAMESPACE, type ClusterNode, type UserWrite } from '../support/cluster.ts';
import { REFUSED, REPLY_LOST, REQUEST_LOST, type CommitFault } from '../support/faulty-provider.ts';
import type { NodeAnswer, AnyBody } from '../support/node-call.ts';
import { headOf, stateAt, type TrueHistory, type TrueItem, type WatchFilter } from '../support/true-history.ts';
import { expectWrite } from './expectation.ts';

/** One run: a cluster, and what its users remember. */
export class Run {
  readonly cluster: Cluster;
  /** Positions that answers gave, oldest first. */
  readonly cursors: string[] = [];
  /** Nodes that were disturbed and not yet seen healthy: their answers may be refusals. */
  readonly disturbed = new Set<ClusterNode>();
  /** The store was put back, and not every node has been seen to know it. */
  isRestored = false;
  /** Nodes that may be about to list after a compaction. */
  readonly listing = new Set<ClusterNode>();
  #values = 0;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  history(): TrueHistory {
    const history = this.cluster.store.histories(NAMESPACE).at(-1);
    if (!history) throw new Error('there is no history');
    return history;
  }

  item(key: string): TrueItem | undefined {
    const history = this.history();
    return stateAt(history, headOf(history)).get(key);
  }

  etag(key: string): string | undefined {
    const version = this.item(key)?.version;
    const chain = this.history().chains.at(-1) ?? [];
    if (version === undefined) return undefined;
    return `${(chain.findLast((link) => link.from <= version) ?? chain[0])?.id}-${version}`;
  }

  nextValue(): string {
    return `value ${++this.#values}`;
  }

  disturb(...nodes: readonly ClusterNode[]): void {
    for (const node of nodes) this.disturbed.add(node);
  }

  remember(answer: NodeAnswer<AnyBody>): void {
    const cursor = answer.header('attune-cursor');
    if (cursor !== undefined) this.cursors.push(cursor);
  }
}

/** Something somebody does to a run. Printed, with its seed, where a run fails. */
export interface Step {
  readonly text: string;
  readonly run: (run: Run) => Promise<void>;
}

const KEYS = ['a', 'a/1', 'a/2', 'a/10', 'b/x', 'b/ü €'] as const;
const PREFIXES = ['', 'a/', 'a/1', 'b/'] as const;
const OUTSIDE_VALUES = [
  '{"o":1}',
  '[1,2]',
  '42',
  '007',
  '1e3',
  'plain text',
  '"quoted"',
  'null',
  '',
  ' {"pad":true} ',
  '{broken',
  '\u00ff',
] as const;

const anyKey = fc.constantFrom(...KEYS);
const anyPlace = fc.nat({ max: 5 });
const anyValue = fc.oneof(
  fc.constantFrom<unknown>('same', 'same', 1, 1.5, true, null, 'text', '', { x: 1, y: [2] }, { y: [2], x: 1 }, [], 'line\nfeed\u2028'),
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown),
);
const anyMetadata = fc.constantFrom<Readonly<Record<string, string>> | undefined>(
  undefined,
  undefined,
  {},
  { team: 'pay' },
  { team: 'pay', note: 'a "b"' },
);

interface AskedCondition {
  readonly text: string;
  readonly of: (run: Run, key: string) => Pick<UserWrite, 'ifVersion' | 'ifMatch' | 'ifAbsent'>;
}

const anyCondition = fc.constantFrom<AskedCondition>(
  { text: '', of: () => ({}) },
  { text: '', of: () => ({}) },
  { text: 'if right version', of: (run, key) => ({ ifVersion: run.item(key)?.version ?? 0 }) },
  { text: 'if wrong version', of: (run, key) => ({ ifVersion: (run.item(key)?.version ?? 0) + 1 }) },
  { text: 'if right tag', of: (run, key) => ({ ifMatch: run.etag(key) ?? '*' }) },
  { text: 'if foreign tag', of: (run, key) => ({ ifMatch: `foreign-${run.item(key)?.version ?? 1}` }) },
  { text: 'if a tag seen before', of: (run) => ({ ifMatch: run.cursors.at(-3) ?? '*' }) },
  { text: 'if there', of: () => ({ ifMatch: '*' }) },
  { text: 'if absent', of: () => ({ ifAbsent: true }) },
);

/** A write while nobody else writes: what comes of it is known beforehand. */
async function writeAlone(run: Run, node: ClusterNode, write: UserWrite): Promise<void> {
  const { cluster } = run;
  const head = cluster.store.position;
  const before = run.item(write.key);
  const expected = expectWrite(before, run.etag(write.key), write);
  const answer = await cluster.write(node, write);
  run.remember(answer);
  const isDisturbed = run.disturbed.has(node);
  if (isDisturbed) {
    // The epoch, and with it every tag, may change at any moment.
    const allowed = [expected.status, 503, 504, ...(write.ifMatch === undefined ? [] : [412])];
    expect(allowed, JSON.stringify(answer.body)).toContain(answer.status);
    if (answer.status !== expected.status) return;
  } else expect(answer.status, `${JSON.stringify(write)}: ${JSON.stringify(answer.body)}`).toBe(expected.status);
  const item = run.item(write.key);
  expect(item?.content).toBe(expected.content);
  if (expected.isCommitted) expect(cluster.store.position.revision).toBeGreaterThan(head.revision);
  else expect(item).toEqual(before);
  if (answer.status === 200 || answer.status === 201)
    expect(answer.body).toMatchObject({ version: item?.version, ...(!isDisturbed && { etag: run.etag(write.key) }) });
}

const put = fc
  .record({ key: anyKey, value: anyValue, metadata: anyMetadata, isText: fc.boolean(), condition: anyCondition, place: anyPlace })
  .map(({ key, value, metadata, isText, condition, place }): Step => ({
    text: `put ${key} = ${JSON.stringify(value)} ${metadata ? JSON.stringify(metadata) : ''} ${condition.text}`,
    run: (run) =>
      writeAlone(run, run.cluster.nodeAt(place), {
        key,
        value,
        ...(metadata && { metadata }),
        ...(isText && typeof value === 'string' && { contentType: 'text/plain' }),
        ...condition.of(run, key),
      }),
  }));

const remove = fc.record({ key: anyKey, condition: anyCondition, place: anyPlace }).map(({ key, condition, place }): Step => ({
  text: `delete ${key} ${condition.text}`,
  run: (run) => {
    const { ifAbsent: _never, ...conditions } = condition.of(run, key);
    return writeAlone(run, run.cluster.nodeAt(place), { key, ...conditions });
  },
}));

/** Several at once, to few keys, some on conditions: the judge tells who may have won. */
const race = fc
  .array(
    fc.record({
      key: fc.constantFrom(...KEYS.slice(0, 3)),
      place: anyPlace,
      kind: fc.constantFrom('put', 'put', 'if right', 'if absent', 'delete', 'outside'),
    }),
    {
      minLength: 2,
      maxLength: 8,
    },
  )
  .map((writers): Step => ({
    text: `race of ${writers.map(({ key, kind }) => `${kind} ${key}`).join(', ')}`,
    run: async (run) => {
      const version = new Map(writers.map(({ key }) => [key, run.item(key)?.version ?? 0]));
      await Promise.all(
        writers.map(async ({ key, place, kind }) => {
          if (kind === 'outside') return void (await run.cluster.outside({ [key]: JSON.stringify(run.nextValue()) }));
          const value = run.nextValue();
          const ifVersion = kind === 'if right' ? { ifVersion: version.get(key) ?? 0 } : {};
          const write =
            kind === 'delete' ? { key } : { key, value, isUnique: true, ...ifVersion, ...(kind === 'if absent' && { ifAbsent: true }) };
          run.remember(await run.cluster.write(run.cluster.nodeAt(place), write));
        }),
      );
    },
  }));

const outside = fc.dictionary(anyKey, fc.constantFrom(...OUTSIDE_VALUES, null), { minKeys: 1, maxKeys: 4 }).map((values): Step => ({
  text: `outside ${JSON.stringify(values)}`,
  run: async (run) => {
    await run.cluster.outside(values);
  },
}));

/** Bytes that are not text, keys outside the grammar, revisions without a change under the namespace. */
const oddities = fc.constantFrom<Step>(
  { text: 'outside bytes', run: async (run) => void (await run.cluster.outside({ 'a/2': Buffer.from([0xff, 0x00, 0x80]) })) },
  { text: 'outside key of no grammar', run: async (run) => void (await run.cluster.outside({ 'a//2': 'x', 'a/../b': 'y', 'b/x': 'z' })) },
  { text: 'elsewhere', run: async (run) => void (await run.cluster.elsewhere()) },
);

const read = fc
  .record({ key: anyKey, place: anyPlace, kind: fc.constantFrom('plain', 'strong', 'newest', 'old') })
  .map(({ key, place, kind }): Step => ({
    text: `read ${key} ${kind}`,
    run: async (run) => {
      const minimum = kind === 'newest' ? run.cursors.at(-1) : kind === 'old' ? run.cursors[0] : undefined;
      const answer = await run.cluster.read(run.cluster.nodeAt(place), key, {
        ...(minimum !== undefined && { minimum }),
        isStrong: kind === 'strong',
      });
      run.remember(answer);
      expect([200, 404, 410, 503], JSON.stringify(answer.body)).toContain(answer.status);
    },
  }));

const poll = fc.record({ place: anyPlace, which: fc.nat({ max: 1 }) }).map(({ place, which }): Step => ({
  text: `poll ${which}`,
  run: async ({ cluster }) => {
    const poller = cluster.pollers[which] ?? cluster.poller();
    const status = await poller.poll(cluster.nodeAt(place).server.url);
    expect([200, 410, 503]).toContain(status);
  },
}));

const anyFilter: fc.Arbitrary<WatchFilter> = fc.record({
  keys: fc.subarray([...KEYS], { maxLength: 2 }),
  prefixes: fc.subarray([...PREFIXES], { maxLength: 2 }),
});

const openStream = fc
  .record({ filter: anyFilter, wantsSnapshot: fc.boolean(), place: anyPlace })
  .map(({ filter, wantsSnapshot, place }): Step => ({
    text: `stream ${JSON.stringify(filter)} ${wantsSnapshot ? 'with snapshot' : ''}`,
    run: async ({ cluster }) => {
      if (cluster.watchers.length >= 6) return;
      const watcher = cluster.watcher({
        filter: filter.keys.length + filter.prefixes.length === 0 ? { keys: [], prefixes: [''] } : filter,
        wantsSnapshot,
      });
      await watcher.connect(cluster.nodeAt(place).server.url);
    },
  }));

const cutStream = fc.record({ which: anyPlace, isLate: fc.boolean() }).map(({ which, isLate }): Step => ({
  text: `cut stream ${which}${isLate ? ' once synced' : ''}`,
  run: async ({ cluster }) => {
    const watcher = cluster.watchers[which];
    if (isLate && watcher?.isConnected)
      await watcher.until('synced', () => watcher.lastId !== undefined || !watcher.isConnected).catch(() => undefined);
    watcher?.cut();
  },
}));

const resumeStream = fc.record({ which: anyPlace, place: anyPlace, isInUrl: fc.boolean() }).map(({ which, place, isInUrl }): Step => ({
  text: `resume stream ${which}`,
  run: async (run) => {
    const watcher = run.cluster.watchers[which];
    const node = run.cluster.nodeAt(place);
    if (!watcher) return;
    const { service } = node.server;
    const isHealthy = !run.disturbed.has(node) && service.state === 'live' && service.revision === run.cluster.store.position.revision;
    const since = watcher.lastId;
    const isHeld = isHealthy && since !== undefined && isOfCurrentChain(run, since) && Number(since.split('-')[1]) >= service.window.oldest;
    await watcher.connect(node.server.url, { isInUrl, isHeld });
  },
}));

function isOfCurrentChain(run: Run, cursor: string): boolean {
  const [epoch, revision] = [cursor.split('-')[0], Number(cursor.split('-')[1])];
  const chain = run.history().chains.at(-1) ?? [];
  return (chain.findLast((link) => link.from <= revision) ?? chain[0])?.id === epoch;
}

const disturbance = (text: string, disturb: (run: Run, node: ClusterNode) => Promise<void> | void): fc.Arbitrary<Step> =>
  anyPlace.map((place) => ({
    text: `${text} node ${place}`,
    run: async (run) => {
      const node = run.cluster.nodeAt(place);
      run.disturb(node);
      await disturb(run, node);
    },
  }));

const cutWatch = disturbance('cut the watch of', (_run, { provider }) => provider.cutWatches());
const cutWatchesSoon = disturbance('cut each watch soon of', (_run, { provider }) => provider.cutWatchesAfter(2));
// Not for long: a write waits for its node to show it.
const hold = disturbance('hold back', (_run, { provider }) => {
  provider.hold();
  setTimeout(() => provider.release(), 20);
});
const compactNode = disturbance('compaction seen by', (run, node) => {
  run.listing.add(node);
  node.provider.compact();
});
const silence = disturbance('not a word from the store to the watch of', (_run, { provider }) => {
  provider.silence();
  provider.endSilence();
});
const down = disturbance('no store for', (_run, { provider }) => provider.down());
const restart = disturbance('restart', async (run, node) => {
  const { cluster, disturbed } = run;
  heal(node);
  // A restored store that other tools write to before any node has noticed keeps its old epoch: nothing can tell its revisions apart.
  if (run.isRestored) await healAll(run);
  await cluster.restart(node);
  await cluster.caughtUp(node);
  disturbed.delete(node);
});

function heal({ provider }: ClusterNode): void {
  provider.up();
  provider.release();
  provider.cutWatchesAfter(undefined);
  provider.onCommit = () => undefined;
}

export async function healAll(run: Run): Promise<void> {
  for (const node of run.cluster.nodes) heal(node);
  await Promise.all(run.cluster.nodes.map((node) => run.cluster.caughtUp(node)));
  run.disturbed.clear();
  run.listing.clear();
  run.isRestored = false;
}

const recover: fc.Arbitrary<Step> = fc.constant({ text: 'heal', run: healAll });

/** One commit goes wrong. */
const badCommit = fc
  .record({ key: anyKey, place: anyPlace, kind: fc.constantFrom('reply lost', 'request lost', 'refused', 'overtaken') })
  .map(({ key, place, kind }): Step => ({
    text: `${kind}: put ${key}`,
    run: async (run) => {
      const node = run.cluster.nodeAt(place);
      const overtaken: CommitFault = {
        isApplied: true,
        after: async () => void (await run.cluster.outside({ [key]: JSON.stringify(run.nextValue()) })),
      };
      const fault = { 'reply lost': REPLY_LOST, 'request lost': REQUEST_LOST, refused: REFUSED, overtaken }[kind] ?? REFUSED;
      let isDone = false;
      let isBehind = false;
      node.provider.onCommit = ({ operations }) => {
        // Not that of an epoch, which a node may have to begin just now.
        if (!operations.some((operation) => operation.key === `${NAMESPACE}/${key}`)) return undefined;
        const current = isDone ? undefined : fault;
        if (!isDone) isBehind = node.server.service.revision < run.cluster.store.position.revision;
        isDone = true;
        return current;
      };
      const answer = await run.cluster.write(node, { key, value: run.nextValue(), isUnique: true });
      node.provider.onCommit = () => undefined;
      if (run.disturbed.has(node)) return;
      // Had the key moved before, the lost commit would have been refused: it is known, and the write goes on.
      const lost = isBehind ? [504, 200, 201] : [504];
      const statuses = { 'reply lost': [200, 201], 'request lost': lost, refused: [503], overtaken: [200, 201] }[kind];
      expect(statuses, JSON.stringify(answer.body)).toContain(answer.status);
    },
  }));

const rollBack = fc.record({ part: fc.nat({ max: 100 }), comesBack: fc.boolean() }).map(({ part, comesBack }): Step => ({
  text: `roll the store back to ${part} %${comesBack ? ', then write until its revision is where it was' : ''}`,
  run: async (run) => {
    const { cluster } = run;
    run.disturb(...cluster.nodes);
    run.isRestored = true;
    // Of a store that is put back at the very moment at which a node has to list, its past being gone, a list cannot prove enough.
    await Promise.all([...run.listing].filter(({ provider }) => !provider.isDown).map((node) => cluster.caughtUp(node)));
    for (const { provider } of cluster.nodes) provider.release();
    const { revision } = cluster.store.position;
    await cluster.store.rollBack(Math.floor((revision * part) / 100));
    while (comesBack && cluster.store.position.revision < revision) await cluster.outside({ 'b/x': JSON.stringify(run.nextValue()) });
  },
}));

const wipe = fc.constantFrom<Step>(
  {
    text: 'wipe the namespace',
    run: async (run) => {
      run.disturb(...run.cluster.nodes);
      await run.cluster.store.wipe(`${NAMESPACE}/`);
    },
  },
  {
    text: 'delete the epoch key',
    run: async (run) => {
      run.disturb(...run.cluster.nodes);
      await run.cluster.store.wipe(EPOCH_KEY);
    },
  },
);

const usual = [
  put,
  put,
  put,
  remove,
  race,
  outside,
  outside,
  oddities,
  read,
  read,
  poll,
  poll,
  openStream,
  openStream,
  cutStream,
  resumeStream,
  resumeStream,
] as const;
const faults = [cutWatch, cutWatchesSoon, hold, compactNode, silence, down, restart, recover, recover, badCommit] as const;

/** Steps of a run on stores that are never put back. */
export const everydaySteps: fc.Arbitrary<Step> = fc.oneof(...usual, ...faults);

/** The same, with disasters. */
export const disasterSteps: fc.Arbitrary<Step> = fc.oneof(...usual, ...faults, rollBack, wipe);
