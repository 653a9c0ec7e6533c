import type { Revision, StoredBatch, StoreWatch, WatchOptions } from '../../core/provider.ts';
import type { EtcdWatch } from './etcd-watch.ts';

/**
 * etcd tells a watch that lags behind a thousand revisions, and looks for such watches ten times a second (server/mvcc: `watchBatchMaxRevs`,
 * `syncWatchersLoop`). With the one a watch starts from, and some to spare.
 */
const PART_REVISIONS = 990;
/** Each listens to the one signal, and Node.js warns of more than ten who do. The last one catches up with the rest. */
const MOST_PARTS = 8;

interface Part {
  readonly watch: EtcdWatch;
  /** Where the next part begins; undefined for the last. */
  readonly upTo: Revision | undefined;
  /** Asked for ahead, which opens the watch. */
  first: Promise<IteratorResult<StoredBatch, void>> | undefined;
}

/**
 * A watch that has thousands of revisions to catch up with, as several that begin one after the other: etcd tells them at the same time what it would
 * tell one in as many tenths of a second. Each is read up to where the next begins, and the last for good.
 */
export class EtcdCatchUp implements StoreWatch, AsyncIterator<StoredBatch, void, undefined> {
  readonly #parts: Part[];
  #isOpen = false;
  #reading: Promise<unknown> = Promise.resolve();

  /** Undefined where one watch will do. `newest` is a revision that the store was seen at. */
  static create(open: (options: WatchOptions) => EtcdWatch, { after, signal }: WatchOptions, newest: Revision): EtcdCatchUp | undefined {
    const count = Math.min(Math.ceil((newest - after) / PART_REVISIONS), MOST_PARTS);
    return count > 1 ? new EtcdCatchUp(open, { after, signal }, count) : undefined;
  }

  private constructor(open: (options: WatchOptions) => EtcdWatch, { after, signal }: WatchOptions, count: number) {
    this.#parts = Array.from({ length: count }, (_, index) => ({
      watch: open({ after: (after + index * PART_REVISIONS) as Revision, signal }),
      upTo: index < count - 1 ? ((after + (index + 1) * PART_REVISIONS) as Revision) : undefined,
      first: undefined,
    }));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  requestProgress(): void {
    // Of the others too: without an answer one of them may never hear that it is at its end.
    for (const { watch } of this.#parts) watch.requestProgress();
  }

  /** One after the other, however many are asked for at once. */
  async next(): Promise<IteratorResult<StoredBatch, void>> {
    const result = this.#reading.then(async () => this.#next());
    this.#reading = result.catch(() => undefined);
    return result;
  }

  async return(): Promise<IteratorResult<StoredBatch, void>> {
    for (const { watch } of this.#parts) await watch.return();
    return { done: true, value: undefined };
  }

  async #next(): Promise<IteratorResult<StoredBatch, void>> {
    this.#open();
    try {
      for (;;) {
        const [part] = this.#parts;
        if (!part) return { done: true, value: undefined };
        const result = await (part.first ?? part.watch.next());
        part.first = undefined;
        if (result.done || part.upTo === undefined || result.value.revision < part.upTo) return result;
        this.#parts.shift();
        await part.watch.return();
        // What lies beyond is the next one's.
        if (result.value.revision === part.upTo) return result;
      }
    } catch (error) {
      // Told once; after it the watch is at its end.
      await this.return();
      this.#parts.length = 0;
      throw error;
    }
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    for (const part of this.#parts) {
      part.first = part.watch.next();
      // Thrown when its turn comes.
      part.first.catch(() => undefined);
    }
  }
}
