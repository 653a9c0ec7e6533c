import BTreeModule from 'sorted-btree';
import {
  ClosedError,
  CompactedError,
  compareBytes,
  InvalidArgumentError,
  REVISION_ZERO,
  type CallOptions,
  type ConfigProvider,
  type ListOptions,
  type ProviderCapabilities,
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoredEntry,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../core/provider.ts';
import { ChangeSignal, watchLog, type ChangeLog } from '../local/log-watch.ts';
import { requireChecks, validateTransaction } from '../local/transaction.ts';

// The package is CommonJS with a default export beside named ones.
const BTree = BTreeModule.default;
type Entries = BTreeModule.default<string, StoredEntry>;

export interface MemoryProviderOptions {
  /** Revisions kept for watches and past lists. Default 10,000. */
  readonly historyLimit?: number;
}

/**
 * The smallest correct provider: the contract in one page, a test double, and a store for trying things out. Nothing outlives the
 * process.
 */
export class MemoryProvider implements ConfigProvider {
  readonly name = 'memory';
  readonly capabilities: ProviderCapabilities = Object.freeze({
    history: 'full',
    maxKeyBytes: 4_096,
    maxValueBytes: 16 * 1024 * 1024,
    maxTransactionOperations: 128,
    maxTransactionBytes: 32 * 1024 * 1024,
  });

  readonly #historyLimit: number;
  readonly #changed = new ChangeSignal();
  #entries: Entries = new BTree<string, StoredEntry>(undefined, compareBytes);
  /** One state per kept revision; the trees share their nodes. */
  #history: { readonly batch: StoredBatch; readonly entries: Entries }[] = [];
  #oldest: { readonly revision: Revision; readonly entries: Entries } = { revision: REVISION_ZERO, entries: this.#entries.clone() };
  #revision = REVISION_ZERO;

  constructor(options: MemoryProviderOptions = {}) {
    this.#historyLimit = options.historyLimit ?? 10_000;
  }

  async open(options?: CallOptions): Promise<void> {
    this.#requireOpen(options);
  }

  async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    this.#requireOpen(options);
    const entries = [...new Set(keys)].sort(compareBytes).flatMap((key) => this.#entries.get(key) ?? []);
    return { revision: this.#revision, entries };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    this.#requireOpen(options);
    const revision = options.at ?? this.#revision;
    return { revision, entries: rangeOf(this.#stateAt(revision), prefix) };
  }

  async head(_prefix: string, options?: CallOptions): Promise<Revision> {
    this.#requireOpen(options);
    return this.#revision;
  }

  async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    this.#requireOpen(options);
    validateTransaction(transaction, this.capabilities);
    requireChecks(transaction.checks, (key) => this.#entries.get(key)?.revision ?? null);
    const revision = (this.#revision + 1) as Revision;
    const changes = transaction.operations.flatMap((operation): StoredChange[] => {
      const before = this.#entries.get(operation.key);
      if (operation.type === 'delete') return before ? [{ type: 'delete', key: operation.key, revision }] : [];
      const value = Uint8Array.from(operation.value);
      return [{ type: 'put', entry: { key: operation.key, value, revision, createdRevision: before?.createdRevision ?? revision } }];
    });
    if (changes.length === 0) return this.#revision;
    for (const change of changes) {
      if (change.type === 'put') this.#entries.set(change.entry.key, change.entry);
      else this.#entries.delete(change.key);
    }
    this.#revision = revision;
    this.#history.push({ batch: { revision, changes }, entries: this.#entries.clone() });
    if (this.#history.length > this.#historyLimit) this.compact((revision - this.#historyLimit) as Revision);
    this.#changed.wake();
    return revision;
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    const log: ChangeLog = {
      head: () => this.#revision,
      oldest: () => this.#oldest.revision,
      read: (under, after) => ({
        batches: this.#history.slice(after - this.#oldest.revision).flatMap(({ batch }) => batchUnder(batch, under) ?? []),
        upTo: this.#revision,
      }),
    };
    return watchLog(log, this.#changed, prefix, options);
  }

  /** Forgets the history up to and with `revision`, as an operator's compaction of etcd does. */
  compact(revision: Revision): void {
    const state = this.#history[revision - this.#oldest.revision - 1];
    if (!state) return;
    this.#history = this.#history.slice(revision - this.#oldest.revision);
    this.#oldest = { revision, entries: state.entries };
  }

  async close(): Promise<void> {
    this.#changed.close(new ClosedError('the memory store is closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #stateAt(revision: Revision): Entries {
    if (revision === this.#revision) return this.#entries;
    if (revision > this.#revision) throw new InvalidArgumentError(`cannot list at revision ${revision}: the store is at ${this.#revision}`);
    if (revision === this.#oldest.revision) return this.#oldest.entries;
    const state = this.#history[revision - this.#oldest.revision - 1];
    if (!state) {
      throw new CompactedError(`cannot list at revision ${revision}: the oldest kept is ${this.#oldest.revision}`, {
        details: { oldest: this.#oldest.revision },
      });
    }
    return state.entries;
  }

  #requireOpen(options: CallOptions | undefined): void {
    if (this.#changed.failure) throw this.#changed.failure;
    options?.signal?.throwIfAborted();
  }
}

function rangeOf(entries: Entries, prefix: string): StoredEntry[] {
  const found: StoredEntry[] = [];
  for (const [key, entry] of entries.entries(prefix)) {
    if (!key.startsWith(prefix)) break;
    found.push(entry);
  }
  return found;
}

/** What of `batch` lies under `prefix`; undefined if nothing does. */
function batchUnder(batch: StoredBatch, prefix: string): StoredBatch | undefined {
  const changes = batch.changes.filter((change) => (change.type === 'put' ? change.entry.key : change.key).startsWith(prefix));
  return changes.length === 0 ? undefined : { revision: batch.revision, changes };
}
