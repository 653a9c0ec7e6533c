import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  ClosedError,
  compareBytes,
  UnavailableError,
  type CallOptions,
  type ConfigProvider,
  type ListOptions,
  type Revision,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../core/provider.ts';
import { ChangeSignal } from '../../core/change-signal.ts';
import { watchLog, type ChangeLog } from '../../core/log-watch.ts';
import { isStorable, LOCAL_CAPABILITIES, validateTransaction } from '../local/transaction.ts';
import { CommitQueue } from './commit-queue.ts';
import { DataDirectory } from './data-directory.ts';
import { DirectoryLock } from './directory-lock.ts';
import { DurableStore } from './durable-store.ts';
import { resolveRetention, type RetentionOptions } from './retention.ts';
import { loadSqlite, type OpenSqlite } from './sqlite.ts';
import { StoreFile } from './store-file.ts';
import type { WriteOutcome } from './write-group.ts';

export interface EmbeddedProviderOptions extends RetentionOptions {
  /** Where the driver comes from. Default {@link loadSqlite}. */
  readonly loadSqlite?: () => Promise<OpenSqlite>;
}

// new ─open→ open ─close→ closed;  new ─close→ closed
type State =
  | { readonly name: 'new' }
  | { readonly name: 'open'; readonly store: DurableStore; readonly lock: DirectoryLock }
  | { readonly name: 'closed'; readonly reason: ClosedError };

/**
 * A durable store for one machine: one SQLite file in a directory of its own, used by one process at a time. A commit is on disk when
 * it is acknowledged; what is written in one turn of the event loop shares one flush. Calls do not wait for anything but the disk, so
 * there is no default deadline. After a full disk or a failed one it heals by itself.
 */
export class EmbeddedProvider implements ConfigProvider {
  readonly name = 'embedded';
  readonly capabilities = LOCAL_CAPABILITIES;

  readonly #directory: DataDirectory;
  readonly #options: EmbeddedProviderOptions;
  #changed = new ChangeSignal();
  readonly #queue = new CommitQueue((transactions) => this.#commitGroup(transactions));
  #state: State = { name: 'new' };
  #opening: Promise<void> | undefined;

  /** `directory` is created if it does not exist. */
  constructor(directory: string, options: EmbeddedProviderOptions = {}) {
    this.#directory = new DataDirectory(directory);
    this.#options = options;
  }

  /** The directory, as it was given. */
  get directory(): string {
    return this.#directory.name;
  }

  /** True if this provider's `open` created the store, false if it found one. */
  get isNew(): boolean {
    return this.#state.name === 'open' && this.#state.store.isNew;
  }

  /** @throws {UnavailableError} the directory is in use, cannot be used, or does not hold a store of this format. */
  async open(options?: CallOptions): Promise<void> {
    this.#requireNotClosed(options);
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    const store = this.#requireOpen(options);
    const sorted = [...new Set(keys)].filter(isStorable).sort(compareBytes);
    return { entries: store.entries(sorted), revision: store.head() };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    const store = this.#requireOpen(options);
    const revision = options.at ?? store.head();
    return { entries: isStorable(prefix) ? store.list(prefix, revision) : [], revision };
  }

  async head(_prefix: string, options?: CallOptions): Promise<Revision> {
    return this.#requireOpen(options).head();
  }

  async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    this.#requireOpen(options);
    validateTransaction(transaction, this.capabilities);
    return this.#queue.add(transaction, options);
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    const log: ChangeLog = {
      head: () => this.#requireOpen().head(),
      oldest: () => this.#requireOpen().oldest(),
      nextTurn: async () => nextTurn(),
      read: (under, after) => this.#requireOpen().read(under, after),
    };
    return watchLog(log, this.#changed, prefix, options);
  }

  /** Forgets the history up to and with `revision`, in small steps. */
  async compact(revision: Revision): Promise<void> {
    while (this.#requireOpen().compactStep(revision)) await nextTurn();
  }

  async close(): Promise<void> {
    if (this.#state.name === 'closed') return;
    const before = this.#state;
    const reason = new ClosedError(`the embedded store ${this.directory} is closed`);
    this.#state = { name: 'closed', reason };
    this.#queue.close(reason);
    this.#changed.close(reason);
    if (before.name === 'new') return;
    try {
      before.store.close();
    } finally {
      before.lock.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #open(): Promise<void> {
    if (this.#state.name === 'open') return;
    const openSqlite = await (this.#options.loadSqlite ?? loadSqlite)();
    // From here on nothing is awaited, so that a close comes before all of it or after.
    this.#requireNotClosed();
    const directory = this.#directory;
    directory.create();
    const lock = DirectoryLock.acquire(openSqlite, directory);
    try {
      directory.createFile(directory.databaseFile);
      const openFile = (): StoreFile => StoreFile.open(openSqlite, directory.databaseFile);
      const store = new DurableStore(openFile, resolveRetention(this.#options), () => this.#reopened());
      this.#state = { name: 'open', store, lock };
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  #commitGroup(transactions: readonly Transaction[]): readonly WriteOutcome[] {
    const outcomes = this.#requireOpen().commitGroup(transactions);
    this.#changed.wake();
    return outcomes;
  }

  /** The file may end elsewhere than the watches have seen: whoever watches has to look again. */
  #reopened(): void {
    const before = this.#changed;
    this.#changed = new ChangeSignal();
    before.close(new UnavailableError(`the embedded store ${this.directory} was opened again after an I/O error; watch again`));
  }

  #requireNotClosed(options?: CallOptions): void {
    if (this.#state.name === 'closed') throw this.#state.reason;
    options?.signal?.throwIfAborted();
  }

  #requireOpen(options?: CallOptions): DurableStore {
    this.#requireNotClosed(options);
    if (this.#state.name !== 'open') throw new UnavailableError(`the embedded store ${this.directory} is not open yet`);
    return this.#state.store;
  }
}
