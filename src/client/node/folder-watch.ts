import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';

/**
 * Tells as soon as something in a folder changes, where the system tells it; network file systems do not, and a folder reached through a link
 * is watched until the link is turned. So it never replaces looking now and then. Keeps no process alive.
 */
export class FolderWatch {
  readonly #folder: string;
  /** `name` is undefined where the system does not say it. */
  readonly #onEvent: (name: string | undefined) => void;
  #watcher: FSWatcher | undefined;
  #watched: string | undefined;
  #isClosed = false;

  constructor(folder: string, onEvent: (name: string | undefined) => void) {
    this.#folder = folder;
    this.#onEvent = onEvent;
  }

  /** Watches the folder that is now at the path, if it is another one than before. Never rejects. */
  async renew(): Promise<void> {
    const stats = await stat(this.#folder, { bigint: true }).catch(() => undefined);
    // The number of a folder that was removed is soon given to another one.
    const identity = stats && `${stats.dev} ${stats.ino} ${stats.birthtimeNs}`;
    if (this.#isClosed || (identity === this.#watched && this.#watcher)) return;
    this.#release();
    if (identity === undefined) return;
    try {
      const watcher = watch(this.#folder, { persistent: false }, (_type, name) => this.#onEvent(name ?? undefined));
      // Out of watches, or the folder is gone: renewed when it is next looked at.
      watcher.on('error', () => this.#release());
      this.#watcher = watcher;
      this.#watched = identity;
    } catch {
      // As above.
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#release();
  }

  #release(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched = undefined;
  }
}
