import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  ClosedError,
  CompactedError,
  type CallOptions,
  type ConfigProvider,
  type ListOptions,
  type ProviderCapabilities,
  type Revision,
  type StoredBatch,
  type StoredEntry,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../core/provider.ts';
import { ChangeSignal } from '../../core/change-signal.ts';
import { watchLog, type ChangeLog } from '../../core/log-watch.ts';
import type { MirrorChange } from './mirror.ts';
import { StoreCache, type StoreCacheOptions } from './store-cache.ts';

/**
 * The cache as a provider: the same contract, served from memory. It exists so that the conformance suite can prove, over the very
 * mirror, window and feed that serve clients, that a cache in front of a provider breaks none of its promises.
 *
 * Reads are linearizable: the store's head is asked, the mirror waited for. Watches are served from the window.
 */
export class CachedProvider<Derived> implements ConfigProvider {
  readonly name: string;
  readonly capabilities: ProviderCapabilities;
  readonly #cache: StoreCache<Derived>;
  readonly #provider: ConfigProvider;
  readonly #changed = new ChangeSignal();

  constructor(options: StoreCacheOptions<Derived>) {
    this.#provider = options.provider;
    this.name = `cached ${options.provider.name}`;
    this.capabilities = options.provider.capabilities;
    this.#cache = new StoreCache(options);
    this.#cache.subscribe(
      { keys: [], prefixes: [''] },
      { onBatch: () => this.#changed.wake(), onReset: () => this.#changed.wake(), onState: () => this.#changed.wake() },
    );
  }

  async open(options?: CallOptions): Promise<void> {
    await this.#provider.open(options);
    this.#cache.start();
    await this.#cache.reached(0 as Revision, options);
  }

  async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    this.#requireOpen();
    if (!keys.every((key) => key.startsWith(this.#cache.prefix))) return this.#provider.read(keys, options);
    await this.#catchUp(options);
    const entries = [...new Set(keys)].flatMap((key) => this.#cache.mirror.get(key) ?? []);
    return { revision: this.#cache.revision, entries: entries.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key))) };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    this.#requireOpen();
    if (options.at !== undefined || !prefix.startsWith(this.#cache.prefix)) return this.#provider.list(prefix, options);
    await this.#catchUp(options);
    const entries: StoredEntry[] = [];
    for (const [key, entry] of this.#cache.mirror.from(prefix)) {
      if (!key.startsWith(prefix)) break;
      entries.push(entry);
    }
    return { revision: this.#cache.revision, entries };
  }

  async head(prefix: string, options?: CallOptions): Promise<Revision> {
    this.#requireOpen();
    return this.#provider.head(prefix, options);
  }

  async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    this.#requireOpen();
    return this.#provider.commit(transaction, options);
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    const cache = this.#cache;
    const log: ChangeLog = {
      head: () => cache.revision,
      oldest: () => cache.window.oldest,
      nextTurn: async () => nextTurn(),
      read: (under, after) => {
        if (!cache.window.holds(after)) throw new CompactedError(`cannot watch after ${after}, it lies within a relist; list again`);
        const batches: StoredBatch[] = [];
        let upTo = after;
        for (let next = cache.window.next(after); next && batches.length < 256; next = cache.window.next(upTo)) {
          upTo = next.revision;
          const changes = next.changes.filter((change) => change.key.startsWith(under) && change.revision > after).map(toStored);
          if (changes.length > 0) batches.push({ revision: next.revision, changes, ...(next.gap && { gap: true }) });
        }
        return { batches, upTo: batches.length < 256 ? cache.revision : upTo };
      },
    };
    const watch = watchLog(log, this.#changed, prefix, options);
    let asking: 'no' | 'once' | 'again' = 'no';
    // The mirror may lag behind commits outside its prefix. One question at a time, however often it is asked.
    const catchUp = async (): Promise<void> => {
      for (asking = 'again'; asking === 'again';) {
        asking = 'once';
        await this.#catchUp({ signal: options.signal });
        watch.requestProgress();
      }
    };
    return {
      requestProgress: () => {
        watch.requestProgress();
        if (asking !== 'no') asking = 'again';
        else
          catchUp()
            .catch(() => undefined)
            .finally(() => (asking = 'no'));
      },
      [Symbol.asyncIterator]: () => watch[Symbol.asyncIterator](),
    };
  }

  async close(): Promise<void> {
    await this.#cache.close();
    this.#changed.close(new ClosedError(`the ${this.name} store is closed`));
    await this.#provider.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #catchUp(options?: CallOptions): Promise<void> {
    await this.#cache.reached(await this.#provider.head(this.#cache.prefix, options), options);
  }

  #requireOpen(): void {
    if (this.#cache.state === 'closed') throw new ClosedError(`the ${this.name} store is closed`);
  }
}

function toStored(change: MirrorChange): StoredBatch['changes'][number] {
  return change.after ? { type: 'put', entry: change.after } : { type: 'delete', key: change.key, revision: change.revision };
}
