import type { ConfigProvider, Revision, StoredBatch, StoredChange } from '../../src/core/provider.ts';
import { rawCursor } from './etcd-history.ts';
import type { SeenChange, WatcherEvent, WatcherRecord } from './judge-watcher.ts';

export interface StoreWatchOptions {
  readonly provider: ConfigProvider;
  readonly prefix: string;
  /** The first watch starts after it. Default 0. */
  readonly after?: number;
}

/** Watches a prefix as the feed does, again and again after the last batch it was given, and writes down all it is told. */
export class RecordedStoreWatch {
  readonly events: WatcherEvent[] = [];
  /** What each watch ended of. */
  readonly failures: unknown[] = [];
  readonly #options: StoreWatchOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #position: Revision;
  #changes = 0;

  constructor(options: StoreWatchOptions) {
    this.#options = options;
    this.#position = (options.after ?? 0) as Revision;
    this.#done = this.#run();
  }

  get position(): Revision {
    return this.#position;
  }

  /** Batches with changes. */
  get batches(): number {
    return this.#changes;
  }

  /** Watches no more; resolves to the record. */
  async stop(): Promise<WatcherRecord> {
    this.#stop.abort();
    await this.#done;
    return { name: `watch of ${this.#options.prefix}`, filter: { keys: [], prefixes: [''] }, events: this.events, isSettled: true };
  }

  async #run(): Promise<void> {
    const { provider, prefix } = this.#options;
    while (!this.#stop.signal.aborted) {
      this.events.push({ type: 'connect', since: rawCursor(this.#position) });
      try {
        const watch = provider.watch(prefix, { after: this.#position, signal: this.#stop.signal });
        watch.requestProgress();
        for await (const batch of watch) this.#take(batch);
      } catch (error) {
        this.failures.push(error);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  #take({ revision, changes }: StoredBatch): void {
    this.#position = revision;
    if (changes.length === 0) return void this.events.push({ type: 'bookmark', id: rawCursor(revision) });
    this.#changes++;
    this.events.push({ type: 'change', id: rawCursor(revision), revision, changes: changes.map(seen) });
  }
}

function seen(change: StoredChange): SeenChange {
  if (change.type === 'delete') return { type: 'deleted', key: change.key, version: change.revision, content: undefined };
  const { key, value, revision, createdRevision } = change.entry;
  return {
    type: createdRevision === revision ? 'created' : 'updated',
    key,
    version: revision,
    content: Buffer.from(value).toString('base64'),
  };
}
