import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  InvalidArgumentError,
  type ListOptions,
  type ProviderCapabilities,
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoredEntry,
  type StoredSnapshot,
  type StoreWatch,
  type WatchOptions,
} from '../../src/core/provider.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { LOCAL_CAPABILITIES } from '../../src/providers/local/transaction.ts';

/**
 * The memory provider as a store without history would be, in the manner of Consul: no list of the past, and a watch that compares what is
 * there with what was, so that what happens between two looks is merged.
 */
export class LatestProvider extends MemoryProvider {
  override readonly capabilities: ProviderCapabilities = { ...LOCAL_CAPABILITIES, history: 'latest' };

  override async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    if (options.at !== undefined) throw new InvalidArgumentError('this store has no history: it lists the present only');
    return super.list(prefix, options);
  }

  override watch(prefix: string, options: WatchOptions): StoreWatch {
    const wakes = super.watch(prefix, options);
    const merged = this.#merge(prefix, options.after, wakes[Symbol.asyncIterator]());
    const iterator: AsyncIterator<StoredBatch> = {
      next: async () => merged.next(),
      return: async () => {
        await wakes[Symbol.asyncIterator]().return?.();
        return merged.return();
      },
    };
    return { requestProgress: () => wakes.requestProgress(), [Symbol.asyncIterator]: () => iterator };
  }

  async *#merge(prefix: string, after: Revision, wakes: AsyncIterator<StoredBatch>): AsyncGenerator<StoredBatch, void, undefined> {
    let known: Map<string, StoredEntry> | undefined;
    let next = wakes.next();
    for (;;) {
      const wake = await next;
      if (wake.done === true) return;
      next = wakes.next();
      next.catch(() => {});
      if (wake.value.changes.length === 0) {
        yield wake.value;
        continue;
      }
      let { revision } = wake.value;
      for (;;) {
        const more = await Promise.race([next, nextTurn(undefined)]);
        if (more === undefined || more.done === true || more.value.changes.length === 0) break;
        ({ revision } = more.value);
        next = wakes.next();
        next.catch(() => {});
      }
      known ??= await this.#stateAt(prefix, after);
      const now = await this.#stateAt(prefix, revision);
      const changes = differences(known, now, revision);
      known = now;
      if (changes.length > 0) yield { revision, changes, gap: true };
    }
  }

  async #stateAt(prefix: string, at: Revision): Promise<Map<string, StoredEntry>> {
    const { entries } = await super.list(prefix, { at });
    return new Map(entries.map((entry) => [entry.key, entry]));
  }
}

function differences(
  before: ReadonlyMap<string, StoredEntry>,
  after: ReadonlyMap<string, StoredEntry>,
  revision: Revision,
): StoredChange[] {
  const changes: StoredChange[] = [];
  for (const key of before.keys()) if (!after.has(key)) changes.push({ type: 'delete', key, revision });
  for (const [key, entry] of after) {
    const old = before.get(key);
    if (old?.revision === entry.revision) continue;
    if (old && old.createdRevision !== entry.createdRevision) changes.push({ type: 'delete', key, revision: entry.createdRevision });
    changes.push({ type: 'put', entry });
  }
  return changes;
}
