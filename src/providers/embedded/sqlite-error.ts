import { UnavailableError } from '../../core/provider.ts';

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
export const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
export const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

const REASONS: ReadonlyMap<number, string> = new Map([
  [SQLITE_BUSY, 'is locked by another process; end its transaction'],
  [SQLITE_READONLY, 'is not writable; check its permissions and those of its directory'],
  [SQLITE_IOERR, 'cannot be read or written; check the disk'],
  [SQLITE_CORRUPT, 'is damaged; restore it from a backup'],
  [SQLITE_FULL, 'cannot grow: the disk or the quota is full; free some space'],
  [SQLITE_CANTOPEN, 'cannot be opened; check the permissions of its directory'],
  [SQLITE_NOTADB, 'is not a SQLite database; move it away or restore it from a backup'],
]);

/** The primary result code in an error of the driver; undefined if it is none. */
export function sqliteCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff; // The rest is the extended code.
}

/** What went wrong with `file`, in words for an operator. */
export function storeFailure(file: string, error: unknown): UnavailableError {
  const reason = REASONS.get(sqliteCode(error) ?? -1) ?? 'cannot be used';
  const detail = error instanceof Error ? error.message : String(error);
  return new UnavailableError(`${file} ${reason} (${detail})`, { cause: error, details: { file } });
}
