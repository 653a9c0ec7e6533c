import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAbsence } from './file-path.ts';

/** A temporary file not written to for so long belongs to a process that was killed. */
const ABANDONED_AFTER_MS = 60_000;

/**
 * Writes a file whole or not at all, whoever else writes or is killed at the same time: a reader sees one of the contents, never a mixture. It
 * is readable for its owner only. Folders that are missing are created, for the owner only. A link at `path` is replaced, not followed.
 * Calls `content` when the file is open: where nothing can be written nothing is computed.
 * @throws the operating system's error, or what `content` throws; the file is then what it was.
 */
export async function replaceFile(path: string, content: () => string): Promise<void> {
  const old = await lstat(path).catch(() => undefined);
  // A rename would put a file in the place of /dev/null.
  if (old && !old.isFile() && !old.isSymbolicLink()) throw new Error('there is something else than a file');
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await openNew(temporary);
  try {
    try {
      await file.writeFile(content());
      // Before the rename, else a power cut could leave the new name with nothing behind it.
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    // If that fails too, the first failure is the one to tell, and a later start removes it.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    if (!isAbsence(error)) throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return open(path, 'wx', 0o600);
  }
}

/** Removes what killed processes left beside `path`, a file just written: its time is the file system's own, whatever this machine's clock says. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const start = `${basename(path)}.`;
  const names = (await readdir(folder)).filter(
    (name) => name.startsWith(start) && /^\d+\.[0-9a-f]{12}\.tmp$/.test(name.slice(start.length)),
  );
  if (names.length === 0) return;
  const { mtimeMs: now } = await stat(path);
  for (const name of names) {
    const { mtimeMs } = await lstat(join(folder, name));
    if (now - mtimeMs > ABANDONED_AFTER_MS) await rm(join(folder, name), { force: true });
  }
}
