import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';

import { lockFile } from './file-lock.ts';
import { unpackDebianPackage } from './private-apt.ts';

export interface DebianProgram {
  /** The package that holds the program: `chromium`. */
  readonly package: string;
  /** The program's path in the package: `usr/lib/chromium/chromium`. */
  readonly executable: string;
  /** The release to take it from, such as `sid`. Default: whatever the machine itself would install. */
  readonly suite?: string;
  /** Arguments that make the program start, say something and end. */
  readonly proof: readonly string[];
}

const PROOF_TIMEOUT_MS = 30_000;

const execute = promisify(execFile);

function findLibraryFolders(root: string): readonly string[] {
  const tops = ['usr/lib', 'lib'].map((name) => join(root, name)).filter((folder) => existsSync(folder));
  const entries = tops.flatMap((folder) => readdirSync(folder, { withFileTypes: true, recursive: true }));
  const libraries = entries.filter((entry) => !entry.isDirectory() && /\.so(\.|$)/.test(entry.name));
  return [...new Set(libraries.map((entry) => relative(root, entry.parentPath)))];
}

/** A shell script that lies beside `root` and may be moved with it. */
function formatLauncher(program: DebianProgram, root: string): string {
  const libraries = findLibraryFolders(root).map((folder) => `$root/${folder}`);
  return `#!/bin/sh
# Runs ${program.package} with the libraries that came with it.
root=$(dirname "$(readlink -f "$0")")/root
export LD_LIBRARY_PATH="${libraries.join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_SYSROOT="$root"
exec "$root/${program.executable}" "$@"
`;
}

async function prove(launcher: string, program: DebianProgram): Promise<void> {
  await execute(launcher, program.proof, { timeout: PROOF_TIMEOUT_MS });
}

async function isUsable(launcher: string, program: DebianProgram): Promise<boolean> {
  if (!existsSync(launcher)) return false;
  return prove(launcher, program).then(
    () => true,
    () => false,
  );
}

/**
 * Resolves to the path of a command that runs a program of Debian's, brought into `folder` if it is not there yet. Nothing is
 * installed, no rights are needed, and nothing outside of `folder` and a lock beside it is changed. May be called by several
 * processes at once. The first call takes as long as the download, a later one as long as the program takes to prove that it runs.
 * @throws if this is no Debian, the package is not to be had, or the program does not run.
 */
export async function bringDebianProgram(program: DebianProgram, folder: string): Promise<string> {
  const home = resolve(folder);
  const launcher = join(home, program.package);
  if (await isUsable(launcher, program)) return launcher;

  await using _ = await lockFile(`${home}.lock`);
  // Somebody else may have brought it while we waited.
  if (await isUsable(launcher, program)) return launcher;
  const work = mkdtempSync(`${home}.`);
  try {
    const made = join(work, 'made');
    await unpackDebianPackage(program.package, program.suite, work, join(made, 'root'));
    writeFileSync(join(made, program.package), formatLauncher(program, join(made, 'root')));
    chmodSync(join(made, program.package), 0o755);
    await prove(join(made, program.package), program);
    rmSync(home, { recursive: true, force: true });
    renameSync(made, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  process.stderr.write(`${program.package}: ready in ${home}\n`);
  return launcher;
}
