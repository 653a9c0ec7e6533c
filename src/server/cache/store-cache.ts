import { DEFAULT_BACKOFF, type BackoffOptions } from '../../core/backoff.ts';
import {
  AttuneError,
  ClosedError,
  DeadlineExceededError,
  UnavailableError,
  type CallOptions,
  type ConfigProvider,
  type Revision,
} from '../../core/provider.ts';
import type { ResetReason, ServiceState } from '../../core/item.ts';
import { FilterIndex, type Filter } from './fan-out.ts';
import { Feed, type FeedSink } from './feed.ts';
import type { HistoryGuard } from './history-guard.ts';
import { Mirror, type AppliedBatch, type MirrorView, type RevisionOfDeletion } from './mirror.ts';
import { DEFAULT_WINDOW, Window, type WindowBatch, type WindowLimits } from './window.ts';

/** A reader may wait for a revision that changes nothing here: the store is asked for it this often. */
const PROGRESS_WHILE_WAITING_MS = 100;

/** One watcher of the cache. Called synchronously, after the mirror and the window hold what it is told of. */
export interface CacheSubscriber<Derived> {
  /** A batch with at least one change whose key matches the filter. */
  onBatch(batch: WindowBatch<Derived>): void;
  /** The history was replaced: every position from before is of no use. */
  onReset(reason: ResetReason): void;
  onState?(state: ServiceState, since: number): void;
}

/** How a store is followed. */
export interface FeedTiming {
  /** Revisions before the current one from which the first watch starts, to fill the window. Default 4,096. */
  readonly warmRevisions?: number;
  /** Between attempts to follow a store that fails. Default 250 ms, doubled up to 5 s. */
  readonly backoff?: BackoffOptions;
  /** Progress is asked for this often. Milliseconds, default 10,000. */
  readonly progressEveryMs?: number;
  /** A watch that hears nothing for this long is dead. Milliseconds, default 30,000. */
  readonly silenceMs?: number;
}

export interface StoreCacheOptions<Derived> extends FeedTiming {
  readonly provider: ConfigProvider;
  /** Mirrored completely: the sum of its keys and values must fit the node's memory. */
  readonly prefix: string;
  readonly guard: HistoryGuard;
  /** What the owner wants to know of a batch, computed once, while the mirror has just moved to the state after it. */
  readonly derive: (batch: AppliedBatch, after: MirrorView) => Derived;
  readonly revisionOfDeletion?: RevisionOfDeletion;
  readonly window?: WindowLimits;
  readonly random?: () => number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** A subscriber threw: its own problem, told here. */
  readonly onSubscriberError?: (error: unknown) => void;
  readonly onStateChange?: (state: ServiceState, cause: Error | undefined) => void;
  /** The mirror holds a whole new state: the first one, or that of a history that replaced another. */
  readonly onLoaded?: (mirror: MirrorView) => void;
}

interface Waiter {
  readonly revision: Revision;
  settle(error: Error | undefined): void;
}

/**
 * One prefix of a store, complete and current in memory, with the window of its last batches and the watchers to tell. There is one way
 * in, the feed; a batch becomes visible in one synchronous step: mirror, window, waiters, subscribers.
 *
 *     connecting ─live→ live ⇄ stale;  any ─close()→ closed
 */
export class StoreCache<Derived> {
  readonly provider: ConfigProvider;
  readonly prefix: string;
  readonly #options: StoreCacheOptions<Derived>;
  readonly #mirror: Mirror;
  readonly #window: Window<Derived>;
  readonly #index = new FilterIndex<CacheSubscriber<Derived>>();
  readonly #subscribers = new Set<CacheSubscriber<Derived>>();
  readonly #waiters = new Set<Waiter>();
  /** Runs while somebody waits: one for all. */
  #progress: NodeJS.Timeout | undefined;
  readonly #feed: Feed;
  readonly #stop = new AbortController();
  readonly #now: () => number;
  #running: Promise<void> | undefined;
  #state: ServiceState = 'connecting';
  #since: number;
  #heardAt: number;
  #cause: Error | undefined;

  constructor(options: StoreCacheOptions<Derived>) {
    this.#options = options;
    this.provider = options.provider;
    this.prefix = options.prefix;
    this.#now = options.now ?? Date.now;
    this.#since = this.#now();
    this.#heardAt = this.#since;
    this.#mirror = new Mirror(options.revisionOfDeletion);
    this.#window = new Window<Derived>(0 as Revision, options.window ?? DEFAULT_WINDOW, this.#now);
    this.#feed = new Feed({
      provider: options.provider,
      prefix: options.prefix,
      mirror: this.#mirror,
      guard: options.guard,
      sink: this.#sink(),
      warmRevisions: options.warmRevisions ?? 4_096,
      backoff: options.backoff ?? { ...DEFAULT_BACKOFF, maxMs: 5_000 },
      random: options.random ?? Math.random,
      progressEveryMs: options.progressEveryMs ?? 10_000,
      silenceMs: options.silenceMs ?? 30_000,
    });
  }

  get state(): ServiceState {
    return this.#state;
  }

  /** When `state` was entered. Milliseconds since 1970. */
  get since(): number {
    return this.#since;
  }

  /** Why the cache is not live; undefined if it is. */
  get cause(): Error | undefined {
    return this.#state === 'live' ? undefined : this.#cause;
  }

  /** When the store was last heard. Milliseconds since 1970. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** True once the mirror holds a state that may be served: live now, or stale after having been live. */
  get isReadable(): boolean {
    return this.#state === 'live' || this.#state === 'stale';
  }

  get mirror(): MirrorView {
    return this.#mirror;
  }

  get revision(): Revision {
    return this.#mirror.revision;
  }

  get window(): Pick<Window<Derived>, 'oldest' | 'next' | 'holds' | 'size' | 'bytes'> {
    return this.#window;
  }

  /** The current state, immutable. */
  view(): MirrorView {
    return this.#mirror.view();
  }

  /** Starts following the store. Idempotent. */
  start(): void {
    this.#running ??= this.#feed.run(this.#stop.signal);
  }

  /** Registers `subscriber` for the batches that match `filter` until the function returned is called. */
  subscribe(filter: Filter, subscriber: CacheSubscriber<Derived>): () => void {
    this.#index.add(filter, subscriber);
    this.#subscribers.add(subscriber);
    return () => {
      if (this.#subscribers.delete(subscriber)) this.#index.remove(filter, subscriber);
    };
  }

  /** Asks the store for its current revision, so that an idle mirror catches up with writes outside the prefix. */
  requestProgress(): void {
    this.#feed.requestProgress();
  }

  /**
   * Resolves when the mirror has reached `revision`, so that a read after it sees that write.
   * @throws {DeadlineExceededError} not reached within `deadlineMs` (default 3,000).
   * @throws {AttuneError} CURSOR_GONE, the history was replaced meanwhile; {@link ClosedError}.
   */
  async reached(revision: Revision, options: CallOptions = {}): Promise<void> {
    if (this.#state === 'closed') throw closedError();
    if (this.#mirror.revision >= revision && this.isReadable) return;
    options.signal?.throwIfAborted();
    const { signal, deadlineMs = 3_000 } = options;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => waiter.settle(notReached(revision, this.#mirror.revision, deadlineMs)), deadlineMs);
      const onAbort = (): void => waiter.settle(signal?.reason instanceof Error ? signal.reason : new ClosedError('aborted'));
      const waiter: Waiter = {
        revision,
        settle: (error) => {
          if (!this.#waiters.delete(waiter)) return;
          if (this.#waiters.size === 0) {
            clearInterval(this.#progress);
            this.#progress = undefined;
          }
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          if (error) reject(error);
          else resolve();
        },
      };
      this.#waiters.add(waiter);
      this.#progress ??= setInterval(() => this.requestProgress(), PROGRESS_WHILE_WAITING_MS);
      signal?.addEventListener('abort', onAbort);
      this.requestProgress();
    });
  }

  /**
   * The store answered from before what this node has seen of it: it was rolled back or replaced, and the watch did not tell. Has the feed
   * look at once; returns the error for whoever found out.
   */
  doubt(reason: string): UnavailableError {
    const error = new UnavailableError(`the store was rolled back or replaced: ${reason}`);
    this.#feed.recheck(error);
    return error;
  }

  /** Ends the feed and settles every waiter. The provider stays open: who opened it closes it. Idempotent. */
  async close(): Promise<void> {
    if (this.#state !== 'closed') {
      this.#enter('closed', undefined);
      this.#stop.abort();
      this.#settleWaiters(closedError());
    }
    await this.#running;
  }

  #sink(): FeedSink {
    return {
      loaded: (snapshot) => {
        this.#window.restart(snapshot.revision);
        this.#options.onLoaded?.(this.#mirror);
      },
      applied: (batch) => this.#publish(batch),
      advanced: () => this.#wakeWaiters(),
      replaced: (snapshot) => {
        this.#window.restart(snapshot.revision);
        this.#options.onLoaded?.(this.#mirror);
        this.#settleWaiters(new AttuneError('CURSOR_GONE', 'the store was rolled back or replaced', { details: { reason: 'epoch' } }));
        this.#heardAt = this.#now();
        for (const subscriber of [...this.#subscribers]) this.#guarded(() => subscriber.onReset('epoch'));
      },
      live: () => {
        this.#heardAt = this.#now();
        if (this.#state !== 'live') this.#enter('live', undefined);
        this.#wakeWaiters();
      },
      lost: (cause) => {
        this.#cause = cause;
        if (this.#state === 'live') this.#enter('stale', cause);
        else this.#guarded(() => this.#options.onStateChange?.(this.#state, cause));
      },
    };
  }

  #publish(batch: AppliedBatch): void {
    const windowed: WindowBatch<Derived> = { ...batch, derived: this.#options.derive(batch, this.#mirror) };
    this.#window.push(windowed);
    this.#heardAt = this.#now();
    this.#wakeWaiters();
    if (this.#subscribers.size === 0) return;
    const found = new Set<CacheSubscriber<Derived>>();
    for (const change of batch.changes) this.#index.collect(change.key, found);
    for (const subscriber of found) this.#guarded(() => subscriber.onBatch(windowed));
  }

  #wakeWaiters(): void {
    if (!this.isReadable) return;
    for (const waiter of this.#waiters) if (waiter.revision <= this.#mirror.revision) waiter.settle(undefined);
  }

  #settleWaiters(error: Error): void {
    for (const waiter of [...this.#waiters]) waiter.settle(error);
  }

  #enter(state: ServiceState, cause: Error | undefined): void {
    this.#state = state;
    this.#since = this.#now();
    this.#cause = cause;
    this.#guarded(() => this.#options.onStateChange?.(state, cause));
    for (const subscriber of [...this.#subscribers]) this.#guarded(() => subscriber.onState?.(state, this.#since));
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.onSubscriberError?.(error);
    }
  }
}

const closedError = (): ClosedError => new ClosedError('the service is closed');

function notReached(wanted: Revision, actual: Revision, waitMs: number): DeadlineExceededError {
  return new DeadlineExceededError(`this node is at revision ${actual} and did not reach ${wanted} within ${waitMs} ms`, {
    details: { wanted, actual },
  });
}
