import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const PACKED_SOURCES = ['package.json', '.npmrc', 'tsconfig.json', 'tsconfig.build.json', 'README.md', 'LICENSE', 'docs', 'src'];

export interface PackedPackage extends Disposable {
  /** Absolute path of the tarball. */
  readonly tarball: string;
  /** The names of the files in it, without npm's leading `package/`. */
  readonly files: readonly string[];
}

/**
 * Builds the package from nothing and packs it, in a folder of its own that is gone when the result is disposed: what an earlier
 * build left in `dist` is not in it, and nobody who uses `dist` meanwhile is disturbed.
 */
export function packPackage(): PackedPackage {
  // Within the project, so that the compiler finds node_modules where it always does.
  mkdirSync('.cache', { recursive: true });
  const folder = mkdtempSync(resolve('.cache', 'pack-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const run = (command: string, ...args: readonly string[]): string =>
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    for (const name of PACKED_SOURCES.filter((path) => existsSync(path))) cpSync(name, join(folder, name), { recursive: true });
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: folder, stdio: ['ignore', 2, 2] });
    const tarball = join(folder, run('npm', 'pack', '--silent').trim());
    const listed = run('tar', '-tzf', tarball).trim().split('\n');
    return { tarball, files: listed.map((name) => name.replace(/^package\//, '')), [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}
