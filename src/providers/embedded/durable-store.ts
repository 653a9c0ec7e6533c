import {
  CompactedError,
  InvalidArgumentError,
  OutcomeUnknownError,
  UnavailableError,
  type Revision,
  type StoredEntry,
  type Transaction,
} from '../../core/provider.ts';
import { batchBytes } from '../local/batch.ts';
import type { ChangeLog } from '../../core/log-watch.ts';
import { RecentBatches } from '../local/recent-batches.ts';
import { trimHistory, type History, type RetentionOptions } from './retention.ts';
import { sqliteCode, SQLITE_BUSY, SQLITE_FULL } from './sqlite-error.ts';
import type { StoreFile } from './store-file.ts';
import { VersionStore } from './version-store.ts';
import { applyGroup, type AppliedGroup, type WriteOutcome } from './write-group.ts';

/** Versions looked at in one transaction of an explicit compaction. */
const COMPACT_VERSIONS = 512;

/**
 * What is committed: the file, and what of it is kept in memory (the head, the newest batches). Every method does its work in one
 * synchronous block, so that none sees half a transaction.
 */
export class DurableStore implements Omit<ChangeLog, 'nextTurn'> {
  /** True if there was no store and this one created it. */
  readonly isNew: boolean;
  readonly #open: () => StoreFile;
  readonly #limits: Required<RetentionOptions>;
  readonly #onReopened: () => void;
  /** Undefined after an I/O error, until opening the file again succeeds. */
  #versions: VersionStore | undefined;
  /** False from an I/O error until the log was made part of the file: until then a crash could show another end of it. */
  #isSettled = true;
  #history: History;
  #recent: RecentBatches;

  /**
   * `onReopened` is called when the file was opened again after an I/O error: its end may be another than the one known before.
   * @throws {UnavailableError} `open` fails.
   */
  constructor(open: () => StoreFile, limits: Required<RetentionOptions>, onReopened: () => void) {
    this.#open = open;
    this.#limits = limits;
    this.#onReopened = onReopened;
    const { versions, history } = openVersions(open);
    versions.file.tryCheckpoint();
    this.isNew = versions.file.isNew;
    this.#versions = versions;
    this.#history = history;
    this.#recent = new RecentBatches(history.head);
  }

  head(): Revision {
    return this.#history.head;
  }

  oldest(): Revision {
    return this.#history.compacted;
  }

  read(prefix: string, after: Revision): ReturnType<ChangeLog['read']> {
    if (after >= this.#recent.oldest) return this.#recent.read(prefix, after);
    return this.#attempt((versions) => versions.batches(prefix, after, this.#history.head));
  }

  entries(keys: Iterable<string>): StoredEntry[] {
    return this.#attempt((versions) => [...keys].flatMap((key) => versions.entry(key) ?? []));
  }

  /** @throws {CompactedError} {@link InvalidArgumentError} `at` is before or after what is kept. */
  list(prefix: string, at: Revision): StoredEntry[] {
    const { head, compacted } = this.#history;
    if (at > head) throw new InvalidArgumentError(`cannot list at revision ${at}: the store is at ${head}`);
    if (at < compacted) {
      throw new CompactedError(`cannot list at revision ${at}: the oldest kept is ${compacted}`, { details: { oldest: compacted } });
    }
    return this.#attempt((versions) => (at === this.#history.head ? versions.list(prefix) : versions.list(prefix, at)));
  }

  /**
   * Writes a group as one transaction of SQLite, on disk when it returns.
   * @throws {UnavailableError} nothing of it was applied, as the file itself says.
   * @throws {OutcomeUnknownError} the commit failed in a way that leaves open what the disk holds.
   */
  commitGroup(transactions: readonly Transaction[]): readonly WriteOutcome[] {
    const versions = this.#writable();
    let applied: AppliedGroup;
    let history: History;
    try {
      versions.file.begin();
      applied = applyGroup(versions, this.#history.head, transactions);
      if (applied.head === this.#history.head) {
        versions.file.rollback();
        return applied.outcomes;
      }
      const added = applied.batches.reduce((sum, batch) => sum + batch.changes.length, 0);
      const bytes = applied.batches.reduce((sum, batch) => sum + batchBytes(batch), this.#history.bytes);
      history = trimHistory(versions, { ...this.#history, head: applied.head, bytes }, added, this.#limits);
      versions.file.prepareCommit();
    } catch (error) {
      this.#rollBack(versions);
      throw versions.file.failure(error);
    }
    this.#commit(versions);
    this.#history = history;
    for (const batch of applied.batches) this.#recent.push(batch);
    return applied.outcomes;
  }

  /** One step towards forgetting the history up to `revision`; false when there is no more to do. */
  compactStep(revision: Revision): boolean {
    const versions = this.#writable();
    const { head, compacted, bytes } = this.#history;
    const steps = this.#attempt(() => versions.sizes(compacted, COMPACT_VERSIONS)).filter((size) => size.revision <= revision);
    const to = steps.at(-1)?.revision;
    if (to === undefined) return false;
    try {
      versions.file.begin();
      versions.compact(compacted, to);
      versions.file.prepareCommit();
    } catch (error) {
      this.#rollBack(versions);
      throw versions.file.failure(error);
    }
    this.#commit(versions);
    this.#history = { head, compacted: to, bytes: steps.reduce((left, step) => left - step.bytes, bytes) };
    return true;
  }

  close(): void {
    this.#versions?.file.close();
    this.#versions = undefined;
  }

  #commit(versions: VersionStore): void {
    try {
      versions.file.commit();
    } catch (error) {
      const code = sqliteCode(error);
      // The disk had no room for the log record, or another process the lock: the record that makes a commit was not written.
      const wasNotWritten = code === SQLITE_FULL || code === SQLITE_BUSY;
      const isRolledBack = this.#rollBack(versions);
      if (wasNotWritten && isRolledBack) throw versions.file.failure(error);
      // Anything else (a failed flush, above all) says nothing about what the disk will show after a crash.
      if (isRolledBack) this.#reopen(versions);
      throw new OutcomeUnknownError(`${versions.file.describeFailure(error).message}; the write may be there or not`, { cause: error });
    }
    versions.file.shortenLog();
  }

  /** Takes back what is not committed; true if the file then says that it is at our head. If not, it is opened again. */
  #rollBack(versions: VersionStore): boolean {
    try {
      versions.file.rollback();
      if (!versions.file.isInTransaction && versions.readMeta().revision === this.#history.head) return true;
    } catch (error) {
      if (sqliteCode(error) === undefined) throw error;
    }
    this.#reopen(versions);
    return false;
  }

  #reopen(versions: VersionStore): void {
    this.#versions = undefined;
    versions.file.abandon();
    try {
      this.#usable();
    } catch {
      // Whoever needs the store next tries again, and is told.
    }
  }

  #usable(): VersionStore {
    if (this.#versions) return this.#versions;
    const { versions, history } = openVersions(this.#open);
    if (versions.file.isNew) {
      versions.file.abandon();
      throw new UnavailableError('the file of the store is gone; restore it from a backup');
    }
    this.#history = history;
    this.#recent = new RecentBatches(history.head);
    this.#versions = versions;
    this.#isSettled = false;
    this.#onReopened();
    return versions;
  }

  #writable(): VersionStore {
    if (this.#versions && this.#isSettled) return this.#versions;
    return this.#attempt((versions) => {
      versions.file.checkpoint();
      this.#isSettled = true;
      return versions;
    });
  }

  #attempt<T>(action: (versions: VersionStore) => T): T {
    const versions = this.#usable();
    try {
      return action(versions);
    } catch (error) {
      throw versions.file.failure(error);
    }
  }
}

/** The file, and how much of the past it keeps. */
function openVersions(open: () => StoreFile): { readonly versions: VersionStore; readonly history: History } {
  const file = open();
  try {
    const versions = new VersionStore(file);
    const { revision: head, compacted } = versions.readMeta();
    return { versions, history: { head, compacted, bytes: versions.bytesAfter(compacted) } };
  } catch (error) {
    file.abandon();
    throw file.failure(error);
  }
}
