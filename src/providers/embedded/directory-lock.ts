import { UnavailableError } from '../../core/provider.ts';
import type { DataDirectory } from './data-directory.ts';
import { sqliteCode, SQLITE_BUSY, storeFailure } from './sqlite-error.ts';
import type { OpenSqlite, SqliteDatabase } from './sqlite.ts';

/**
 * Keeps a data directory to one provider: an exclusive transaction on a file of its own, held as long as the store is open. It ends
 * with the process, however that ends, and leaves `attune.db` itself free for readers such as the `sqlite3` tool.
 */
export class DirectoryLock {
  readonly #directory: DataDirectory;
  readonly #database: SqliteDatabase;

  private constructor(directory: DataDirectory, database: SqliteDatabase) {
    this.#directory = directory;
    this.#database = database;
  }

  /** @throws {UnavailableError} another process, or another provider of this one, has the directory. */
  static acquire(openSqlite: OpenSqlite, directory: DataDirectory): DirectoryLock {
    directory.createFile(directory.lockFile);
    let database: SqliteDatabase | undefined;
    try {
      database = openSqlite(directory.lockFile);
      // No prepared statements here: one driver keeps a file open, and locked, until they are garbage collected.
      database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    } catch (cause) {
      database?.close();
      if (sqliteCode(cause) !== SQLITE_BUSY) throw storeFailure(directory.lockFile, cause);
      const pid = directory.readPid();
      const holder = pid === undefined ? 'another process' : `pid ${pid}`;
      throw new UnavailableError(`${directory.name} is in use by ${holder}; stop it, or choose another --data-dir`, {
        cause,
        details: { directory: directory.name, ...(pid === undefined ? {} : { pid }) },
      });
    }
    directory.writePid();
    return new DirectoryLock(directory, database);
  }

  release(): void {
    this.#directory.removePid();
    this.#database.close();
  }
}
