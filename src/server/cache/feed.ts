import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, type BackoffOptions } from '../../core/backoff.ts';
import {
  isAttuneError,
  UnavailableError,
  type ConfigProvider,
  type Revision,
  type StoredBatch,
  type StoredSnapshot,
  type StoreWatch,
} from '../../core/provider.ts';
import { verifyHistory, type HistoryGuard } from './history-guard.ts';
import type { AppliedBatch, Mirror } from './mirror.ts';

/** What the feed tells its owner, in the order of the store's history and never twice. */
export interface FeedSink {
  /** The mirror holds its first state; history is known from `snapshot.revision` on. */
  loaded(snapshot: StoredSnapshot): void;
  /** The mirror has just applied `batch`. */
  applied(batch: AppliedBatch): void;
  /** The mirror has reached a revision without changes. */
  advanced(): void;
  /** The store's history was replaced; the mirror holds the new one. */
  replaced(snapshot: StoredSnapshot): void;
  /** The mirror is current and fed. */
  live(): void;
  /** The store cannot be followed for now. */
  lost(cause: Error): void;
}

export interface FeedOptions {
  readonly provider: ConfigProvider;
  readonly prefix: string;
  readonly mirror: Mirror;
  readonly guard: HistoryGuard;
  readonly sink: FeedSink;
  /** Revisions before the current one from which the first watch starts, so that clients survive a restart of the node. */
  readonly warmRevisions: number;
  readonly backoff: BackoffOptions;
  readonly random: () => number;
  /** Progress is asked for this often. Milliseconds. */
  readonly progressEveryMs: number;
  /** A watch that hears nothing for this long, not even progress, is dead. Milliseconds. */
  readonly silenceMs: number;
}

/** A batch showed that the history the mirror follows has ended. */
class HistoryEnded extends Error {}

type Step = 'join' | 'list' | 'resume' | 'renew';

/**
 * Follows one prefix of the store for ever: the only writer of the mirror.
 *
 *     join ─own mark committed→ list ─loaded→ watch
 *     watch ─connection lost→ resume ─same history→ watch;  resume ─unsure, compacted→ list
 *     watch ─compacted, protocol broken→ list;  watch ─mark gone→ renew;  resume, list ─history replaced→ renew ─fresh list→ watch
 *
 * Every failure waits (full jitter) and tries the step again; the wait starts over once a watch has delivered.
 */
export class Feed {
  readonly #options: FeedOptions;
  #watch: StoreWatch | undefined;
  #interrupt: ((reason: Error) => void) | undefined;
  #target: Revision | undefined;
  #loaded = false;
  /** The oldest state the store was seen to keep: a relist begins there, the watch tells the rest. */
  #oldest: Revision | undefined;
  /** The mirror was seen to hold this node's mark. */
  #isMarked = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Asks the store for progress, so that a reader that waits for a revision without changes under the prefix is served. */
  requestProgress(): void {
    this.#watch?.requestProgress();
  }

  /** Ends the watch, as if the connection were lost, so that the history is looked at before anything else is followed. */
  recheck(reason: Error): void {
    this.#interrupt?.(reason);
  }

  /** Runs until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let step: Step = 'join';
    let attempt = 0;
    while (!signal.aborted) {
      try {
        await this.#prepare(step, signal);
        step = 'resume';
        await this.#follow(signal, () => (attempt = 0));
      } catch (error) {
        if (signal.aborted) return;
        step = this.#nextStep(step, error);
        // A compaction or an ended history is answered at once, unless nothing else comes; a store that fails is given time.
        if (attempt === 0 && (error instanceof HistoryEnded || isAttuneError(error, 'COMPACTED'))) {
          attempt++;
          continue;
        }
        this.#options.sink.lost(error instanceof Error ? error : new Error(String(error)));
        await sleep(backoffMs(attempt++, this.#options.backoff, this.#options.random), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #nextStep(step: Step, error: unknown): Step {
    const oldest = isAttuneError(error, 'COMPACTED') ? error.details['oldest'] : undefined;
    if (typeof oldest === 'number') this.#oldest = oldest as Revision;
    if (error instanceof HistoryEnded) return 'renew';
    if (step === 'resume') return isAttuneError(error, 'COMPACTED') || isAttuneError(error, 'PROTOCOL') ? 'list' : 'resume';
    return step;
  }

  async #prepare(step: Step, signal: AbortSignal): Promise<void> {
    const { provider, prefix, mirror, guard, sink } = this.#options;
    if (step === 'join' || !this.#loaded) {
      const target = await guard.join(signal);
      const snapshot = await this.#firstList(target, signal);
      if (snapshot.revision >= target && !guard.accepts(snapshot, target)) throw new HistoryEnded('the store lost the mark just set');
      this.#target = target;
      mirror.load(snapshot);
      this.#loaded = true;
      sink.loaded(snapshot);
      return;
    }
    if (step === 'resume') {
      const verdict = await verifyHistory(provider, mirror, guard, { prefix, signal });
      if (verdict === 'same') return;
      if (verdict === 'replaced') throw new HistoryEnded('the store was rolled back or replaced');
    }
    if (step === 'renew') {
      await guard.renew(signal);
      const snapshot = await provider.list(prefix, { signal });
      // The new history and its name are taken over in one step, so that no position of the old one is ever called by it.
      if (!guard.accepts(snapshot, snapshot.revision)) throw new HistoryEnded('the mark of the history changed while listing');
      mirror.load(snapshot);
      this.#target = snapshot.revision;
      this.#isMarked = true;
      sink.replaced(snapshot);
      return;
    }
    const snapshot = await this.#relist(signal);
    if (mirror.contradicts(snapshot) || !guard.accepts(snapshot, mirror.revision))
      throw new HistoryEnded('the list denies what the watch had told');
    const difference = mirror.replace(snapshot);
    if (difference) sink.applied(difference);
    else sink.advanced();
  }

  /** As early as the store allows: what lies before it is lost to everybody, what comes after it the watch tells version by version. */
  async #relist(signal: AbortSignal): Promise<StoredSnapshot> {
    const { provider, prefix, mirror } = this.#options;
    if (this.#oldest !== undefined && this.#oldest > mirror.revision && provider.capabilities.history === 'full') {
      try {
        return await provider.list(prefix, { at: this.#oldest, signal });
      } catch (error) {
        // Compacted further, or a store put back to before it.
        if (!isAttuneError(error, 'COMPACTED') && !isAttuneError(error, 'INVALID_ARGUMENT')) throw error;
      }
    }
    return provider.list(prefix, { signal });
  }

  /** Starts a little in the past where the store allows it: the watch then refills the window. */
  async #firstList(target: Revision, signal: AbortSignal): Promise<StoredSnapshot> {
    const { provider, prefix, warmRevisions } = this.#options;
    if (provider.capabilities.history === 'full' && warmRevisions > 0) {
      try {
        return await provider.list(prefix, { at: Math.max(target - warmRevisions, 0) as Revision, signal });
      } catch (error) {
        if (!isAttuneError(error, 'COMPACTED')) throw error;
        const oldest = error.details['oldest'];
        if (typeof oldest === 'number' && oldest <= target) {
          try {
            return await provider.list(prefix, { at: oldest as Revision, signal });
          } catch (again) {
            if (!isAttuneError(again, 'COMPACTED')) throw again;
          }
        }
      }
    }
    const snapshot = await provider.list(prefix, { signal });
    if (snapshot.revision < target) throw new HistoryEnded('the store fell back behind the mark just set');
    return snapshot;
  }

  async #follow(signal: AbortSignal, healthy: () => void): Promise<void> {
    const { provider, prefix, mirror, progressEveryMs, silenceMs } = this.#options;
    const watching = new AbortController();
    const stop = (): void => watching.abort();
    signal.addEventListener('abort', stop);
    let failure: Error = new UnavailableError(`the watch was silent for ${silenceMs} ms`);
    this.#interrupt = (reason) => {
      failure = reason;
      watching.abort();
    };
    let heardAt = performance.now();
    const watch = provider.watch(prefix, { after: mirror.revision, signal: watching.signal });
    const pulse = setInterval(() => {
      if (performance.now() - heardAt > silenceMs) watching.abort();
      else watch.requestProgress();
    }, progressEveryMs);
    this.#watch = watch;
    try {
      // Tells at once whether the mirror has reached the store's head, however quiet the prefix is.
      watch.requestProgress();
      for await (const batch of watch) {
        heardAt = performance.now();
        this.#apply(batch);
        healthy();
      }
    } finally {
      this.#watch = undefined;
      this.#interrupt = undefined;
      clearInterval(pulse);
      signal.removeEventListener('abort', stop);
      watching.abort();
    }
    if (!signal.aborted) throw failure;
  }

  #apply(batch: StoredBatch): void {
    const { mirror, guard, sink } = this.#options;
    const applied = mirror.apply(batch);
    if (applied) {
      // First, so that what is told of the batch bears the epoch that covers it.
      const continues = guard.continues(applied);
      sink.applied(applied);
      if (!continues) throw new HistoryEnded('the mark of the history is gone');
    } else sink.advanced();
    if (this.#target === undefined || mirror.revision < this.#target) return;
    this.#requireMark(this.#target);
    sink.live();
  }

  /** A node hands out positions only once its mirror holds its own mark, or a later one. */
  #requireMark(target: Revision): void {
    const { mirror, guard } = this.#options;
    if (this.#isMarked) return;
    const entries = guard.keys.flatMap((key) => mirror.get(key) ?? []);
    if (!guard.accepts({ revision: mirror.revision, entries }, target)) throw new HistoryEnded('the mark just set is not in the store');
    this.#isMarked = true;
  }
}
