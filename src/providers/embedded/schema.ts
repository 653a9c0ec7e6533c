import { UnavailableError } from '../../core/provider.ts';
import { isAtLeast, OLDEST_SQLITE, type SqliteDatabase } from './sqlite.ts';

/** Raised when an older version of Attune could no longer read the file. */
export const FORMAT = 1;

/** "ATTU": what `file attune.db` shows, and what tells our file from any other database. */
const APPLICATION_ID = 0x41_54_54_55;

/**
 * Every version of every key that is kept, in the manner of etcd's MVCC: the newest version at or below a revision is the state of
 * that key at it. A deletion is a version without value. `meta` holds the format, the store's revision and the revision up to which
 * history was compacted.
 */
const SCHEMA = `
  CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE versions (
    id               INTEGER PRIMARY KEY,
    revision         INTEGER NOT NULL,
    key              TEXT NOT NULL,
    created_revision INTEGER,
    value            BLOB,
    CHECK ((value IS NULL) = (created_revision IS NULL))
  ) STRICT;
  CREATE UNIQUE INDEX versions_by_key ON versions (key, revision);
  CREATE INDEX versions_by_revision ON versions (revision);
  CREATE VIEW entries AS
    SELECT key, CAST(value AS TEXT) AS value, revision, created_revision
    FROM (SELECT key, value, max(revision) AS revision, created_revision FROM versions GROUP BY key)
    WHERE value IS NOT NULL;
  INSERT INTO meta VALUES ('format', ${FORMAT}), ('revision', 0), ('compacted', 0);
  PRAGMA application_id = ${APPLICATION_ID};
`;

/** A busy reader of another process is waited for this long, with the event loop: it must be short. */
const BUSY_TIMEOUT_MS = 200;

/** Pages kept in memory, in KiB: the upper levels of the indexes of some hundred thousand keys. */
const CACHE_KIB = 16_384;

/** A WAL that had to grow is cut back to this. */
const WAL_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * Makes `database` ready: durable on every commit, with our tables in it. True if they were not there.
 * @throws {UnavailableError} SQLite is too old, or the file is of another program or of a later Attune.
 */
export function prepareSchema(database: SqliteDatabase, file: string): { readonly isNew: boolean } {
  const { version } = database.prepare('SELECT sqlite_version() AS version').get() ?? {};
  if (typeof version !== 'string' || !isAtLeast(version, OLDEST_SQLITE)) {
    throw new UnavailableError(`SQLite ${String(version)} can lose commits; ${OLDEST_SQLITE} or later is needed: update Node`);
  }
  database.exec(
    `PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`,
  );
  const isNew = numberOf(database, 'SELECT count(*) AS n FROM sqlite_schema') === 0;
  if (!isNew) requireFormat(database, file);
  const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
  if (mode !== 'wal') throw new UnavailableError(`${file} cannot have a write-ahead log (a network file system?)`, { details: { file } });
  database.exec('PRAGMA synchronous = FULL');
  if (isNew) database.exec(`BEGIN IMMEDIATE; ${SCHEMA}; COMMIT`);
  return { isNew };
}

function requireFormat(database: SqliteDatabase, file: string): void {
  if (numberOf(database, 'SELECT application_id AS n FROM pragma_application_id') !== APPLICATION_ID) {
    throw new UnavailableError(`${file} is a database of another program; move it away, or choose another --data-dir`, {
      details: { file },
    });
  }
  const format = numberOf(database, `SELECT value AS n FROM meta WHERE name = 'format'`);
  if (format !== FORMAT) {
    throw new UnavailableError(
      `${file} has format ${format}, this version of Attune reads format ${FORMAT}; use the version that wrote it`,
      {
        details: { file, format },
      },
    );
  }
}

function numberOf(database: SqliteDatabase, sql: string): number {
  const value = database.prepare(sql).get()?.['n'];
  return typeof value === 'number' ? value : Number.NaN;
}
