import { resolve } from 'node:path';
import { InvalidArgumentError } from '../../core/errors.ts';
import { quoteForMessage } from '../../core/key.ts';

/** The absolute path, as of now: a later `chdir` does not move it. @throws {InvalidArgumentError} naming the option. */
export function parseFilePath(path: unknown, option: string): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    const shown = typeof path === 'string' ? quoteForMessage(path) : typeof path;
    throw new InvalidArgumentError(`${option} is ${shown}; give the path of a file`);
  }
  return resolve(path);
}

/** The operating system's code, such as ENOSPC; else the name of the error. */
export function failureKindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

/** True if the path leads nowhere: the file, or a folder on the way to it, is not there. */
export const isAbsence = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(failureKindOf(error));
