import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompactedError,
  InvalidArgumentError,
  OutcomeUnknownError,
  UnavailableError,
  type CallOptions,
  type ConfigProvider,
  type ListOptions,
  type ProviderCapabilities,
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../src/core/provider.ts';

/** What becomes of one commit. */
export interface CommitFault {
  /** False: the request is lost on its way, or refused. */
  readonly isApplied: boolean;
  /** Default: an OutcomeUnknownError. Null: the reply comes after all. */
  readonly error?: Error | null;
  /** Nothing is heard until the caller's deadline. */
  readonly hangs?: boolean;
  /** Runs before the store is asked. */
  readonly before?: () => Promise<void>;
  /** Runs after the store has decided and before the caller is told. */
  readonly after?: () => Promise<void>;
}

export const REPLY_LOST: CommitFault = { isApplied: true };
export const REQUEST_LOST: CommitFault = { isApplied: false };
export const HANGS: CommitFault = { isApplied: false, hangs: true };
export const REFUSED: CommitFault = { isApplied: false, error: new UnavailableError('the store refuses: no leader') };

/**
 * One node's connection to a store, as bad as connections get. Stands between a node and a provider that works; never used in that
 * provider's own tests.
 */
export class FaultyProvider implements ConfigProvider {
  readonly name = 'faulty';
  readonly #inner: ConfigProvider;
  readonly #watches = new Set<FaultyWatch>();
  #isDown = false;
  #gate: Gate | undefined;
  #cutAfter: number | undefined;
  #isSilent = false;
  #compactedTo: Promise<Revision> | undefined;
  #isMerging = false;
  /** Called for every commit; undefined lets it through. */
  onCommit: (transaction: Transaction) => CommitFault | undefined = () => undefined;
  /** What watches deliver instead of a batch. */
  onBatch: (batch: StoredBatch) => StoredBatch = (batch) => batch;
  /** Called before every read, list and head; may wait or throw. */
  onRead: (kind: 'read' | 'list' | 'head') => Promise<void> | void = () => undefined;
  /** What the node asked of the store, in order. */
  readonly calls: string[] = [];

  constructor(inner: ConfigProvider) {
    this.#inner = inner;
  }

  get capabilities(): ProviderCapabilities {
    return { ...this.#inner.capabilities, ...(this.#isMerging && { history: 'latest' as const }) };
  }

  /** From now on every call fails for certain and every watch is cut, until {@link up}. */
  down(): void {
    this.#isDown = true;
    this.cutWatches();
  }

  up(): void {
    this.#isDown = false;
  }

  cutWatches(): void {
    for (const watch of [...this.#watches]) watch.cut();
  }

  /** The watches opened from now on end after `batches` (progress counts); undefined heals them too. */
  cutWatchesAfter(batches: number | undefined): void {
    this.#cutAfter = batches;
  }

  /** Keeps back what watches deliver: the node lags until {@link release}. */
  hold(): void {
    this.#gate ??= new Gate();
  }

  release(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  /** Watches, open ones too, deliver nothing any more, not even progress or their end: the other side is gone without a word. */
  silence(): void {
    this.#isSilent = true;
    for (const watch of this.#watches) watch.silence();
  }

  /** For the watches opened from now on. */
  endSilence(): void {
    this.#isSilent = false;
  }

  /** Cuts the watches. What came before `revision`, by default the store's current one, is no longer kept, for this node. */
  compact(revision?: number): void {
    this.#compactedTo = revision === undefined ? this.#inner.head('').catch(() => 0 as Revision) : Promise.resolve(revision as Revision);
    this.cutWatches();
  }

  /** Behaves as a store that keeps the latest version only: what happened between two reads comes as one batch with `gap`. */
  mergeVersions(): void {
    this.#isMerging = true;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** True while the node takes a connection for alive whose other side is gone. */
  get isDeceived(): boolean {
    return [...this.#watches].some((watch) => watch.isSilent);
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  async open(options?: CallOptions): Promise<void> {
    this.#requireUp();
    await this.#inner.open(options);
  }

  async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    await this.#before('read', options);
    return this.#inner.read(keys, options);
  }

  async list(prefix: string, options?: ListOptions): Promise<StoredSnapshot> {
    await this.#before('list', options);
    if (this.#isMerging && options?.at !== undefined) throw new InvalidArgumentError('this store keeps no past states');
    if (options?.at !== undefined) await this.#requireKept(options.at);
    return this.#inner.list(prefix, options);
  }

  async head(prefix: string, options?: CallOptions): Promise<Revision> {
    await this.#before('head', options);
    return this.#inner.head(prefix, options);
  }

  async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    this.#requireUp();
    this.calls.push('commit');
    const fault = this.onCommit(transaction);
    await fault?.before?.();
    const revision = fault && !fault.isApplied ? undefined : await this.#inner.commit(transaction, options);
    await fault?.after?.();
    if (fault?.hangs) await sleep(options?.deadlineMs ?? 5_000);
    if (revision !== undefined && (!fault || fault.error === null)) return revision;
    throw fault?.error ?? new OutcomeUnknownError('the connection broke before the reply');
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    this.calls.push(`watch after ${options.after}`);
    const watch = new FaultyWatch(this.#inner.watch(prefix, { after: options.after, signal: options.signal }), {
      after: options.after,
      signal: options.signal,
      requireKept: (revision) => this.#requireKept(revision),
      isCut: this.#isDown,
      isSilent: this.#isSilent,
      isMerging: this.#isMerging,
      cutAfter: this.#cutAfter,
      isHealed: () => this.#cutAfter === undefined,
      gate: () => this.#gate,
      alter: (batch) => this.onBatch(batch),
      onEnd: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    return watch;
  }

  async close(): Promise<void> {
    this.release();
    await this.#inner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #before(kind: 'read' | 'list' | 'head', options?: CallOptions): Promise<void> {
    this.#requireUp();
    this.calls.push(kind);
    await this.onRead(kind);
    this.#requireUp();
    options?.signal?.throwIfAborted();
  }

  async #requireKept(revision: Revision): Promise<void> {
    const oldest = Math.min((await this.#compactedTo) ?? 0, await this.#inner.head('').catch(() => 0));
    if (revision < oldest) throw new CompactedError(`${revision} is no longer kept, ${oldest} is the oldest`, { details: { oldest } });
  }

  #requireUp(): void {
    if (this.#isDown) throw new UnavailableError('connect ECONNREFUSED');
  }
}

interface FaultyWatchOptions {
  readonly after: Revision;
  readonly signal: AbortSignal;
  readonly requireKept: (revision: Revision) => Promise<void>;
  readonly isCut: boolean;
  readonly isSilent: boolean;
  readonly isMerging: boolean;
  readonly cutAfter: number | undefined;
  readonly isHealed: () => boolean;
  readonly gate: () => Gate | undefined;
  readonly alter: (batch: StoredBatch) => StoredBatch;
  readonly onEnd: () => void;
}

/** How long a merging watch collects before it delivers. */
const MERGE_MS = 3;

class FaultyWatch implements StoreWatch {
  readonly #inner: StoreWatch;
  readonly #options: FaultyWatchOptions;
  readonly #ended = new Gate();
  #isCut: boolean;
  isSilent: boolean;

  constructor(inner: StoreWatch, options: FaultyWatchOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#isCut = options.isCut;
    this.isSilent = options.isSilent;
    options.signal.addEventListener('abort', () => this.#ended.open(), { once: true });
  }

  cut(): void {
    this.#isCut = true;
    this.#ended.open();
  }

  silence(): void {
    this.isSilent = true;
  }

  requestProgress(): void {
    this.#inner.requestProgress();
  }

  /** The next batch, or the end; nothing for ever once silent. */
  async #heard(iterator: AsyncIterator<StoredBatch>): Promise<IteratorResult<StoredBatch>> {
    try {
      const step = await iterator.next();
      return this.isSilent ? await silence() : step;
    } catch (error) {
      if (this.isSilent) await silence();
      throw error;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StoredBatch, void, undefined> {
    const { signal, after, requireKept, cutAfter, isHealed, gate } = this.#options;
    const batches = this.#options.isMerging ? merged(this.#inner) : this.#inner;
    const iterator = batches[Symbol.asyncIterator]();
    try {
      await requireKept(after);
      for (let delivered = 0; !this.#isCut && !signal.aborted;) {
        if (cutAfter !== undefined && delivered >= cutAfter && !isHealed()) this.#isCut = true;
        if (this.#isCut) break;
        const step = await Promise.race([this.#heard(iterator), this.#ended.passed]);
        const held = gate();
        if (held) await Promise.race([held.passed, this.#ended.passed]);
        if (!step || this.#isCut || signal.aborted) break;
        if (step.done) return;
        delivered++;
        yield this.#options.alter(step.value);
      }
    } finally {
      this.#options.onEnd();
      // The inner watch ends by its signal; one that waits is not waited for.
      iterator.return?.(undefined)?.catch(() => undefined);
    }
    if (!signal.aborted) throw new UnavailableError('the connection was reset');
  }
}

/** A connection that never says another word. */
const silence = (): Promise<never> => new Promise<never>(() => undefined);

class Gate {
  readonly passed: Promise<void>;
  #open: () => void = () => undefined;

  constructor() {
    this.passed = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }
}

/** Collects what comes within a moment into one batch: the last version of each key, and every removal. */
async function* merged(inner: AsyncIterable<StoredBatch>): AsyncGenerator<StoredBatch, void, undefined> {
  const iterator = inner[Symbol.asyncIterator]();
  const pull = (): Promise<IteratorResult<StoredBatch>> => {
    const step = iterator.next();
    // Nobody may be left to hear how the watch ended.
    step.catch(() => undefined);
    return step;
  };
  let next = pull();
  for (let step = await next; !step.done; step = await next) {
    next = pull();
    const collected: StoredBatch[] = [step.value];
    const until = performance.now() + MERGE_MS;
    for (let left = MERGE_MS; left > 0; left = until - performance.now()) {
      const more = await Promise.race([next, sleep(left)]);
      if (!more || more.done) break;
      collected.push(more.value);
      next = pull();
    }
    yield mergeBatches(collected);
  }
}

function mergeBatches(batches: readonly StoredBatch[]): StoredBatch {
  const last = batches.at(-1);
  if (!last) throw new Error('nothing to merge');
  const removals = new Map<string, StoredChange>();
  const puts = new Map<string, StoredChange>();
  for (const change of batches.flatMap(({ changes }) => changes)) {
    if (change.type === 'put') puts.set(change.entry.key, change);
    else {
      puts.delete(change.key);
      removals.set(change.key, change);
    }
  }
  const changes = [...removals.values(), ...puts.values()];
  return { revision: last.revision, changes, ...(changes.length > 0 && { gap: true }) };
}
