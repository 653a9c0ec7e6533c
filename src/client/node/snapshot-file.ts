import type { KeyObject } from 'node:crypto';
import { ProtocolError, UnavailableError, isAttuneError } from '../../core/errors.ts';
import { warnOnConsole } from '../client-options.ts';
import type { Clock } from '../clock.ts';
import type { LastKnown, LastKnownStore } from '../durable.ts';
import { Listeners } from '../listeners.ts';
import { parseEncryptionKey, type EncryptionKey } from './encryption-key.ts';
import { failureKindOf, isAbsence, parseFilePath } from './file-path.ts';
import { readRegularFile } from './read-regular-file.ts';
import { removeLeftovers, replaceFile } from './replace-file.ts';
import { formatSnapshot, parseSnapshot } from './snapshot-format.ts';
import { unrefClock } from './unref-clock.ts';

export interface SnapshotFileOptions {
  /** Folders that are missing are created. */
  readonly path: string;
  /** Encrypts the file with AES-256-GCM. A file written without a key, or with another one, is then ignored. */
  readonly encryptionKey?: EncryptionKey;
  /** Default: `console.warn`. */
  readonly onError?: (error: unknown) => void;
  /** Default: the system's, with timers that keep no process alive. */
  readonly clock?: Clock;
}

/** From the begin of one write to that of the next, at least. */
export const WRITE_INTERVAL_MS = 1_000;
/** After a write that failed, whatever changes meanwhile. */
export const RETRY_INTERVAL_MS = 10_000;
/** Of the time, at most one part in so many is spent writing: what takes long is done less often. */
const WRITING_SHARE = 10;
/** A larger state is not kept, and a larger file not read. */
export const MAX_SNAPSHOT_BYTES = 256 * 1024 * 1024;

interface Waiting {
  readonly prefixes: readonly string[];
  readonly state: () => LastKnown;
}

/**
 * The last known state in a file that is always whole, whenever and however a process ends, and readable for its owner only. Written at most
 * once a second, and at {@link close}: a process that ends without closing may lose the last second. Of several clients with one file the
 * last to write wins. What cannot be read or written goes to `onError` and harms nobody: a failure to write once for each kind until it
 * works again, and is tried again every ten seconds.
 */
export class SnapshotFile implements LastKnownStore {
  readonly #path: string;
  readonly #key: KeyObject | undefined;
  readonly #listeners = new Listeners<[error: unknown]>(warnOnConsole);
  readonly #clock: Clock;
  readonly #reported = new Set<string>();
  #waiting: Waiting | undefined;
  #writing: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #startedAt = 0;
  #pauseMs = 0;
  #isTidy = false;
  #closing: Promise<void> | undefined;

  /** Touches no file yet. @throws {InvalidArgumentError} */
  constructor(options: SnapshotFileOptions) {
    this.#path = parseFilePath(options.path, 'snapshotFile');
    this.#key = options.encryptionKey === undefined ? undefined : parseEncryptionKey(options.encryptionKey);
    this.#listeners.add('', options.onError ?? warnOnConsole);
    this.#clock = options.clock ?? unrefClock;
  }

  async load(prefixes: readonly string[]): Promise<LastKnown | undefined> {
    try {
      return parseSnapshot(await readRegularFile(this.#path, MAX_SNAPSHOT_BYTES), prefixes, this.#key);
    } catch (cause) {
      // The first start.
      if (isAbsence(cause)) return undefined;
      const message = `the snapshot file ${this.#path} is ignored: ${(cause as Error).message}`;
      const details = { file: this.#path };
      this.#listeners.emit(
        '',
        isAttuneError(cause, 'PROTOCOL')
          ? new ProtocolError(message, { cause, details })
          : new UnavailableError(message, { cause, details }),
      );
      return undefined;
    }
  }

  changed(prefixes: readonly string[], state: () => LastKnown): void {
    if (this.#closing) return;
    this.#waiting = { prefixes, state };
    this.#schedule();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    await this.#writing;
    await this.#write();
    this.#waiting = undefined;
  }

  #schedule(): void {
    if (!this.#waiting || this.#writing || this.#cancelTimer || this.#closing) return;
    // Not more than the pause, though the clock be set back.
    const delayMs = Math.min(this.#pauseMs, this.#startedAt + this.#pauseMs - this.#clock.now());
    if (delayMs <= 0) return this.#begin();
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      this.#begin();
    });
  }

  #begin(): void {
    this.#writing = this.#write().then(() => {
      this.#writing = undefined;
      this.#schedule();
    });
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const first = this.#waiting;
    if (!first) return;
    let written = first;
    this.#startedAt = this.#clock.now();
    try {
      await replaceFile(this.#path, () => {
        // What changed while the file was being opened is part of it.
        written = this.#waiting ?? first;
        this.#waiting = undefined;
        return this.#format(written);
      });
      this.#reported.clear();
      this.#pauseMs = Math.max(WRITE_INTERVAL_MS, WRITING_SHARE * (this.#clock.now() - this.#startedAt));
      await this.#tidy();
    } catch (cause) {
      this.#waiting ??= written;
      this.#pauseMs = RETRY_INTERVAL_MS;
      this.#reportOnce(cause);
    }
  }

  #format({ prefixes, state }: Waiting): string {
    const text = formatSnapshot(prefixes, state(), this.#key);
    if (Buffer.byteLength(text) > MAX_SNAPSHOT_BYTES) throw new RangeError(`the state is larger than ${MAX_SNAPSHOT_BYTES} bytes`);
    return text;
  }

  async #tidy(): Promise<void> {
    if (this.#isTidy) return;
    this.#isTidy = true;
    // Leftovers are no harm; the next start tries again.
    await removeLeftovers(this.#path).catch(() => undefined);
  }

  #reportOnce(cause: unknown): void {
    const kind = failureKindOf(cause);
    if (this.#reported.has(kind)) return;
    this.#reported.add(kind);
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#listeners.emit(
      '',
      new UnavailableError(`the snapshot file ${this.#path} cannot be written: ${why}; tried again every ${RETRY_INTERVAL_MS / 1_000} s`, {
        cause,
        details: { file: this.#path },
      }),
    );
  }
}
