import type { Cursor } from './cursor.ts';
import { REVISION_ZERO, type Revision } from './revision.ts';

/**
 * One link of the epoch chain. Every node start appends one in a checked commit; `from` is that commit's revision. The link
 * covers the revisions from `from` up to the next link's `from`. Cluster ids survive a wipe and a restored backup re-uses
 * revision numbers (both verified), so nothing but such a chain tells which history a number belongs to.
 */
export interface EpochLink {
  readonly id: string;
  readonly from: Revision;
}

/** Oldest first, never empty once a node has started. */
export type EpochChain = readonly EpochLink[];

/** Links kept; a cursor from before the oldest link is told to start over. */
export const MAX_EPOCH_LINKS = 256;

/** The id that covers `revision`. The first link also covers what was there before it. */
export function epochOf(chain: EpochChain, revision: Revision): string {
  for (let index = chain.length - 1; index > 0; index--) {
    const link = chain[index];
    if (link && link.from <= revision) return link.id;
  }
  return chain[0]?.id ?? '';
}

/** True if the chain says that the cursor's epoch covers its revision: the position is one of this very history. */
export function isCovered(chain: EpochChain, cursor: Cursor): boolean {
  return chain.length > 0 && epochOf(chain, cursor.revision) === cursor.epoch;
}

/** The cursor of `revision` in this history. */
export function cursorAt(chain: EpochChain, revision: Revision): Cursor {
  return { epoch: epochOf(chain, revision), revision };
}

/**
 * True if `next` continues `known`: the known links are there, unchanged, save for oldest ones that were trimmed, and new ones
 * come after. False means that the store was rolled back or replaced.
 */
export function extendsChain(known: EpochChain, next: EpochChain): boolean {
  const last = known.at(-1);
  if (!last) return true;
  const end = next.findIndex((link) => link.id === last.id);
  if (end < 0) return false;
  for (let back = 0; back <= end && back < known.length; back++) {
    const ours = known[known.length - 1 - back];
    const theirs = next[end - back];
    if (!ours || !theirs || ours.id !== theirs.id || ours.from !== theirs.from) return false;
  }
  return true;
}

/** The chain after a start that adds `id`; the stored form leaves the new link's `from` to the revision of the commit. */
export function appendLink(chain: EpochChain, id: string): { readonly links: EpochChain; readonly id: string } {
  return { links: [...chain, { id, from: REVISION_ZERO }].slice(-MAX_EPOCH_LINKS), id };
}
