import { UnavailableError } from '../../core/provider.ts';
import { isAtLeast, OLDEST_SQLITE, type SqliteDatabase } from './sqlite.ts';

/** Raised when an older version of Attune could no longer read the file. */
const FORMAT = 1;

/** "ATTU": what `file attune.db` shows, and what tells our file from any other database. */
const APPLICATION_ID = 0x41_54_54_55;

/**
 * Positions of a revision in the ids of its versions: `id = revision * 128 + position`, so that history lies in the file in the order
 * of its revisions and needs no index. At least as many as a transaction has operations.
 */
export const POSITIONS = 128;

/**
 * History is a list of versions in the order of their revisions; a deletion is a version without value. `entries_by_key` points at the
 * version each present key is at, and every version at the one it replaced. So a commit touches few pages, the state of the past is
 * the present one with later versions taken back, and forgetting follows the list. `meta` holds the format, the store's revision,
 * the revision up to which history was compacted and the mark of its log. The view is for people: `sqlite3 attune.db 'select key, value from entries'`.
 */
const SCHEMA = `
  CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE versions (
    id               INTEGER PRIMARY KEY,
    revision         INTEGER GENERATED ALWAYS AS (id / ${POSITIONS}) VIRTUAL,
    key              TEXT NOT NULL,
    created_revision INTEGER,
    previous_id      INTEGER,
    value            BLOB,
    CHECK ((value IS NULL) = (created_revision IS NULL))
  ) STRICT;
  CREATE TABLE entries_by_key (
    key              TEXT PRIMARY KEY,
    version_id       INTEGER NOT NULL,
    created_revision INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE VIEW entries AS
    SELECT e.key, CAST(v.value AS TEXT) AS value, v.revision, v.created_revision
    FROM entries_by_key AS e JOIN versions AS v ON v.id = e.version_id;
  INSERT INTO meta VALUES ('format', ${FORMAT}), ('revision', 0), ('compacted', 0), ('mark', 0);
  PRAGMA application_id = ${APPLICATION_ID};
`;

/** A busy reader of another process is waited for this long, with the event loop: it must be short. */
const BUSY_TIMEOUT_MS = 200;

/** Pages kept in memory, in KiB, once they were read: enough for some ten thousand entries and their index. */
const CACHE_KIB = 65_536;

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
  // The log is checkpointed by us, who have to know when it begins anew.
  database.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0');
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
