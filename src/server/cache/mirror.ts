import BTreeModule from 'sorted-btree';
import BulkLoadModule from 'sorted-btree/extended/bulkLoad.js';
import {
  ProtocolError,
  REVISION_ZERO,
  type Revision,
  type StoredBatch,
  type StoredEntry,
  type StoredSnapshot,
} from '../../core/provider.ts';
import { KeyOrder } from './key-order.ts';

// The package is CommonJS with a default export beside named ones.
const BTree = BTreeModule.default;
type Entries = BTreeModule.default<string, StoredEntry>;
/** Of a node of the tree: the package's own default. */
const NODE_SIZE = 32;

/** One key of a batch, before and after. `revision` is the change's own, at most the batch's. */
export interface MirrorChange {
  readonly key: string;
  readonly revision: Revision;
  readonly before?: StoredEntry;
  /** Absent for a deletion. */
  readonly after?: StoredEntry;
}

/** What one revision, or one relist, did to the mirror. */
export interface AppliedBatch {
  readonly revision: Revision;
  readonly changes: readonly MirrorChange[];
  /** True if intermediate versions may be missing. */
  readonly gap: boolean;
  /**
   * Of a relist: the revision before it. What was made after that and is gone again was never seen, so that nothing between the two revisions
   * can be resumed from.
   */
  readonly relistedAfter?: Revision;
}

/** An immutable state of the mirror: later batches do not show in it. */
export interface MirrorView {
  readonly revision: Revision;
  /** Equal in two views of one mirror only if they hold the same entries. */
  readonly stamp: number;
  readonly size: number;
  get(key: string): StoredEntry | undefined;
  /** Entries from `from` (inclusive) on, in byte order. */
  from(from: string): IterableIterator<[string, StoredEntry]>;
}

/** The revision at which `key`, gone between two lists, was deleted, if the state after tells. */
export type RevisionOfDeletion = (key: string, after: MirrorView) => Revision | undefined;

/**
 * A node's complete copy of one prefix of the store. The feed is its only writer; everything readers see is the state as of one
 * revision, never half a batch.
 */
export class Mirror implements MirrorView {
  readonly #revisionOfDeletion: RevisionOfDeletion;
  readonly #order = new KeyOrder();
  #entries: Entries = new BTree<string, StoredEntry>(undefined, this.#order.compare);
  #revision = REVISION_ZERO;
  #stamp = 0;
  #lastChange: MirrorChange | undefined;
  #view: MirrorView | undefined;

  constructor(revisionOfDeletion: RevisionOfDeletion = () => undefined) {
    this.#revisionOfDeletion = revisionOfDeletion;
  }

  get revision(): Revision {
    return this.#revision;
  }

  get stamp(): number {
    return this.#stamp;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The change with the highest revision the mirror knows of. */
  get lastChange(): MirrorChange | undefined {
    return this.#lastChange;
  }

  /**
   * What a store that was rolled back would deny: the newest change the mirror knows of and, as an absent key proves little, the newest
   * entry beside a deletion.
   */
  evidence(): readonly { readonly key: string; readonly entry: StoredEntry | undefined }[] {
    const last = this.#lastChange;
    const newest = last && !last.after ? newestOf(this.#entries) : undefined;
    return [last, newest].flatMap((change) => (change ? [{ key: change.key, entry: change.after }] : []));
  }

  get(key: string): StoredEntry | undefined {
    return this.#entries.get(key);
  }

  from(from: string): IterableIterator<[string, StoredEntry]> {
    return this.#entries.entries(from);
  }

  /** The current state as an immutable view; the trees share their nodes, so it costs what changes while it is held. */
  view(): MirrorView {
    this.#view ??= freezeView(this, this.#entries.clone());
    return this.#view;
  }

  /**
   * Applies one batch of the watch. Undefined for progress and for what was known already.
   * @throws {ProtocolError} the batch does not continue this state: a revision twice or backwards, the deletion of an unknown key.
   */
  apply(batch: StoredBatch): AppliedBatch | undefined {
    if (batch.changes.length === 0) {
      this.#advance(batch.revision);
      return undefined;
    }
    if (batch.revision <= this.#revision) {
      throw new ProtocolError(`the watch delivered revision ${batch.revision} after ${this.#revision}`);
    }
    // Checked as a whole before any of it shows: what is thrown leaves the state as it was.
    const changes = this.#changesOf(batch);
    this.#stamp++;
    for (const change of changes) {
      if (change.after) this.#put(change.after);
      else this.#entries.delete(change.key);
      if (!this.#lastChange || change.revision >= this.#lastChange.revision) this.#lastChange = change;
    }
    this.#advance(batch.revision);
    return changes.length === 0 ? undefined : { revision: batch.revision, changes, gap: batch.gap === true };
  }

  /**
   * True if `snapshot` cannot be a later state of the history this mirror followed: it is older, or holds an entry from before this
   * mirror's revision that the mirror does not hold just so. The store was rolled back or replaced.
   */
  contradicts(snapshot: StoredSnapshot): boolean {
    if (snapshot.revision < this.#revision) return true;
    // The same revision twice with other keys: no watcher could be told the difference.
    if (snapshot.revision === this.#revision && snapshot.entries.length !== this.#entries.size) return true;
    return snapshot.entries.some((entry) => deniesEntry(this.#revision, this.#entries.get(entry.key), entry));
  }

  /** Takes over `snapshot`, whatever was known before. @throws {ProtocolError} its entries are not in byte order, or one stands twice. */
  load(snapshot: StoredSnapshot): void {
    this.#entries = this.#treeOf(snapshot.entries);
    this.#stamp++;
    this.#lastChange = newestOf(this.#entries);
    this.#revision = snapshot.revision;
    this.#view = undefined;
  }

  /** Takes over `snapshot` and returns the difference as one batch with `gap: true`; undefined if there is none. */
  replace(snapshot: StoredSnapshot): AppliedBatch | undefined {
    const before = this.#entries;
    const known = this.#revision;
    this.load(snapshot);
    const changes = differenceOf(before, this.#entries, {
      known,
      revision: snapshot.revision,
      revisionOfDeletion: this.#revisionOfDeletion,
    });
    return changes.length === 0 ? undefined : { revision: snapshot.revision, changes, gap: true, relistedAfter: known };
  }

  #treeOf(entries: readonly StoredEntry[]): Entries {
    const keys = entries.map(({ key }) => key);
    for (const key of keys) this.#order.admit(key);
    try {
      return BulkLoadModule.bulkLoad(keys, [...entries], NODE_SIZE, this.#order.compare);
    } catch (cause) {
      throw new ProtocolError('the store listed its keys out of order, or one of them twice', { cause });
    }
  }

  #put(entry: StoredEntry): void {
    this.#order.admit(entry.key);
    this.#entries.set(entry.key, entry);
  }

  #changesOf(batch: StoredBatch): MirrorChange[] {
    // A key may stand in a batch twice: deleted, then made again.
    const moved = new Map<string, StoredEntry | undefined>();
    return batch.changes.flatMap((change): MirrorChange[] => {
      const key = change.type === 'put' ? change.entry.key : change.key;
      const before = moved.has(key) ? moved.get(key) : this.#entries.get(key);
      if (change.type === 'delete' && !before) {
        if (batch.gap) return [];
        throw new ProtocolError(`the watch deleted '${key}' at revision ${change.revision}, which the mirror does not hold`);
      }
      if (change.type === 'put' && before && change.entry.revision <= before.revision) {
        if (batch.gap) return [];
        throw new ProtocolError(`the watch delivered '${key}' of revision ${change.entry.revision} over ${before.revision}`);
      }
      const after = change.type === 'put' ? change.entry : undefined;
      moved.set(key, after);
      const revision = change.type === 'put' ? change.entry.revision : change.revision;
      return [{ key, revision, ...(before && { before }), ...(after && { after }) }];
    });
  }

  #advance(revision: Revision): void {
    if (revision > this.#revision) this.#revision = revision;
    this.#view = undefined;
  }
}

/** True if both are absent, or the same version with the same bytes: a restored backup uses revision numbers again. */
export function isSameEntry(a: StoredEntry | undefined, b: StoredEntry | undefined): boolean {
  if (!a || !b) return a === b;
  return a.revision === b.revision && a.createdRevision === b.createdRevision && Buffer.compare(a.value, b.value) === 0;
}

/**
 * True if a store of the history that was known up to `known` cannot hold `now` where it held `then`: `now` is of that time, or its key was
 * made then, and it was not known.
 */
export function deniesEntry(known: Revision, then: StoredEntry | undefined, now: StoredEntry): boolean {
  if (now.revision <= known) return !isSameEntry(then, now);
  return now.createdRevision <= known && now.createdRevision !== then?.createdRevision;
}

function freezeView({ revision, stamp }: Pick<MirrorView, 'revision' | 'stamp'>, entries: Entries): MirrorView {
  return { revision, stamp, size: entries.size, get: (key) => entries.get(key), from: (from) => entries.entries(from) };
}

interface DifferenceOptions {
  /** Revision of the state before. */
  readonly known: Revision;
  /** Revision of the state after. */
  readonly revision: Revision;
  readonly revisionOfDeletion: RevisionOfDeletion;
}

/** Merges two sorted states. A key whose create revision changed was deleted in between: both are told, in order. */
function differenceOf(before: Entries, after: Entries, { known, revision, revisionOfDeletion }: DifferenceOptions): MirrorChange[] {
  const changes: MirrorChange[] = [];
  // Not yet the mirror's state: its stamp equals none.
  const view = freezeView({ revision, stamp: Number.NaN }, after);
  before.forEachPair((key, old) => {
    if (after.has(key)) return;
    const told = revisionOfDeletion(key, view);
    // A tombstone from before the state that still had the key is that of an earlier deletion.
    changes.push({ key, revision: told !== undefined && told > known ? told : revision, before: old });
  });
  after.forEachPair((key, now) => {
    const old = before.get(key);
    if (!old) changes.push({ key, revision: now.revision, after: now });
    else if (old.createdRevision !== now.createdRevision) {
      // Above the old version and below the new one, whatever they are: receivers ignore versions not above theirs.
      changes.push({ key, revision: (now.createdRevision - 1) as Revision, before: old }, { key, revision: now.revision, after: now });
    } else if (old.revision !== now.revision) changes.push({ key, revision: now.revision, before: old, after: now });
  });
  return changes;
}

function newestOf(entries: Entries): MirrorChange | undefined {
  let newest: StoredEntry | undefined;
  entries.forEachPair((_key, entry) => {
    if (!newest || entry.revision > newest.revision) newest = entry;
  });
  return newest && { key: newest.key, revision: newest.revision, after: newest };
}
