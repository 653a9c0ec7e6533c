import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UnavailableError } from '../../core/provider.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * The folder of an embedded store: `attune.db` is the store, `attune.lock` keeps others out, `attune.pid` says whom to ask. What is
 * created is for its owner alone; what exists keeps its modes.
 */
export class DataDirectory {
  /** As the operator wrote it, for messages. */
  readonly name: string;
  readonly databaseFile: string;
  readonly lockFile: string;
  readonly #pidFile: string;

  constructor(name: string) {
    this.name = name;
    this.databaseFile = path.join(name, 'attune.db');
    this.lockFile = path.join(name, 'attune.lock');
    this.#pidFile = path.join(name, 'attune.pid');
  }

  /** @throws {UnavailableError} it cannot be created. */
  create(): void {
    this.#attempt(() => mkdirSync(this.name, { recursive: true, mode: DIRECTORY_MODE }));
  }

  /** Creates `file` for the owner alone, unless it exists. */
  createFile(file: string): void {
    this.#attempt(() => {
      try {
        closeSync(openSync(file, 'wx', FILE_MODE));
      } catch (error) {
        // An existing file is not even opened: closing it again would end the locks this process holds on it (POSIX).
        if (!isCode(error, 'EEXIST')) throw error;
      }
    });
  }

  /** Leaves the number of this process for whoever finds the lock taken. A courtesy: it may fail, on a full disk say. */
  writePid(): void {
    try {
      writeFileSync(this.#pidFile, `${process.pid}\n`, { mode: FILE_MODE });
    } catch {
      this.removePid();
    }
  }

  removePid(): void {
    try {
      rmSync(this.#pidFile, { force: true });
    } catch {
      // The lock decides, not this file.
    }
  }

  readPid(): number | undefined {
    try {
      const text = readFileSync(this.#pidFile, 'utf8').trim();
      return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
    } catch {
      return undefined;
    }
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (cause) {
      const reason = isCode(cause, 'EEXIST') || isCode(cause, 'ENOTDIR') ? 'is not a directory' : 'cannot be used';
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new UnavailableError(`${this.name} ${reason} (${detail}); choose another --data-dir`, {
        cause,
        details: { directory: this.name },
      });
    }
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
