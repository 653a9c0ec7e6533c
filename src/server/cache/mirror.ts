import BTreeModule from 'sorted-btree';
import {
  compareBytes,
  ProtocolError,
  REVISION_ZERO,
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoredEntry,
  type StoredSnapshot,
} from '../../core/provider.ts';

// The package is CommonJS with a default export beside named ones.
const BTree = BTreeModule.default;
type Entries = BTreeModule.default<string, StoredEntry>;

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
}

/** An immutable state of the mirror: later batches do not show in it. */
export interface MirrorView {
  readonly revision: Revision;
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
  #entries: Entries = new BTree<string, StoredEntry>(undefined, compareBytes);
  #revision = REVISION_ZERO;
  #lastChange: MirrorChange | undefined;
  #view: MirrorView | undefined;

  constructor(revisionOfDeletion: RevisionOfDeletion = () => undefined) {
    this.#revisionOfDeletion = revisionOfDeletion;
  }

  get revision(): Revision {
    return this.#revision;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The change with the highest revision the mirror knows of: what a store that was rolled back would deny. */
  get lastChange(): MirrorChange | undefined {
    return this.#lastChange;
  }

  get(key: string): StoredEntry | undefined {
    return this.#entries.get(key);
  }

  from(from: string): IterableIterator<[string, StoredEntry]> {
    return this.#entries.entries(from);
  }

  /** The current state as an immutable view; the trees share their nodes, so it costs what changes while it is held. */
  view(): MirrorView {
    this.#view ??= freezeView(this.#revision, this.#entries.clone());
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
    const changes: MirrorChange[] = [];
    for (const change of batch.changes) {
      const applied = this.#applyOne(change, batch);
      if (applied) changes.push(applied);
    }
    this.#advance(batch.revision);
    return changes.length === 0 ? undefined : { revision: batch.revision, changes, gap: batch.gap === true };
  }

  /**
   * True if `snapshot` cannot be a later state of the history this mirror followed: it is older, or holds an entry from before this
   * mirror's revision that the mirror does not hold. The store was rolled back or replaced.
   */
  contradicts(snapshot: StoredSnapshot): boolean {
    if (snapshot.revision < this.#revision) return true;
    return snapshot.entries.some((entry) => entry.revision <= this.#revision && this.#entries.get(entry.key)?.revision !== entry.revision);
  }

  /** Takes over `snapshot` and returns the difference as one batch with `gap: true`; undefined if there is none. */
  replace(snapshot: StoredSnapshot): AppliedBatch | undefined {
    const before = this.#entries;
    const after: Entries = new BTree<string, StoredEntry>(undefined, compareBytes);
    for (const entry of snapshot.entries) after.set(entry.key, entry);
    const changes = differenceOf(before, after, snapshot.revision, this.#revisionOfDeletion);
    this.#entries = after;
    this.#lastChange = newestOf(after);
    this.#revision = snapshot.revision;
    this.#view = undefined;
    return changes.length === 0 ? undefined : { revision: snapshot.revision, changes, gap: true };
  }

  #applyOne(change: StoredChange, batch: StoredBatch): MirrorChange | undefined {
    const key = change.type === 'put' ? change.entry.key : change.key;
    const before = this.#entries.get(key);
    const known = before === undefined ? {} : { before };
    if (change.type === 'delete') {
      if (!before) {
        if (batch.gap) return undefined;
        throw new ProtocolError(`the watch deleted '${key}' at revision ${change.revision}, which the mirror does not hold`);
      }
      this.#entries.delete(key);
      return this.#remember({ key, revision: change.revision, ...known });
    }
    if (before && change.entry.revision <= before.revision) return undefined;
    this.#entries.set(key, change.entry);
    return this.#remember({ key, revision: change.entry.revision, ...known, after: change.entry });
  }

  #remember(change: MirrorChange): MirrorChange {
    if (!this.#lastChange || change.revision >= this.#lastChange.revision) this.#lastChange = change;
    return change;
  }

  #advance(revision: Revision): void {
    if (revision > this.#revision) this.#revision = revision;
    this.#view = undefined;
  }
}

function freezeView(revision: Revision, entries: Entries): MirrorView {
  return { revision, size: entries.size, get: (key) => entries.get(key), from: (from) => entries.entries(from) };
}

/** Merges two sorted states. A key whose create revision changed was deleted in between: both are told, in order. */
function differenceOf(before: Entries, after: Entries, revision: Revision, revisionOfDeletion: RevisionOfDeletion): MirrorChange[] {
  const changes: MirrorChange[] = [];
  const view = freezeView(revision, after);
  before.forEachPair((key, old) => {
    if (!after.has(key)) changes.push({ key, revision: revisionOfDeletion(key, view) ?? revision, before: old });
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
