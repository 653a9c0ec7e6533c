import { prefixEnd } from '../../core/byte-order.ts';
import { parseRevision, ProtocolError, type Revision, type StoredBatch, type StoredChange, type StoredEntry } from '../../core/provider.ts';
import { POSITIONS } from './schema.ts';
import type { SqliteRow, SqliteStatement, SqliteValue } from './sqlite.ts';
import type { StoreFile } from './store-file.ts';

/** Above every text: SQLite orders blobs after them. The end of a prefix that has none. */
const NO_END = new Uint8Array(0);

/** A catch-up read of the history takes whole revisions up to these bounds. */
const READ_VERSIONS = 1_024;
const READ_BYTES = 4 * 1024 * 1024;

/** What a check or an operation has to know of a key that is present. */
export interface CurrentVersion {
  readonly id: number;
  readonly createdRevision: Revision;
}

/** A change, and the version it replaces. */
export interface VersionChange {
  readonly change: StoredChange;
  readonly previous: CurrentVersion | undefined;
}

/** What one revision holds in the file. */
export interface RevisionSize {
  readonly revision: Revision;
  readonly versions: number;
  /** Of keys and values. */
  readonly bytes: number;
}

/**
 * The versions in the file: SQL and nothing else. Every method is synchronous and sees what was written before it, committed or not.
 */
export class VersionStore {
  readonly file: StoreFile;
  readonly #current: SqliteStatement;
  readonly #entry: SqliteStatement;
  readonly #list: SqliteStatement;
  readonly #listAt: SqliteStatement;
  readonly #sizes: SqliteStatement;
  readonly #changes: SqliteStatement;
  readonly #append: SqliteStatement;
  readonly #point: SqliteStatement;
  readonly #unpoint: SqliteStatement;
  readonly #dropReplaced: SqliteStatement;
  readonly #dropDeletions: SqliteStatement;
  readonly #sum: SqliteStatement;
  readonly #meta: SqliteStatement;
  readonly #setMeta: SqliteStatement;

  constructor(file: StoreFile) {
    const { database } = file;
    this.file = file;
    this.#current = database.prepare('SELECT version_id, created_revision FROM entries_by_key WHERE key = ?');
    this.#entry = database.prepare(`
      SELECT v.key, v.value, v.revision, v.created_revision
      FROM entries_by_key AS e CROSS JOIN versions AS v ON v.id = e.version_id WHERE e.key = ?`);
    this.#list = database.prepare(`
      SELECT v.key, v.value, v.revision, v.created_revision
      FROM entries_by_key AS e CROSS JOIN versions AS v ON v.id = e.version_id WHERE e.key >= ? AND e.key < ? ORDER BY e.key`);
    // What has not changed since, and what the first change since has replaced. By the key of the index, which is sorted already.
    this.#listAt = database.prepare(`
      SELECT e.key AS key, v.value AS value, v.revision AS revision, v.created_revision AS created_revision
      FROM entries_by_key AS e CROSS JOIN versions AS v ON v.id = e.version_id WHERE e.key >= ?1 AND e.key < ?2 AND e.version_id < ?3
      UNION ALL
      SELECT v.key, v.value, v.revision, v.created_revision
      FROM (SELECT previous_id, min(id) FROM versions WHERE id >= ?3 AND key >= ?1 AND key < ?2 GROUP BY key) AS first
      CROSS JOIN versions AS v ON v.id = first.previous_id
      ORDER BY key`);
    this.#sizes = database.prepare(`
      SELECT revision, octet_length(key) + coalesce(octet_length(value), 0) AS bytes FROM versions WHERE id >= ? ORDER BY id LIMIT ?`);
    this.#changes = database.prepare(`
      SELECT revision, key, created_revision, value FROM versions WHERE id >= ? AND id < ? AND key >= ? AND key < ? ORDER BY id`);
    this.#append = database.prepare('INSERT INTO versions (id, key, created_revision, previous_id, value) VALUES (?, ?, ?, ?, ?)');
    this.#point = database.prepare(`
      INSERT INTO entries_by_key VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version_id = excluded.version_id`);
    this.#unpoint = database.prepare('DELETE FROM entries_by_key WHERE key = ?');
    this.#dropReplaced = database.prepare('DELETE FROM versions WHERE id IN (SELECT previous_id FROM versions WHERE id >= ? AND id < ?)');
    this.#dropDeletions = database.prepare('DELETE FROM versions WHERE id >= ? AND id < ? AND value IS NULL');
    this.#setMeta = database.prepare('UPDATE meta SET value = ? WHERE name = ?');
    this.#sum = database.prepare(`
      SELECT total(octet_length(key) + coalesce(octet_length(value), 0)) AS bytes FROM versions WHERE id >= ?`);
    this.#meta = database.prepare('SELECT value FROM meta WHERE name = ?');
  }

  /** The revision of the last commit, and the one up to which history was compacted. */
  readMeta(): { readonly revision: Revision; readonly compacted: Revision } {
    return {
      revision: parseRevision(this.#meta.get('revision')?.['value']),
      compacted: parseRevision(this.#meta.get('compacted')?.['value']),
    };
  }

  writeMeta(name: 'revision' | 'compacted', revision: Revision): void {
    this.#setMeta.run(revision, name);
  }

  /** Undefined if the key is absent. */
  current(key: string): CurrentVersion | undefined {
    const row = this.#current.get(key);
    return row && { id: numberOf(row['version_id']), createdRevision: parseRevision(row['created_revision']) };
  }

  entry(key: string): StoredEntry | undefined {
    const row = this.#entry.get(key);
    return row && entryOf(row);
  }

  /** The state under `prefix`, now or as of `at`, in byte order: the order of TEXT in SQLite. */
  list(prefix: string, at?: Revision): StoredEntry[] {
    const range = [prefix, prefixEnd(prefix) ?? NO_END];
    const rows = at === undefined ? this.#list.iterate(...range) : this.#listAt.iterate(...range, firstIdAfter(at));
    const entries: StoredEntry[] = [];
    for (const row of rows) entries.push(entryOf(row));
    return entries;
  }

  /** The next batches under `prefix` after `after`, as many as one read may take, and the revision up to which they reach. */
  batches(prefix: string, after: Revision, head: Revision): { readonly batches: readonly StoredBatch[]; readonly upTo: Revision } {
    const sizes = this.sizes(after, READ_VERSIONS);
    let bytes = 0;
    const cut = sizes.find((size) => (bytes += size.bytes) >= READ_BYTES);
    const upTo = (cut ?? sizes.at(-1))?.revision ?? head;
    const batches: { revision: Revision; changes: StoredChange[] }[] = [];
    for (const row of this.#changes.iterate(firstIdAfter(after), firstIdAfter(upTo), prefix, prefixEnd(prefix) ?? NO_END)) {
      const change = changeOf(row);
      const revision = parseRevision(row['revision']);
      const last = batches.at(-1);
      if (last?.revision === revision) last.changes.push(change);
      else batches.push({ revision, changes: [change] });
    }
    return { batches, upTo };
  }

  /** The revisions after `after`, oldest first and whole: about as many as `versions` versions make, one at least. */
  sizes(after: Revision, versions: number): RevisionSize[] {
    const limit = Math.max(versions, POSITIONS + 1);
    const sizes: { revision: Revision; versions: number; bytes: number }[] = [];
    const rows = this.#sizes.all(firstIdAfter(after), limit);
    for (const row of rows) {
      const revision = parseRevision(row['revision']);
      const last = sizes.at(-1);
      if (last?.revision === revision) {
        last.versions++;
        last.bytes += numberOf(row['bytes']);
      } else sizes.push({ revision, versions: 1, bytes: numberOf(row['bytes']) });
    }
    if (rows.length === limit) sizes.pop(); // The limit may have cut it.
    return sizes;
  }

  /** The bytes of the keys and values written after `after`. */
  bytesAfter(after: Revision): number {
    return numberOf(this.#sum.get(firstIdAfter(after))?.['bytes']);
  }

  /** Writes the changes of one revision, at most {@link POSITIONS}; returns what each key is at now. */
  append(revision: Revision, changes: readonly VersionChange[]): (readonly [key: string, current: CurrentVersion | undefined])[] {
    return changes.map(({ change, previous }, position) => {
      const id = revision * POSITIONS + position;
      if (change.type === 'delete') {
        this.#append.run(id, change.key, null, previous?.id ?? null, null);
        this.#unpoint.run(change.key);
        return [change.key, undefined];
      }
      const { key, createdRevision, value } = change.entry;
      this.#append.run(id, key, createdRevision, previous?.id ?? null, value);
      this.#point.run(key, id, createdRevision);
      return [key, { id, createdRevision }];
    });
  }

  /**
   * Forgets what only the past up to before `to` needs: the versions replaced at or below it, and deletions. Up to `from` that was
   * done before.
   */
  compact(from: Revision, to: Revision): void {
    this.#dropReplaced.run(firstIdAfter(from), firstIdAfter(to));
    this.#dropDeletions.run(firstIdAfter(from), firstIdAfter(to));
    this.writeMeta('compacted', to);
  }
}

/** The revision of the version `id`. */
export function revisionOfId(id: number): Revision {
  return Math.floor(id / POSITIONS) as Revision;
}

function firstIdAfter(revision: Revision): number {
  return (revision + 1) * POSITIONS;
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

function numberOf(value: SqliteValue | undefined): number {
  if (typeof value === 'number') return value;
  throw new ProtocolError(`not a number: ${typeof value}`);
}
