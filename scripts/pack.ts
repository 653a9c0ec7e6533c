import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const PACKED_SOURCES = ['package.json', '.npmrc', 'tsconfig.json', 'tsconfig.build.json', 'README.md', 'LICENSE', 'docs', 'scripts', 'src'];

export interface PackedPackage extends Disposable {
  /** Absolute path of the tarball; the files in it lie beside it. */
  readonly tarball: string;
  /** The names of the files in it, without npm's leading `package/`. */
  readonly files: readonly string[];
}

/**
 * Builds the package from nothing and packs it, in a folder of its own that is gone when the result is disposed: what an earlier
 * build left in `dist` is not in it, and nobody who uses `dist` meanwhile is disturbed.
 */
export function packPackage(): PackedPackage {
  return packInto((folder) => {
    copySources(folder, PACKED_SOURCES);
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: folder, stdio: ['ignore', 2, 2] });
  });
}

/** Copies what there is of `paths`, from the working directory. */
export function copySources(folder: string, paths: readonly string[]): void {
  for (const path of paths.filter((one) => existsSync(one))) cpSync(path, join(folder, path), { recursive: true });
}

/** Packs what `build` makes of an empty folder. */
export function packInto(build: (folder: string) => void): PackedPackage {
  // Within the project, so that the compiler finds node_modules where it always does.
  mkdirSync('.cache', { recursive: true });
  const folder = mkdtempSync(resolve('.cache', 'pack-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const run = (command: string, ...args: readonly string[]): string =>
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    build(folder);
    const tarball = join(folder, run('npm', 'pack', '--silent').trim());
    const listed = run('tar', '-tzf', tarball).trim().split('\n');
    return { tarball, files: listed.map((name) => name.replace(/^package\//, '')), [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}
