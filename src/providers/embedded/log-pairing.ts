import { randomInt } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { UnavailableError } from '../../core/provider.ts';
import { sqliteCode, storeFailure } from './sqlite-error.ts';
import type { OpenSqlite } from './sqlite.ts';

/** A log of no more than its header holds nothing. */
const LOG_HEADER_BYTES = 32;

const FILE_MODE = 0o600;

/**
 * Notices that the database was put back from a backup while the log of the newer one still lies beside it, as a crash leaves it. SQLite
 * would apply the pages of that log to the older file, and a store would come out that is neither, or is empty (sqlite.org/howtocorrupt.html
 * section 1.4; seen here).
 *
 * Each time the log begins anew, the file gets a new mark with its first commit, and the two marks that the file itself can bear while that
 * log is in use, the one before and the new one, are written to `attune.db-marks` before it.
 */
export class LogPairing {
  readonly #databaseFile: string;
  readonly #logFile: string;
  readonly #marksFile: string;

  constructor(databaseFile: string) {
    this.#databaseFile = databaseFile;
    this.#logFile = `${databaseFile}-wal`;
    this.#marksFile = `${databaseFile}-marks`;
  }

  /**
   * To be called before the file is opened, which applies the log.
   * @throws {UnavailableError} there is a log, and it is that of another file.
   */
  requirePair(openSqlite: OpenSqlite): void {
    const marks = this.#readMarks();
    if (!marks || !this.#hasLog()) return;
    const mark = this.#markInFile(openSqlite);
    if (mark === undefined || marks.includes(mark)) return;
    throw new UnavailableError(
      `${this.#databaseFile} is not the file that ${this.#logFile} belongs to: it was replaced, by a backup perhaps, after a crash; ` +
        `to go on from it, remove ${this.#logFile}, ${this.#databaseFile}-shm and ${this.#marksFile}`,
      { details: { file: this.#databaseFile } },
    );
  }

  /** A new mark for a log that begins anew over a file that bears `mark`. On disk when it returns. */
  renew(mark: number): number {
    const next = randomInt(1, 2 ** 47);
    const draft = `${this.#marksFile}.new`;
    try {
      const file = openSync(draft, 'w', FILE_MODE);
      try {
        writeSync(file, `${mark}\n${next}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(draft, this.#marksFile);
      syncDirectory(path.dirname(this.#marksFile));
    } catch (cause) {
      throw storeFailure(this.#marksFile, cause);
    }
    return next;
  }

  /** To be called when there is no log any more. */
  forget(): void {
    try {
      rmSync(this.#marksFile, { force: true });
    } catch {
      // Without a log nobody reads it.
    }
  }

  #hasLog(): boolean {
    return (statSync(this.#logFile, { throwIfNoEntry: false })?.size ?? 0) > LOG_HEADER_BYTES;
  }

  #readMarks(): number[] | undefined {
    try {
      return readFileSync(this.#marksFile, 'utf8').split('\n').filter(Boolean).map(Number);
    } catch {
      return undefined; // A store that was closed well has none.
    }
  }

  /** What the file says without its log; undefined if it says nothing, as a file does that is not readable without it. */
  #markInFile(openSqlite: OpenSqlite): number | undefined {
    try {
      const database = openSqlite(`${pathToFileURL(this.#databaseFile).href}?immutable=1`);
      try {
        const mark = database.prepare(`SELECT value FROM meta WHERE name = 'mark'`).get()?.['value'];
        return typeof mark === 'number' ? mark : undefined;
      } finally {
        database.close();
      }
    } catch (error) {
      if (sqliteCode(error) === undefined) throw error;
      return undefined;
    }
  }
}

/** A rename is on disk when its directory is. Not every system can be asked for it. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
