import assert from 'node:assert/strict';
import { isAttuneError, type Operation, type Revision, type StoredBatch } from '../core/provider.ts';
import { Random } from './random.ts';
import { describeChanges, describeEntries, describeEntry, putOf, type Scenario } from './scenario.ts';
import { nextTurn } from './within.ts';

const MARKER = 'marker';

/** What was committed, in whatever order the replies came: the truth that deliveries are held against. */
export class Journal {
  readonly #commits = new Map<Revision, readonly Operation[]>();

  /** Every transaction recorded holds at least one put, so that its revision is its own. */
  record(revision: Revision, operations: readonly Operation[]): void {
    assert.ok(!this.#commits.has(revision), `Unique: two commits returned revision ${revision}`);
    this.#commits.set(revision, operations);
  }

  /** What a watch of `prefix` delivers after `after` and up to `upTo`, in words. */
  expected(prefix: string, after: Revision, upTo: Revision): string[] {
    const created = new Map<string, Revision>();
    const batches: string[] = [];
    for (const [revision, operations] of [...this.#commits].sort(([a], [b]) => a - b)) {
      const changes: StoredBatch['changes'][number][] = [];
      for (const operation of operations) {
        const since = created.get(operation.key);
        if (operation.type === 'delete') {
          if (since === undefined) continue;
          created.delete(operation.key);
          changes.push({ type: 'delete', key: operation.key, revision });
        } else {
          created.set(operation.key, since ?? revision);
          changes.push({
            type: 'put',
            entry: { key: operation.key, value: operation.value, revision, createdRevision: since ?? revision },
          });
        }
      }
      const seen = changes.filter((change) => (change.type === 'put' ? change.entry.key : change.key).startsWith(prefix));
      if (seen.length > 0 && revision > after && revision <= upTo) batches.push(describeBatch({ revision, changes: seen }));
    }
    return batches;
  }
}

export function describeBatch(batch: StoredBatch): string {
  return `${batch.revision}: ${describeChanges(batch).join(', ')}`;
}

export interface LoadOptions {
  readonly writers: number;
  /** Per writer. */
  readonly commits: number;
  readonly seed: number;
  readonly folders?: readonly string[];
}

/**
 * Writers at the same time, each with transactions of one to four keys of a small set, so that keys are overwritten, deleted and
 * created again; then a put of a marker in every folder, which ends whoever follows.
 */
export async function runLoad(s: Scenario, options: LoadOptions): Promise<{ readonly journal: Journal; readonly last: Revision }> {
  const journal = new Journal();
  const folders = options.folders ?? [''];
  const commit = async (operations: readonly Operation[]): Promise<Revision> => {
    const revision = await s.commit([], operations);
    journal.record(revision, operations);
    return revision;
  };
  await Promise.all(
    Array.from({ length: options.writers }, async (_, writer) => {
      const random = new Random(options.seed + writer);
      for (let round = 0; round < options.commits; round++) {
        const keys = new Set(
          Array.from({ length: 1 + random.below(4) }, () => s.key(`${folders[random.below(folders.length)]}key-${random.below(8)}`)),
        );
        await commit(
          [...keys].map((key, index): Operation =>
            index > 0 && random.below(3) === 0 ? { type: 'delete', key } : putOf(key, `${writer}-${round}`),
          ),
        );
        if (random.below(4) === 0) await nextTurn();
      }
    }),
  );
  const last = await commit(folders.map((folder) => putOf(s.key(folder + MARKER), 'end')));
  return { journal, last };
}

export interface Followed {
  readonly batches: readonly StoredBatch[];
  readonly after: Revision;
  /** What the batches amount to, in words. */
  readonly state: readonly string[];
}

/**
 * Follows a folder from `after` until its marker. `interrupt` is asked for the number of batches to read before the watch is cut and
 * opened again at its position; without it there is one watch. A store without full history may answer a resume with CompactedError.
 */
export async function follow(s: Scenario, under: string, after: Revision, interrupt: () => number = () => Infinity): Promise<Followed> {
  const batches: StoredBatch[] = [];
  let state = new Map<string, string>();
  let position = after;
  while (!state.has(s.key(under + MARKER))) {
    const reader = s.watch({ under, after: position });
    try {
      for (let left = interrupt(); left > 0 && !state.has(s.key(under + MARKER)); left--) {
        const batch = await reader.nextBatch();
        batches.push(batch);
        apply(state, batch);
      }
    } catch (error) {
      if (s.exact || !isAttuneError(error, 'COMPACTED')) throw error;
      const snapshot = await s.list(under);
      state = new Map(snapshot.entries.map((entry) => [entry.key, describeEntry(entry)]));
      position = snapshot.revision;
      continue;
    }
    position = reader.position;
    await reader.abort();
  }
  return { batches, after, state: [...state.values()].sort() };
}

/** Holds what was followed against what was committed: exactly it, where history is full; the same end, everywhere. */
export async function assertFollowed(
  s: Scenario,
  under: string,
  followed: Followed,
  load: { journal: Journal; last: Revision },
): Promise<void> {
  if (s.exact) {
    assert.deepEqual(
      followed.batches.map(describeBatch),
      load.journal.expected(s.key(under), followed.after, load.last),
      'Reliable, Unique, Atomic',
    );
  }
  assert.deepEqual(followed.state, describeEntries(await s.list(under)).sort(), 'Converges');
}

function apply(state: Map<string, string>, batch: StoredBatch): void {
  for (const change of batch.changes) {
    if (change.type === 'put') state.set(change.entry.key, describeEntry(change.entry));
    else state.delete(change.key);
  }
}
