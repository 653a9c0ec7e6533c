import { open, rename, rm, stat } from 'node:fs/promises';
import { LocalError } from './exit-code.ts';

/**
 * Writes a file whole or not at all: a reader sees the old content or the new. What is no ordinary file (`/dev/stdout`, a pipe) is written to directly.
 * @throws {LocalError} it cannot be written.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const old = await stat(path).catch(() => undefined);
  const temporary = old === undefined || old.isFile() ? `${path}.${process.pid}.tmp` : path;
  try {
    await using file = await open(temporary, 'w', old?.isFile() ? old.mode & 0o777 : 0o666);
    await file.writeFile(text);
    if (temporary === path) return;
    await file.sync();
    await rename(temporary, path);
  } catch (error) {
    if (temporary !== path) await rm(temporary, { force: true });
    throw new LocalError(`cannot write ${path}: ${(error as Error).message}`);
  }
}
