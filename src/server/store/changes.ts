import type { ChangeType } from '../../core/item.ts';
import type { ConfigKey } from '../../core/key.ts';
import type { Revision, StoredEntry } from '../../core/provider.ts';
import type { AppliedBatch, MirrorChange, MirrorView } from '../cache/mirror.ts';
import { readItem, type ItemState } from './item-state.ts';
import type { Layout } from './layout.ts';
import type { ChangeState } from './render-item.ts';
import { parseSidecar } from './sidecar.ts';

/** One user's key of a batch: created, updated or deleted. Holds the entries; what they say is read when it is rendered. */
export interface ConfigChange {
  readonly type: ChangeType;
  readonly key: ConfigKey;
  /** Revision of the change; for a deletion that of the deletion. */
  readonly version: Revision;
  readonly before?: StoredEntry;
  readonly after?: StoredEntry;
  readonly sidecarBefore?: StoredEntry;
  readonly sidecarAfter?: StoredEntry;
}

/** What a batch of the store means for users: one change for each value key in it. */
export function deriveChanges(layout: Layout, batch: AppliedBatch, after: MirrorView): readonly ConfigChange[] {
  const sidecarsBefore = new Map<string, StoredEntry | undefined>();
  for (const change of batch.changes) {
    // Of several changes of one sidecar in a batch, the first knows the state before it.
    if (layout.keyOfSidecar(change.key) !== undefined && !sidecarsBefore.has(change.key)) sidecarsBefore.set(change.key, change.before);
  }
  const unseen = batch.gap && batch.relistedAfter === undefined ? unseenDeletions(layout, batch, after) : [];
  return batch.changes
    .flatMap((change): ConfigChange[] => {
      const key = layout.keyOfValue(change.key);
      if (key === undefined) return [];
      const sidecarKey = layout.sidecarKey(key);
      const now = after.get(sidecarKey);
      const was = sidecarsBefore.has(sidecarKey) ? sidecarsBefore.get(sidecarKey) : now;
      return [
        {
          type: typeOf(change),
          key,
          version: change.revision,
          ...(change.before && { before: change.before }),
          ...(change.after && { after: change.after }),
          ...(was && { sidecarBefore: was }),
          ...(now && { sidecarAfter: now }),
        },
      ];
    })
    .concat(unseen);
}

/**
 * Keys made and deleted again within one batch of a store that merges versions: only the tombstone tells. A client that comes from another
 * node may hold them.
 */
function unseenDeletions(layout: Layout, batch: AppliedBatch, after: MirrorView): readonly ConfigChange[] {
  const seen = new Set(batch.changes.map(({ key }) => key));
  return batch.changes.flatMap((change): ConfigChange[] => {
    const key = layout.keyOfSidecar(change.key);
    if (key === undefined || !change.after || seen.has(layout.valueKey(key)) || after.get(layout.valueKey(key))) return [];
    if (!parseSidecar(change.after)?.deleted) return [];
    return [{ type: 'deleted', key, version: change.revision, sidecarAfter: change.after }];
  });
}

function typeOf(change: MirrorChange): ChangeType {
  if (!change.after) return 'deleted';
  return change.before ? 'updated' : 'created';
}

/** Reads what `change` says. A deletion made through Attune is told by its tombstone. */
export function readChange(change: ConfigChange): ChangeState {
  const { type, key, version } = change;
  const before = itemOf(key, change.before, change.sidecarBefore);
  const after = itemOf(key, change.after, change.sidecarAfter);
  const tombstone = type === 'deleted' && change.sidecarAfter?.revision === version ? parseSidecar(change.sidecarAfter) : undefined;
  return {
    type,
    key,
    version,
    before,
    after,
    timestamp: after?.lastUpdated ?? tombstone?.lastUpdated ?? null,
    updatedBy: after?.updatedBy ?? tombstone?.updatedBy,
    described: after ?? before ?? tombstone,
  };
}

function itemOf(key: ConfigKey, value: StoredEntry | undefined, sidecar: StoredEntry | undefined): ItemState | undefined {
  return value && readItem(key, value, sidecar);
}
