import type { ConfigProvider, Revision, StoredSnapshot } from '../../core/provider.ts';
import type { AppliedBatch, Mirror } from './mirror.ts';

/**
 * Tells whether the store's history is still the one the mirror followed. Revision numbers alone do not: a restored backup re-uses
 * them.
 */
export interface HistoryGuard {
  /** Announces this node in the store before its first list. The node is live once the mirror has reached the revision returned. */
  join(signal: AbortSignal): Promise<Revision>;
  /** False if `batch`, just applied, ends this history: its mark was deleted or replaced by a foreign one. */
  continues(batch: AppliedBatch): boolean;
  /** False if `snapshot` carries no mark of this history. */
  accepts(snapshot: StoredSnapshot): boolean;
  /** Keys whose entries prove the history, read again after a lost connection. */
  readonly keys: readonly string[];
  /** Begins a new history in a store that was rolled back, replaced or wiped; returns a revision of it. */
  renew(signal: AbortSignal): Promise<Revision>;
}

/** Without a mark in the store: relies on what {@link Mirror.contradicts} sees. */
export function unmarkedHistory(provider: ConfigProvider, prefix: string): HistoryGuard {
  const head = (signal: AbortSignal): Promise<Revision> => provider.head(prefix, { signal });
  return { join: head, renew: head, continues: () => true, accepts: () => true, keys: [] };
}

export type HistoryVerdict = 'same' | 'replaced' | 'unsure';

/**
 * One linearizable read after a lost connection: is the store still in the history that `mirror` followed? `unsure` if what was read
 * changed since, so that only a full list can tell.
 */
export async function verifyHistory(provider: ConfigProvider, mirror: Mirror, guard: HistoryGuard, signal: AbortSignal): Promise<HistoryVerdict> {
  const last = mirror.lastChange;
  const snapshot = await provider.read([...guard.keys, ...(last ? [last.key] : [])], { signal });
  if (snapshot.revision < mirror.revision || !guard.accepts(snapshot)) return 'replaced';
  if (!last) return 'same';
  const now = snapshot.entries.find((entry) => entry.key === last.key);
  if (now?.revision === last.after?.revision) return 'same';
  if (now && now.revision <= mirror.revision) return 'replaced';
  if (provider.capabilities.history !== 'full') return 'unsure';
  // Written again since: what was it at the revision we know?
  const { entries } = await provider.list(last.key, { at: mirror.revision, signal });
  return entries.find((entry) => entry.key === last.key)?.revision === last.after?.revision ? 'same' : 'replaced';
}
