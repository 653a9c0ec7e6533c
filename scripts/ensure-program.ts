import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

import { bringDebianProgram, type DebianProgram } from './debian-program.ts';

export interface NeededProgram {
  /** For people: `Chromium`. */
  readonly title: string;
  /** Environment variable that names one, such as `ATTUNE_TEST_CHROMIUM`. */
  readonly variable: string;
  /** What it is called on a PATH. */
  readonly names: readonly string[];
  readonly debian: DebianProgram;
  /** Whether one from the PATH that says this of its version will do. Default: any. */
  readonly accepts?: (version: string) => boolean;
  /** Folder in `.cache` for Debian's. Default: the name of the package. */
  readonly folder?: string;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Resolves to the path of a program: the one its variable names, else one on the PATH, else Debian's, brought into `.cache`
 * (see {@link bringDebianProgram}).
 * @throws if there is none. Never resolves to nothing: a test that needs a program fails without it.
 */
export async function ensureProgram({ title, variable, names, debian, accepts, folder = debian.package }: NeededProgram): Promise<string> {
  const named = process.env[variable];
  if (named !== undefined) {
    if (!isExecutable(named)) throw new Error(`${variable} names ${named}, which is no program`);
    return named;
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const installed = names.flatMap((name) => folders.map((folder) => join(folder, name))).filter(isExecutable);
  const fitting = installed.find((path) => !accepts || accepts(execFileSync(path, debian.proof, { encoding: 'utf8', timeout: 30_000 })));
  if (fitting !== undefined) return fitting;
  return bringDebianProgram(debian, join(import.meta.dirname, '../.cache', folder)).catch((error: unknown) => {
    throw new Error(`no ${title} here: install one, or name one in ${variable}`, { cause: error });
  });
}
