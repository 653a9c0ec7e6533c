import { statSync } from 'node:fs';
import { InvalidArgumentError } from '../../core/errors.ts';
import { isAbsence } from './file-path.ts';
import { readRegularFile } from './read-regular-file.ts';

const MAX_TOKEN_BYTES = 64 * 1024;

/**
 * A `token` option that reads the file for each request, so that a new token counts at once. While the file is gone or empty, as between the
 * steps of being replaced, the last one is used.
 * @throws {InvalidArgumentError} there is no such file now.
 */
export function tokenFromFile(path: string, name: string): () => Promise<string> {
  expectFile(path, name);
  let last: string | undefined;
  return async () => {
    const text = await readRegularFile(path, MAX_TOKEN_BYTES).catch((cause: unknown) => {
      if (isAbsence(cause) && last !== undefined) return '';
      throw new InvalidArgumentError(`${name} names ${path}, which gives no token: ${(cause as Error).message}`, { cause });
    });
    last = text.trim() || last;
    if (last === undefined) throw new InvalidArgumentError(`${name} names ${path}, which gives no token: it is empty`);
    return last;
  };
}

function expectFile(path: string, name: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile()) throw new InvalidArgumentError(`${name} names ${path}, where there is ${stats ? 'no ordinary file' : 'no file'}`);
}
