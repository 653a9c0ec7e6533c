/**
 * What truly happened in a store, as its recorder saw it: the measure that whatever clients were told is judged by. Built from the
 * transactions themselves, by none of the code under test.
 */
export interface TrueChange {
  readonly key: string;
  /** Whatever tells one value (with its type and metadata) from another; undefined for a deletion. */
  readonly content: string | undefined;
}

/** All changes of users' keys of one revision; may be none. */
export interface TrueBatch {
  readonly revision: number;
  readonly changes: readonly TrueChange[];
}

/** A link covers the revisions from its own up to the next link's; the first also what came before it. */
export interface TrueLink {
  readonly id: string;
  readonly from: number;
}

/** One linear history. A rollback, wipe by replacement or restored backup begins another, which repeats the part they share. */
export interface TrueHistory {
  /** The epoch chain, every link it ever had; another one for each time it was begun anew. */
  readonly chains: readonly (readonly TrueLink[])[];
  /** From the first revision on, in order. */
  readonly batches: readonly TrueBatch[];
}

export interface WatchFilter {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

export interface TrueItem {
  readonly version: number;
  readonly content: string;
}

export function isWanted(filter: WatchFilter, key: string): boolean {
  return filter.keys.includes(key) || filter.prefixes.some((prefix) => key.startsWith(prefix));
}

export const EVERYTHING: WatchFilter = { keys: [], prefixes: [''] };

/** Made once for each history, which does not change any more: of 40,000 revisions each question would cost as many steps. */
interface Index {
  readonly revisions: readonly number[];
  readonly byRevision: ReadonlyMap<number, readonly TrueChange[]>;
  /** Each key's changes, in order. */
  readonly byKey: ReadonlyMap<string, { readonly revisions: number[]; readonly contents: (string | undefined)[] }>;
}

const indexes = new WeakMap<TrueHistory, Index>();

function indexOf(history: TrueHistory): Index {
  const known = indexes.get(history);
  if (known) return known;
  const byKey = new Map<string, { readonly revisions: number[]; readonly contents: (string | undefined)[] }>();
  for (const { revision, changes } of history.batches) {
    for (const { key, content } of changes) {
      const line = byKey.get(key) ?? { revisions: [], contents: [] };
      byKey.set(key, line);
      line.revisions.push(revision);
      line.contents.push(content);
    }
  }
  const index = {
    revisions: history.batches.map(({ revision }) => revision),
    byRevision: new Map(history.batches.map(({ revision, changes }) => [revision, changes])),
    byKey,
  };
  indexes.set(history, index);
  return index;
}

/** How many of `sorted` are at most `limit`. */
function countUpTo(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? Infinity) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Every item that `filter` wants, as of `revision`. */
export function stateAt(history: TrueHistory, revision: number, filter: WatchFilter = EVERYTHING): Map<string, TrueItem> {
  const state = new Map<string, TrueItem>();
  const { byKey } = indexOf(history);
  for (const key of filter.prefixes.length === 0 ? filter.keys : byKey.keys()) {
    const line = byKey.get(key);
    if (!line || !isWanted(filter, key)) continue;
    const last = countUpTo(line.revisions, revision) - 1;
    const [version, content] = [line.revisions[last], line.contents[last]];
    if (version !== undefined && content !== undefined) state.set(key, { version, content });
  }
  return state;
}

export function itemAt(history: TrueHistory, revision: number, key: string): TrueItem | undefined {
  return stateAt(history, revision, { keys: [key], prefixes: [] }).get(key);
}

/** The changes of `revision` that `filter` wants. */
export function changesAt(history: TrueHistory, revision: number, filter: WatchFilter): readonly TrueChange[] {
  return (
    indexOf(history)
      .byRevision.get(revision)
      ?.filter(({ key }) => isWanted(filter, key)) ?? []
  );
}

/** Revisions above `after` and below `before` that hold a change `filter` wants. */
export function revisionsBetween(history: TrueHistory, after: number, before: number, filter: WatchFilter): number[] {
  const { revisions } = indexOf(history);
  return history.batches
    .slice(countUpTo(revisions, after), countUpTo(revisions, before - 1))
    .filter(({ changes }) => changes.some(({ key }) => isWanted(filter, key)))
    .map(({ revision }) => revision);
}

export function headOf(history: TrueHistory): number {
  return history.batches.at(-1)?.revision ?? 0;
}

export interface TrueCursor {
  readonly epoch: string;
  readonly revision: number;
}

export function readCursor(text: string): TrueCursor {
  const dash = text.lastIndexOf('-');
  return { epoch: text.slice(0, dash), revision: Number(text.slice(dash + 1)) };
}

/** Places in `histories` to which the cursor in `text` may belong: one in a part that several share belongs to all of them. */
export function historiesOf(histories: readonly TrueHistory[], text: string): number[] {
  const { epoch, revision } = readCursor(text);
  return histories.flatMap((history, index) => {
    const isCovered = history.chains.some((chain, generation) => {
      // A chain that was begun anew ends the one before it.
      const end = history.chains[generation + 1]?.[0]?.from ?? Infinity;
      return revision < end && (chain.findLast((link) => link.from <= revision) ?? chain[0])?.id === epoch;
    });
    return isCovered && revision <= headOf(history) ? [index] : [];
  });
}
