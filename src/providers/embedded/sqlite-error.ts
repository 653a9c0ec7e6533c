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

/** One driver leaves the code out of some errors; the texts are SQLite's own. */
const CODES_BY_TEXT: ReadonlyMap<string, number> = new Map([
  ['database is locked', SQLITE_BUSY],
  ['attempt to write a readonly database', SQLITE_READONLY],
  ['disk I/O error', SQLITE_IOERR],
  ['database disk image is malformed', SQLITE_CORRUPT],
  ['database or disk is full', SQLITE_FULL],
  ['unable to open database file', SQLITE_CANTOPEN],
  ['file is not a database', SQLITE_NOTADB],
]);

const SQLITE_ERROR = 1;

/** The primary result code in an error of the driver; undefined if it is none. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_SQLITE_ERROR') return undefined;
  if ('errcode' in error && typeof error.errcode === 'number') return error.errcode & 0xff; // The rest is the extended code.
  return CODES_BY_TEXT.get(error.message) ?? SQLITE_ERROR;
}

/** What went wrong with `file`, in words for an operator. */
export function storeFailure(file: string, error: unknown): UnavailableError {
  const reason = REASONS.get(sqliteCode(error) ?? -1) ?? 'cannot be used';
  const detail = error instanceof Error ? error.message : String(error);
  return new UnavailableError(`${file} ${reason} (${detail})`, { cause: error, details: { file } });
}
