import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PACKED_SOURCES = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'README.md', 'LICENSE', 'docs', 'src'];

export interface PackedPackage extends Disposable {
  /** Path of the tarball. */
  readonly tarball: string;
  /** The names of the files in it, without npm's leading `package/`. */
  readonly files: readonly string[];
}

/**
 * Builds the package from nothing and packs it, in a folder of its own that is gone when the result is disposed: what a past build
 * left in `dist` is not in it, and nobody who reads `dist` meanwhile is disturbed.
 */
export function packPackage(root: string): PackedPackage {
  const folder = mkdtempSync(join(tmpdir(), 'attune-pack-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    for (const name of PACKED_SOURCES) if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const run = (command: string, ...args: readonly string[]): string =>
      execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    run('npm', 'run', '--silent', 'build');
    const tarball = join(folder, run('npm', 'pack', '--silent').trim());
    const files = run('tar', '-tzf', tarball)
      .trim()
      .split('\n')
      .map((name) => name.replace(/^package\//, ''));
    return { tarball, files, [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}
