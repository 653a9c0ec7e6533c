import { isAttuneError, type ConfigProvider, type Revision, type StoredSnapshot } from '../../core/provider.ts';
import { deniesEntry, isSameEntry, type AppliedBatch, type Mirror } from './mirror.ts';

/**
 * Tells whether the store's history is still the one the mirror followed. Revision numbers alone do not: a restored backup re-uses
 * them.
 */
export interface HistoryGuard {
  /** Announces this node in the store before its first list. The node is live once the mirror has reached the revision returned. */
  join(signal: AbortSignal): Promise<Revision>;
  /** False if `batch`, just applied, ends this history: its mark was deleted or replaced by a foreign one. */
  continues(batch: AppliedBatch): boolean;
  /**
   * False if `snapshot` carries no mark of this history, or one that the mirror, which knows all of it up to `known`, has never seen. After
   * {@link renew} the new history is taken over by this call, so that the mirror can follow in the same step.
   */
  accepts(snapshot: StoredSnapshot, known: Revision): boolean;
  /** Keys whose entries prove the history, read again after a lost connection. */
  readonly keys: readonly string[];
  /** Begins a new history in a store that was rolled back, replaced or wiped. Nothing else changes until a list of it is accepted. */
  renew(signal: AbortSignal): Promise<void>;
}

/** Without a mark in the store: relies on what {@link Mirror.contradicts} sees. */
export function unmarkedHistory(provider: ConfigProvider, prefix: string): HistoryGuard {
  const head = (signal: AbortSignal): Promise<Revision> => provider.head(prefix, { signal });
  return { join: head, renew: async () => undefined, continues: () => true, accepts: () => true, keys: [] };
}

/** Of a longer past a list is cheaper. */
const MOST_REVISIONS_READ = 10_000;
const QUIET_MS = 5_000;

export type HistoryVerdict = 'same' | 'replaced' | 'unsure';

/**
 * One linearizable read after a lost connection: is the store still in the history that `mirror` followed? `unsure` if what was read
 * changed since, so that only a full list can tell.
 */
export async function verifyHistory(
  provider: ConfigProvider,
  mirror: Mirror,
  guard: HistoryGuard,
  { prefix, signal }: { readonly prefix: string; readonly signal: AbortSignal },
): Promise<HistoryVerdict> {
  const known = mirror.revision;
  const evidence = mirror.evidence();
  const snapshot = await provider.read([...guard.keys, ...evidence.map(({ key }) => key)], { signal });
  if (snapshot.revision < known || !guard.accepts(snapshot, known)) return 'replaced';
  let verdict: HistoryVerdict = 'same';
  for (const { key, entry } of evidence) {
    const now = snapshot.entries.find((candidate) => candidate.key === key);
    if (isSameEntry(now, entry)) continue;
    if (now && deniesEntry(known, entry, now)) return 'replaced';
    if (provider.capabilities.history !== 'full') verdict = 'unsure';
    else {
      // Written again since: what was it at the revision we know?
      const { entries } = await provider.list(key, { at: known, signal });
      if (
        !isSameEntry(
          entries.find((candidate) => candidate.key === key),
          entry,
        )
      )
        return 'replaced';
    }
  }
  return verdict === 'same' && !(await wasQuiet(provider, mirror, prefix, signal)) ? 'unsure' : verdict;
}

/**
 * True if nothing under the prefix changed between the newest change the mirror knows and the revision it has reached, as the mirror believes.
 * A store that was put back to before that revision, losing nothing of ours, and that others wrote to since shows no other trace.
 */
async function wasQuiet(provider: ConfigProvider, mirror: Mirror, prefix: string, signal: AbortSignal): Promise<boolean> {
  const known = mirror.revision;
  const newest = mirror.lastChange?.revision ?? known;
  if (newest >= known || provider.capabilities.history !== 'full') return true;
  if (known - newest > MOST_REVISIONS_READ) return false;
  const reading = new AbortController();
  const stop = (): void => reading.abort();
  signal.addEventListener('abort', stop);
  const timer = setTimeout(stop, QUIET_MS);
  try {
    const watch = provider.watch(prefix, { after: newest, signal: reading.signal });
    watch.requestProgress();
    for await (const { revision, changes } of watch) {
      if (changes.length > 0) return revision > known;
      if (revision >= known) return true;
    }
    return false;
  } catch (error) {
    if (isAttuneError(error, 'COMPACTED')) return false;
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    reading.abort();
  }
}
