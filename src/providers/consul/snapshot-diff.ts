import type { Revision } from '../../core/provider.ts';
import type { ConsulEntry } from './consul-wire.ts';

/** As a provider tells it, with what Consul holds of the entry. */
export type ConsulChange =
  | { readonly type: 'put'; readonly entry: ConsulEntry }
  | { readonly type: 'delete'; readonly key: string; readonly revision: Revision };

export interface SnapshotDifference {
  /** In order of revision. Those of {@link missing} are not among them. */
  readonly changes: readonly ConsulChange[];
  /** Keys that are gone from the list: deleted, or hidden. */
  readonly missing: readonly string[];
  /** A key that a later state of the same history could not show so; undefined if there is none. */
  readonly contradiction: string | undefined;
}

/**
 * What happened between `before`, the whole state at `known`, and the list `after`. A key whose create index changed was deleted in between:
 * both are told, the deletion just below the new entry.
 */
export function compareSnapshots(
  before: ReadonlyMap<string, ConsulEntry>,
  after: readonly ConsulEntry[],
  known: Revision,
): SnapshotDifference {
  const changes: ConsulChange[] = [];
  let remaining = before.size;
  let contradiction: string | undefined;
  for (const entry of after) {
    const old = before.get(entry.key);
    if (old) remaining--;
    if (old?.revision === entry.revision) {
      if (old.createdRevision !== entry.createdRevision || Buffer.compare(old.value, entry.value) !== 0) contradiction ??= entry.key;
      continue;
    }
    if (entry.revision <= known) {
      contradiction ??= entry.key;
      continue;
    }
    if (old && old.createdRevision !== entry.createdRevision) {
      if (entry.createdRevision <= known) contradiction ??= entry.key;
      changes.push({ type: 'delete', key: entry.key, revision: (entry.createdRevision - 1) as Revision });
    }
    changes.push({ type: 'put', entry });
  }
  return { changes: inOrder(changes), missing: remaining === 0 ? [] : missingKeys(before, after), contradiction };
}

/** Keys of `before` that `after` lacks. */
export function missingKeys(before: ReadonlyMap<string, unknown>, after: readonly { readonly key: string }[]): string[] {
  const present = new Set(after.map(({ key }) => key));
  return [...before.keys()].filter((key) => !present.has(key));
}

/** Sorted by revision; of a key that stands twice the deletion stays first. */
export function inOrder(changes: readonly ConsulChange[]): ConsulChange[] {
  return [...changes].sort((a, b) => revisionOf(a) - revisionOf(b));
}

export function revisionOf(change: ConsulChange): Revision {
  return change.type === 'put' ? change.entry.revision : change.revision;
}
