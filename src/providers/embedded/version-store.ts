import { prefixEnd } from '../../core/byte-order.ts';
import {
  parseRevision,
  ProtocolError,
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoredEntry,
  type UnavailableError,
} from '../../core/provider.ts';
import { prepareSchema } from './schema.ts';
import { sqliteCode, storeFailure } from './sqlite-error.ts';
import type { OpenSqlite, SqliteDatabase, SqliteRow, SqliteStatement, SqliteValue } from './sqlite.ts';

/** Above every text: SQLite orders blobs after them. The end of a prefix that has none. */
const NO_END = new Uint8Array(0);

/** A catch-up read of the history stops at the revision that passes either. */
const READ_REVISIONS = 256;
const READ_BYTES = 4 * 1024 * 1024;

/** What a check or a put has to know of a key. */
export interface CurrentVersion {
  readonly revision: Revision;
  readonly createdRevision: Revision;
}

/**
 * The file: SQL and nothing else. Every method is synchronous and sees what was written before, committed or not; who calls makes a
 * transaction of `begin` … `commit` within one turn, so that nobody reads in between.
 */
export class VersionStore {
  readonly isNew: boolean;
  readonly #file: string;
  readonly #database: SqliteDatabase;
  readonly #current: SqliteStatement;
  readonly #entry: SqliteStatement;
  readonly #list: SqliteStatement;
  readonly #insert: SqliteStatement;
  readonly #sizes: SqliteStatement;
  readonly #bytesAfter: SqliteStatement;
  readonly #changes: SqliteStatement;
  readonly #setMeta: SqliteStatement;
  readonly #dropSuperseded: SqliteStatement;
  readonly #dropDeletions: SqliteStatement;

  private constructor(database: SqliteDatabase, file: string, isNew: boolean) {
    this.isNew = isNew;
    this.#file = file;
    this.#database = database;
    this.#current = database.prepare('SELECT revision, created_revision FROM versions WHERE key = ? ORDER BY revision DESC LIMIT 1');
    this.#entry = database.prepare(
      'SELECT key, value, revision, created_revision FROM versions WHERE key = ? ORDER BY revision DESC LIMIT 1',
    );
    // With max(), SQLite takes the other columns from the row of the maximum (sqlite.org/lang_select.html, "bare columns").
    this.#list = database.prepare(`
      SELECT key, value, created_revision, max(revision) AS revision FROM versions
      WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key HAVING value IS NOT NULL ORDER BY key`);
    this.#insert = database.prepare('INSERT INTO versions (revision, key, created_revision, value) VALUES (?, ?, ?, ?)');
    this.#sizes = database.prepare(`
      SELECT revision, total(octet_length(key) + coalesce(octet_length(value), 0)) AS bytes FROM versions
      WHERE revision > ? GROUP BY revision ORDER BY revision LIMIT ?`);
    this.#bytesAfter = database.prepare(`
      SELECT total(octet_length(key) + coalesce(octet_length(value), 0)) AS bytes FROM versions WHERE revision > ?`);
    // The plus keeps SQLite from using the index of keys: the range of revisions is the narrow one.
    this.#changes = database.prepare(`
      SELECT revision, key, created_revision, value FROM versions
      WHERE revision > ? AND revision <= ? AND +key >= ? AND +key < ? ORDER BY revision, id`);
    this.#setMeta = database.prepare('UPDATE meta SET value = ? WHERE name = ?');
    this.#dropSuperseded = database.prepare(`
      DELETE FROM versions WHERE id IN (
        SELECT old.id FROM versions AS new CROSS JOIN versions AS old
        WHERE new.revision > ? AND new.revision <= ? AND old.key = new.key AND old.revision < new.revision)`);
    this.#dropDeletions = database.prepare('DELETE FROM versions WHERE revision > ? AND revision <= ? AND value IS NULL');
  }

  /** @throws {UnavailableError} the file cannot be used, and why. */
  static open(openSqlite: OpenSqlite, file: string): VersionStore {
    let database: SqliteDatabase | undefined;
    try {
      database = openSqlite(file);
      const { isNew } = prepareSchema(database, file);
      return new VersionStore(database, file, isNew);
    } catch (error) {
      database?.close();
      throw sqliteCode(error) !== undefined ? storeFailure(file, error) : error;
    }
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction;
  }

  /** The revision of the last commit, and the one up to which history was compacted. */
  readMeta(): { readonly revision: Revision; readonly compacted: Revision } {
    const meta = new Map(
      this.#database
        .prepare('SELECT name, value FROM meta')
        .all()
        .map((row) => [row['name'], row['value']]),
    );
    return { revision: parseRevision(meta.get('revision')), compacted: parseRevision(meta.get('compacted')) };
  }

  writeMeta(name: 'revision' | 'compacted', revision: Revision): void {
    this.#setMeta.run(revision, name);
  }

  begin(): void {
    this.#database.exec('BEGIN IMMEDIATE');
  }

  commit(): void {
    this.#database.exec('COMMIT');
  }

  /** Does nothing where SQLite has rolled back by itself, as it does on a full disk. */
  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
  }

  /** Undefined if the key is absent. */
  current(key: string): CurrentVersion | undefined {
    const row = this.#current.get(key);
    if (!row || row['created_revision'] === null) return undefined;
    return { revision: parseRevision(row['revision']), createdRevision: parseRevision(row['created_revision']) };
  }

  entry(key: string): StoredEntry | undefined {
    const row = this.#entry.get(key);
    return row && row['value'] !== null ? entryOf(row) : undefined;
  }

  /** The state under `prefix` as of `at`, in byte order: the order of TEXT in SQLite. */
  list(prefix: string, at: Revision): StoredEntry[] {
    const entries: StoredEntry[] = [];
    for (const row of this.#list.iterate(prefix, prefixEnd(prefix) ?? NO_END, at)) entries.push(entryOf(row));
    return entries;
  }

  insert(change: StoredChange): void {
    if (change.type === 'delete') this.#insert.run(change.revision, change.key, null, null);
    else this.#insert.run(change.entry.revision, change.entry.key, change.entry.createdRevision, change.entry.value);
  }

  /** The next batches under `prefix` after `after`, as many as one read may take, and the revision up to which they reach. */
  batches(prefix: string, after: Revision, head: Revision): { readonly batches: StoredBatch[]; readonly upTo: Revision } {
    const sizes = this.sizes(after, READ_REVISIONS);
    let bytes = 0;
    const cut = sizes.find((size) => (bytes += size.bytes) >= READ_BYTES) ?? (sizes.length === READ_REVISIONS ? sizes.at(-1) : undefined);
    const upTo = cut?.revision ?? head;
    const batches: { revision: Revision; changes: StoredChange[] }[] = [];
    for (const row of this.#changes.iterate(after, upTo, prefix, prefixEnd(prefix) ?? NO_END)) {
      const change = changeOf(row);
      const revision = parseRevision(row['revision']);
      const last = batches.at(-1);
      if (last?.revision === revision) last.changes.push(change);
      else batches.push({ revision, changes: [change] });
    }
    return { batches, upTo };
  }

  /** The revisions after `after` that have versions in the file, oldest first, at most `limit`, and the bytes of their keys and values. */
  sizes(after: Revision, limit: number): { readonly revision: Revision; readonly bytes: number }[] {
    return this.#sizes.all(after, limit).map((row) => ({ revision: parseRevision(row['revision']), bytes: Number(row['bytes']) }));
  }

  /** The bytes of the keys and values written after `after`. */
  bytesAfter(after: Revision): number {
    return Number(this.#bytesAfter.get(after)?.['bytes']);
  }

  /**
   * Forgets what only the past from `from` up to before `to` needs: versions with a newer one at or below `to`, and deletions. What
   * was compacted up to `from` before is not looked at again.
   */
  compact(from: Revision, to: Revision): void {
    this.#dropSuperseded.run(from, to);
    this.#dropDeletions.run(from, to);
    this.writeMeta('compacted', to);
  }

  /** Writes the log back into the file and empties it. False if a reader of another process keeps it. */
  checkpoint(): boolean {
    return this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy'] === 0;
  }

  /**
   * Leaves one file that is the whole store, and nothing open. A reader of another process may keep the empty log beside it; a full
   * disk a full one, which the next start reads.
   */
  close(): void {
    try {
      // Not the checkpoint of SQLite's own close: one driver closes only when its statements are garbage collected, and would then
      // remove a log that belongs to whoever has opened the store since. Without a log there is nothing to remove.
      if (this.checkpoint()) this.#database.exec('PRAGMA journal_mode = DELETE');
    } catch (error) {
      if (sqliteCode(error) === undefined) throw error;
    } finally {
      this.#database.close();
    }
  }

  /** Lets go of a file that may not work any more. */
  abandon(): void {
    for (const step of [() => this.rollback(), () => this.#database.close()]) {
      try {
        step();
      } catch (error) {
        if (sqliteCode(error) === undefined) throw error;
      }
    }
  }

  /** `error`, of the driver, in words for an operator. */
  failure(error: unknown): UnavailableError {
    return storeFailure(this.#file, error);
  }
}

function entryOf(row: SqliteRow): StoredEntry {
  return {
    key: textOf(row['key']),
    value: bytesOf(row['value']),
    revision: parseRevision(row['revision']),
    createdRevision: parseRevision(row['created_revision']),
  };
}

function changeOf(row: SqliteRow): StoredChange {
  if (row['value'] !== null) return { type: 'put', entry: entryOf(row) };
  return { type: 'delete', key: textOf(row['key']), revision: parseRevision(row['revision']) };
}

function textOf(value: SqliteValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new ProtocolError(`not a key: ${typeof value}`);
}

function bytesOf(value: SqliteValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new ProtocolError(`not a value: ${typeof value}`);
}
