import type { ICompare, IRangeResponse, IRequestOp, IResponseOp } from 'etcd3';
import {
  CompactedError,
  compareBytes,
  ConflictError,
  InvalidArgumentError,
  parseRevision,
  REVISION_ZERO,
  UnavailableError,
  ValueTooLargeError,
  type CallOptions,
  type Check,
  type ConfigProvider,
  type ListOptions,
  type Operation,
  type ProviderCapabilities,
  type Revision,
  type StoredEntry,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../core/provider.ts';
import { isStorable, validateTransaction } from '../local/transaction.ts';
import { EtcdConnection, type EtcdOptions } from './etcd-connection.ts';
import { EtcdCatchUp } from './etcd-catch-up.ts';
import { EtcdWatch } from './etcd-watch.ts';
import { inOrder, rangeOf, toEntry } from './etcd-wire.ts';

export type { EtcdOptions } from './etcd-connection.ts';

/** What etcd's own limits leave: `--max-request-bytes` 1.5 MiB and `--max-txn-ops` 128, its defaults. */
const ETCD_CAPABILITIES: ProviderCapabilities = Object.freeze({
  history: 'full',
  maxKeyBytes: 4_096,
  maxValueBytes: 1_408 * 1024,
  maxTransactionOperations: 128,
  maxTransactionBytes: 1_472 * 1024,
});

/** A request as etcd weighs it, with room for its own header. */
const MAX_REQUEST_BYTES = 1_536 * 1024 - 1_024;
/** Around one key and value in a transaction: tags, lengths, the revision compared. */
const OVERHEAD_BYTES = 32;
/** A list is read in pages of about so many bytes. */
const PAGE_BYTES = 4 * 1024 * 1024;
const FIRST_PAGE = 256;
const LARGEST_PAGE = 10_000;
/** A page is at most so slow. Milliseconds. */
const PAGE_DEADLINE_MS = 15_000;
/** For a watch that is to tell the oldest revision. Milliseconds. */
const DEADLINE_OF_A_WATCH_MS = 5_000;
/** What a revision can never be: a comparison with it fails, and the write beside it is judged and not made. */
const NEVER_A_REVISION = '9223372036854775807';

/**
 * etcd 3.5.16 or newer (3.5.33 where users and roles are used). Every version of a key is watched until a compaction, revisions are
 * etcd's own. No call is retried; a call that states no deadline has 5 s, a page of a list 15 s.
 */
export class EtcdProvider implements ConfigProvider {
  readonly name = 'etcd';
  readonly capabilities = ETCD_CAPABILITIES;

  readonly #options: EtcdOptions;
  readonly #connection: EtcdConnection;
  /** Those that are read; they come and go by themselves. */
  readonly #watches = new Set<EtcdWatch>();
  /** The revision that the store was last seen at. */
  #newest: Revision = REVISION_ZERO;

  constructor(options: EtcdOptions) {
    if (options.hosts.length === 0) throw new InvalidArgumentError('no endpoint of etcd is given');
    this.#options = options;
    this.#connection = new EtcdConnection(options);
  }

  /**
   * Proves that the namespace may be read and written, without writing.
   * @throws {UnavailableError} {@link UnauthenticatedError} {@link PermissionDeniedError}
   */
  async open(options: CallOptions = {}): Promise<void> {
    const { namespace } = this.#options;
    for (const prefix of [this.#root, `${namespace}.attune/`]) {
      await this.head(prefix, options);
      await this.#connection.call(
        async (kv, call) =>
          kv.txn(
            {
              compare: [{ result: 'Equal', target: 'Mod', key: Buffer.from(`${prefix}.attune`), mod_revision: NEVER_A_REVISION }],
              success: [{ request_put: { key: Buffer.from(`${prefix}.attune`), value: Buffer.alloc(0) } }],
            },
            call,
          ),
        options,
      );
    }
  }

  async read(keys: readonly string[], options: CallOptions = {}): Promise<StoredSnapshot> {
    const sorted = [...new Set(keys)].filter(isStorable).sort(compareBytes);
    if (sorted.length === 0) return { revision: await this.head(this.#root, options), entries: [] };
    const { maxTransactionOperations } = this.capabilities;
    const entries: StoredEntry[] = [];
    let revision: Revision | undefined;
    for (let start = 0; start < sorted.length; start += maxTransactionOperations) {
      const part = sorted.slice(start, start + maxTransactionOperations);
      const at = revision;
      const reply = await this.#connection.call(
        async (kv, call) => kv.txn({ success: part.map((key) => rangeRequest(key, at)) }, call),
        options,
      );
      revision ??= parseRevision(reply.header.revision);
      for (const { response_range: range } of reply.responses) entries.push(...entriesOf(range));
    }
    if (revision !== undefined) this.#newest = revision;
    return { revision: revision ?? REVISION_ZERO, entries };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    const { at, ...call } = options;
    if (!isStorable(prefix)) return { revision: at ?? (await this.head(this.#root, call)), entries: [] };
    if (at !== undefined) return this.#listPast(prefix, at, call);
    for (;;) {
      try {
        return await this.#listPages(prefix, undefined, call);
      } catch (error) {
        // Compacted between two pages: not the caller's affair, who asked for the present.
        if (!(error instanceof CompactedError)) throw error;
      }
    }
  }

  async head(prefix: string, options: CallOptions = {}): Promise<Revision> {
    // A user with few rights may not ask for more than the namespace.
    const range = rangeOf(isStorable(prefix) ? prefix : this.#root);
    const reply = await this.#connection.call(async (kv, call) => kv.range({ ...range, count_only: true }, call), options);
    return (this.#newest = parseRevision(reply.header.revision));
  }

  async commit(transaction: Transaction, options: CallOptions = {}): Promise<Revision> {
    if (this.#connection.closed) throw this.#connection.closed;
    validateTransaction(transaction, this.capabilities);
    requireRequestFits(transaction);
    const { checks, operations } = transaction;
    const reply = await this.#connection.call(
      async (kv, call) =>
        kv.txn(
          {
            compare: checks.map(compareOf),
            success: operations.map(requestOf),
            // Only to say which check it was.
            failure: checks.map(({ key }) => ({ request_range: { key: Buffer.from(key), keys_only: true } })),
          },
          call,
        ),
      { ...options, isWrite: true },
    );
    if (!reply.succeeded) throw conflictOf(checks, reply.responses);
    return parseRevision(reply.header.revision);
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    const open = (own: WatchOptions): EtcdWatch => new EtcdWatch(this.#connection, prefix, own, this.#watches);
    return EtcdCatchUp.create(open, options, this.#newest) ?? open(options);
  }

  async close(): Promise<void> {
    this.#connection.close();
    const reason = this.#connection.closed;
    if (reason) for (const watch of [...this.#watches]) watch.close(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #root(): string {
    return `${this.#options.namespace}/`;
  }

  async #listPast(prefix: string, at: Revision, options: CallOptions): Promise<StoredSnapshot> {
    // To etcd a revision of 0 means now. Its first one, of an empty store, is 1.
    const revision = Math.max(at, 1) as Revision;
    try {
      const { entries } = await this.#listPages(prefix, revision, options);
      return { revision: at, entries };
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error;
      const oldest = await this.#oldest(prefix, revision, options);
      throw new CompactedError(`etcd no longer keeps revision ${at}, ${oldest} is the oldest`, { cause: error, details: { oldest } });
    }
  }

  /** The revision etcd was compacted to; it is told to a watch that starts too early. */
  async #oldest(prefix: string, tooOld: Revision, { signal }: CallOptions): Promise<Revision> {
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal?.addEventListener('abort', abort);
    const timer = setTimeout(abort, DEADLINE_OF_A_WATCH_MS);
    try {
      for await (const batch of this.watch(prefix, { after: (tooOld - 1) as Revision, signal: stop.signal })) return batch.revision;
    } catch (error) {
      if (error instanceof CompactedError && typeof error.details['oldest'] === 'number') return error.details['oldest'] as Revision;
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      stop.abort();
    }
    signal?.throwIfAborted();
    throw new UnavailableError('etcd did not say what it was compacted to');
  }

  async #listPages(prefix: string, at: Revision | undefined, options: CallOptions): Promise<StoredSnapshot> {
    const range = rangeOf(prefix);
    const entries: StoredEntry[] = [];
    let { key } = range;
    let revision = at;
    let limit = FIRST_PAGE;
    for (;;) {
      const pinned = revision;
      const start = key;
      const size = limit;
      const reply: IRangeResponse = await this.#connection.call(
        async (kv, call) =>
          kv.range({ key: start, range_end: range.range_end, limit: size, ...(pinned !== undefined && { revision: pinned }) }, call),
        { deadlineMs: PAGE_DEADLINE_MS, ...options },
      );
      revision ??= parseRevision(reply.header.revision);
      let bytes = 0;
      for (const stored of reply.kvs) {
        bytes += stored.key.length + stored.value.length;
        entries.push(toEntry(stored));
      }
      const last = reply.kvs.at(-1);
      if (!reply.more || !last) return { revision, entries: inOrder(entries) };
      key = Buffer.concat([last.key, Buffer.of(0)]);
      limit = Math.min(Math.max(Math.floor(PAGE_BYTES / (bytes / reply.kvs.length)), 4), LARGEST_PAGE);
    }
  }
}

function rangeRequest(key: string, at: Revision | undefined): IRequestOp {
  return { request_range: { key: Buffer.from(key), ...(at !== undefined && { revision: at }) } };
}

function entriesOf(range: IRangeResponse | undefined): readonly StoredEntry[] {
  return range?.kvs.map(toEntry) ?? [];
}

function compareOf({ key, revision }: Check): ICompare {
  return { result: 'Equal', target: 'Mod', key: Buffer.from(key), mod_revision: revision ?? 0 };
}

function requestOf(operation: Operation): IRequestOp {
  const key = Buffer.from(operation.key);
  if (operation.type === 'delete') return { request_delete_range: { key } };
  const { value } = operation;
  return { request_put: { key, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) } };
}

function conflictOf(checks: readonly Check[], responses: readonly IResponseOp[]): ConflictError {
  for (const [index, { key, revision }] of checks.entries()) {
    const found = responses[index]?.response_range.kvs[0];
    const actual = found === undefined ? null : parseRevision(found.mod_revision);
    if (actual === revision) continue;
    return new ConflictError(
      `key '${key}' is ${actual === null ? 'absent' : `at revision ${actual}`}, not ${revision === null ? 'absent' : `at ${revision}`}`,
      { details: { key } },
    );
  }
  return new ConflictError('a check of the transaction did not hold');
}

function requireRequestFits({ checks, operations }: Transaction): void {
  let bytes = 0;
  for (const { key } of checks) bytes += 2 * (Buffer.byteLength(key) + OVERHEAD_BYTES);
  for (const operation of operations) {
    bytes += Buffer.byteLength(operation.key) + OVERHEAD_BYTES + (operation.type === 'put' ? operation.value.byteLength : 0);
  }
  if (bytes > MAX_REQUEST_BYTES)
    throw new ValueTooLargeError(`etcd takes requests of ${MAX_REQUEST_BYTES} bytes, this transaction has ${bytes}`);
}
