import type { UnavailableError } from '../../core/provider.ts';
import { LogPairing } from './log-pairing.ts';
import { prepareSchema } from './schema.ts';
import { sqliteCode, storeFailure } from './sqlite-error.ts';
import type { OpenSqlite, SqliteDatabase, SqliteStatement } from './sqlite.ts';

/** A log of this length is written back, in the commit that reaches it: 10 ms where every page is another one. */
const LOG_PAGES = 2_000;

/**
 * The database file with its write-ahead log: transactions, checkpoints, opening and closing. Who calls makes a transaction of `begin` …
 * `commit` within one turn, so that nobody reads in between.
 */
export class StoreFile {
  readonly database: SqliteDatabase;
  /** True if the file held no store and does now. */
  readonly isNew: boolean;
  readonly #name: string;
  readonly #pairing: LogPairing;
  readonly #setMark: SqliteStatement;
  readonly #logSize: SqliteStatement;
  /** What the file bears, with its log; and what it will with the commit under way. */
  #mark: number;
  #nextMark: number | undefined;
  /** True if the log holds nothing that the file does not: the next commit begins it anew. */
  #isLogSpent = false;

  private constructor(database: SqliteDatabase, name: string, pairing: LogPairing, isNew: boolean) {
    this.database = database;
    this.isNew = isNew;
    this.#name = name;
    this.#pairing = pairing;
    this.#setMark = database.prepare(`UPDATE meta SET value = ? WHERE name = 'mark'`);
    this.#logSize = database.prepare('PRAGMA wal_checkpoint(NOOP)');
    this.#mark = Number(database.prepare(`SELECT value FROM meta WHERE name = 'mark'`).get()?.['value']);
  }

  /** @throws {UnavailableError} the file cannot be used, and why. */
  static open(openSqlite: OpenSqlite, name: string): StoreFile {
    const pairing = new LogPairing(name);
    let database: SqliteDatabase | undefined;
    try {
      pairing.requirePair(openSqlite);
      database = openSqlite(name);
      const { isNew } = prepareSchema(database, name);
      return new StoreFile(database, name, pairing, isNew);
    } catch (error) {
      database?.close();
      throw sqliteCode(error) === undefined ? error : storeFailure(name, error);
    }
  }

  get isInTransaction(): boolean {
    return this.database.isTransaction;
  }

  begin(): void {
    this.database.exec('BEGIN IMMEDIATE');
  }

  /** Part of the transaction: all that a commit needs besides it, and that may fail while nothing can have been applied. */
  prepareCommit(): void {
    if (!this.#isLogSpent) return;
    this.#nextMark = this.#pairing.renew(this.#mark);
    this.#setMark.run(this.#nextMark);
  }

  /** On disk when it returns. */
  commit(): void {
    this.database.exec('COMMIT');
    if (!this.#isLogSpent) return;
    this.#isLogSpent = false;
    this.#mark = this.#nextMark ?? this.#mark;
  }

  /** Does nothing where SQLite has rolled back by itself, as it does on a full disk. */
  rollback(): void {
    if (this.database.isTransaction) this.database.exec('ROLLBACK');
  }

  /** Writes the log back into the file and empties it. False if a reader of another process keeps it. */
  checkpoint(): boolean {
    const isWhole = this.database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy'] === 0;
    this.#isLogSpent ||= isWhole;
    return isWhole;
  }

  /** As {@link checkpoint}, where a failure is nobody's problem yet. */
  tryCheckpoint(): void {
    ignoreSqliteErrors(() => this.checkpoint());
  }

  /** Writes a long log back into the file, so that it may begin anew, unless readers keep it. What fails here is tried again. */
  shortenLog(): void {
    ignoreSqliteErrors(() => {
      if (Number(this.#logSize.get()?.['log']) < LOG_PAGES) return;
      const done = this.database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
      this.#isLogSpent = done?.['busy'] === 0 && done['log'] === done['checkpointed'];
    });
  }

  /**
   * Leaves one file that is the whole store, and nothing open. A reader of another process may keep the empty log beside it; a full
   * disk a full one, which the next start reads.
   */
  close(): void {
    try {
      ignoreSqliteErrors(() => {
        // Not the checkpoint of SQLite's own close: one driver closes only when its statements are garbage collected, and would then
        // remove a log that belongs to whoever has opened the store since. Without a log there is nothing to remove.
        if (!this.checkpoint()) return;
        this.database.exec('PRAGMA journal_mode = DELETE');
        this.#pairing.forget();
      });
    } finally {
      this.database.close();
    }
  }

  /** Lets go of a file that may not work any more. */
  abandon(): void {
    ignoreSqliteErrors(() => this.rollback());
    ignoreSqliteErrors(() => this.database.close());
  }

  /** `error`, of the driver, in words for an operator; any other as it is. */
  failure(error: unknown): unknown {
    return sqliteCode(error) === undefined ? error : this.describeFailure(error);
  }

  describeFailure(error: unknown): UnavailableError {
    return storeFailure(this.#name, error);
  }
}

function ignoreSqliteErrors(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error;
  }
}
