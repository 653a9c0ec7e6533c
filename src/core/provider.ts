import type { Revision } from './revision.ts';

export * from './errors.ts';
export { compareBytes, prefixEnd } from './byte-order.ts';
export { parseRevision, REVISION_ZERO, type Revision } from './revision.ts';

/**
 * The provider contract: a raw, revisioned, watchable key-value store. A provider knows nothing of items, JSON, metadata, history
 * or HTTP; it does not cache, retry or log. The conformance suite (`attune/conformance`) is this text in executable form.
 */

export interface ProviderCapabilities {
  /**
   * `full`: every version of a key is watched and `list` can go back (`at`). `latest`: intermediate values of a key between two
   * reads may be merged, never its last value, never its removal (Consul).
   */
  readonly history: 'full' | 'latest';
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
  readonly maxTransactionOperations: number;
  /** Keys, values and overhead of one transaction, as the store counts them. */
  readonly maxTransactionBytes: number;
}

/** One key as the store holds it. Values are never modified after they were handed over, by either side. */
export interface StoredEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the last change to this key. */
  readonly revision: Revision;
  /** Revision of the first change since the key was last absent. */
  readonly createdRevision: Revision;
}

/** Entries as of one revision, in byte order of their keys. `revision` may be later than every entry's. */
export interface StoredSnapshot {
  readonly revision: Revision;
  readonly entries: readonly StoredEntry[];
}

export type StoredChange =
  | { readonly type: 'put'; readonly entry: StoredEntry }
  /** `revision` is that of the deletion. */
  | { readonly type: 'delete'; readonly key: string; readonly revision: Revision };

/** All changes of one revision, or progress: no changes, and nothing at or below `revision` will follow. */
export interface StoredBatch {
  readonly revision: Revision;
  readonly changes: readonly StoredChange[];
  /** True if intermediate versions may be missing (`history: 'latest'` only). */
  readonly gap?: boolean;
}

/** True while `key` is at `revision`, or absent if `revision` is null. */
export interface Check {
  readonly key: string;
  readonly revision: Revision | null;
}

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  /** Deleting an absent key changes nothing. */
  | { readonly type: 'delete'; readonly key: string };

/** All or nothing, one revision; a key stands in at most one operation. */
export interface Transaction {
  readonly checks: readonly Check[];
  readonly operations: readonly Operation[];
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds after which the call fails. Each provider states its default. */
  readonly deadlineMs?: number;
}

export interface ListOptions extends CallOptions {
  /** The state as of this past revision; where `capabilities.history` is `full` only. */
  readonly at?: Revision;
}

export interface WatchOptions {
  /** Everything committed after this revision is delivered. May lie in the future. */
  readonly after: Revision;
  readonly signal: AbortSignal;
}

/**
 * Batches in increasing order of revision, nothing twice, a revision never split. Iterable once. Ends when `signal` aborts, or
 * on `break`, which releases what the watch holds.
 * @throws {CompactedError} history after `after` is gone: list again.
 * @throws {UnavailableError} the connection is lost: watch again after the last revision received.
 */
export interface StoreWatch extends AsyncIterable<StoredBatch> {
  /** Asks for a progress batch at the store's current revision. Answered once the watch has delivered up to it. */
  requestProgress(): void;
}

export interface ConfigProvider extends AsyncDisposable {
  /** For people: `memory`, `embedded`, `etcd`, `consul`. Behaviour is told by `capabilities` alone. */
  readonly name: string;
  readonly capabilities: ProviderCapabilities;

  /**
   * Proves a read. Called once, before anything else; after a failure it may be called again.
   * @throws {UnavailableError} {@link UnauthenticatedError} {@link PermissionDeniedError}
   */
  open(options?: CallOptions): Promise<void>;

  /** The entries of those keys that exist, as of one revision. Linearizable. */
  read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot>;

  /**
   * Every key that starts with `prefix`, as of one revision. Linearizable unless `at` is given.
   * @throws {CompactedError} `at` is older than the history kept.
   * @throws {InvalidArgumentError} `at` is later than the store's revision, or history is `latest`.
   */
  list(prefix: string, options?: ListOptions): Promise<StoredSnapshot>;

  /** The store's current revision, at least that of the last change under `prefix`. Linearizable. */
  head(prefix: string, options?: CallOptions): Promise<Revision>;

  /**
   * Applies `transaction` and returns its revision, durable in the store. A put makes a new revision even of an equal value; a
   * transaction that changes nothing returns the current revision.
   * @throws {ConflictError} a check did not hold: certainly not applied.
   * @throws {UnavailableError} certainly not applied.
   * @throws {OutcomeUnknownError} may have been applied.
   * @throws {ValueTooLargeError} over a limit of `capabilities`: certainly not applied.
   * @throws {InvalidArgumentError} a key twice in one transaction.
   */
  commit(transaction: Transaction, options?: CallOptions): Promise<Revision>;

  /** Everything committed under `prefix` after `options.after`. */
  watch(prefix: string, options: WatchOptions): StoreWatch;

  /** Idempotent. Ends watches and pending calls with {@link ClosedError}; afterwards nothing keeps the process alive. */
  close(): Promise<void>;
}
