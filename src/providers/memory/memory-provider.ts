import { setImmediate as nextTurn } from 'node:timers/promises';
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
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoredEntry,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../core/provider.ts';
import { batchBytes, batchUnder } from '../local/batch.ts';
import { ChangeSignal } from '../../core/change-signal.ts';
import { watchLog, type ChangeLog } from '../../core/log-watch.ts';
import { isStorable, LOCAL_CAPABILITIES, requireChecks, validateTransaction } from '../local/transaction.ts';

// The package is CommonJS with a default export beside named ones.
const BTree = BTreeModule.default;
type Entries = BTreeModule.default<string, StoredEntry>;

export interface MemoryProviderOptions {
  /** Revisions kept for watches and past lists. Default 10,000. */
  readonly historyLimit?: number;
  /** Bytes of keys and values kept for them: the older revisions go first, the newest stays. Default 64 MiB. */
  readonly historyBytes?: number;
}

const DEFAULTS: Required<MemoryProviderOptions> = Object.freeze({ historyLimit: 10_000, historyBytes: 64 * 1024 * 1024 });

/** A revision with the state after it; the trees of successive states share their nodes. */
interface PastState {
  readonly batch: StoredBatch;
  readonly entries: Entries;
  readonly bytes: number;
}

/**
 * The smallest correct provider: the contract in one page, a test double, and a store for trying things out. Nothing outlives the
 * process.
 */
export class MemoryProvider implements ConfigProvider {
  readonly name = 'memory';
  readonly capabilities = LOCAL_CAPABILITIES;

  readonly #limits: Required<MemoryProviderOptions>;
  readonly #changed = new ChangeSignal();
  readonly #entries: Entries = new BTree<string, StoredEntry>(undefined, compareBytes);
  /** Gapless: the state of revision `r` is at `r - oldest - 1`. */
  readonly #history: PastState[] = [];
  #historyBytes = 0;
  #oldest: { readonly revision: Revision; readonly entries: Entries } = { revision: REVISION_ZERO, entries: this.#entries.clone() };
  #revision = REVISION_ZERO;

  constructor(options: MemoryProviderOptions = {}) {
    this.#limits = {
      historyLimit: options.historyLimit ?? DEFAULTS.historyLimit,
      historyBytes: options.historyBytes ?? DEFAULTS.historyBytes,
    };
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
      const value = new Uint8Array(operation.value);
      return [{ type: 'put', entry: { key: operation.key, value, revision, createdRevision: before?.createdRevision ?? revision } }];
    });
    if (changes.length === 0) return this.#revision;
    for (const change of changes) {
      if (change.type === 'put') this.#entries.set(change.entry.key, change.entry);
      else this.#entries.delete(change.key);
    }
    this.#revision = revision;
    this.#remember({ revision, changes });
    this.#changed.wake();
    return revision;
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    const log: ChangeLog = {
      head: () => this.#revision,
      oldest: () => this.#oldest.revision,
      nextTurn: async () => nextTurn(),
      read: (under, after) => ({
        batches: this.#history.slice(after - this.#oldest.revision).flatMap(({ batch }) => batchUnder(batch, under) ?? []),
        upTo: this.#revision,
      }),
    };
    return watchLog(log, this.#changed, prefix, options);
  }

  /** Forgets the history up to and with `revision`, as an operator's compaction of etcd does. */
  compact(revision: Revision): void {
    while (this.#oldest.revision < revision) {
      const next = this.#history.shift();
      if (!next) return;
      this.#oldest = { revision: next.batch.revision, entries: next.entries };
      this.#historyBytes -= next.bytes;
    }
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

  #remember(batch: StoredBatch): void {
    const bytes = batchBytes(batch);
    this.#history.push({ batch, entries: this.#entries.clone(), bytes });
    this.#historyBytes += bytes;
    while (
      this.#history.length > 1 &&
      (this.#history.length > this.#limits.historyLimit || this.#historyBytes > this.#limits.historyBytes)
    ) {
      this.compact((this.#oldest.revision + 1) as Revision);
    }
  }

  #requireOpen(options: CallOptions | undefined): void {
    if (this.#changed.failure) throw this.#changed.failure;
    options?.signal?.throwIfAborted();
  }
}

function rangeOf(entries: Entries, prefix: string): StoredEntry[] {
  if (!isStorable(prefix)) return [];
  const found: StoredEntry[] = [];
  for (const [key, entry] of entries.entries(prefix)) {
    if (!key.startsWith(prefix)) break;
    found.push(entry);
  }
  return found;
}
