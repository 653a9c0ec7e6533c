import { ChangeSignal } from '../../core/change-signal.ts';
import type { ChangeLog } from '../../core/log-watch.ts';
import { CompactedError, isAttuneError, REVISION_ZERO, UnavailableError, type Revision, type StoredBatch } from '../../core/provider.ts';
import { hiddenError } from './consul-error.ts';
import type { ConsulEntry } from './consul-wire.ts';
import { compareSnapshots, inOrder, missingKeys, revisionOf, type ConsulChange, type SnapshotDifference } from './snapshot-diff.ts';
import { WorkBudget } from './work-budget.ts';

/** A list as Consul gave it. `index` is that of the prefix, which may fall when tombstones are reaped. */
export interface Observation {
  readonly index: Revision;
  readonly entries: readonly ConsulEntry[];
  /** What reading it took: milliseconds in which nothing else ran. */
  readonly workMs: number;
}

/** What a tracker asks of the store. */
export interface TrackerSource {
  head(signal: AbortSignal): Promise<Revision>;
  list(prefix: string, signal: AbortSignal): Promise<Observation>;
  /** Answers once the index of `prefix` is above `index`, or after `waitMs`. */
  poll(prefix: string, index: Revision, waitMs: number, signal: AbortSignal): Promise<Observation>;
  /** The index of `prefix` without its values. */
  prefixIndex(prefix: string, signal: AbortSignal): Promise<Revision>;
  /** @throws {UnavailableError} `details.reason` is `visibility`: one of `keys` is hidden, or was made again since. */
  requireAbsent(keys: readonly string[], after: Revision, signal: AbortSignal): Promise<void>;
}

interface ConsulBatch extends StoredBatch {
  readonly changes: readonly ConsulChange[];
}

interface Base {
  readonly revision: Revision;
  readonly entries: ReadonlyMap<string, ConsulEntry>;
}

const WAIT_MS = 30_000;
/** Consul adds up to a sixteenth to the wait; an answer without a change that comes much earlier was cut short by a restore. */
const EARLY_MS = WAIT_MS - 2_000;
const LOG_BATCHES = 1_024;
const LOG_BYTES = 16 * 1024 * 1024;
/** Lists whose revision a watch may begin at, though the tracker was never there. */
const BASES = 4;
const WRITTEN_KEYS = 10_000;

/**
 * One prefix of Consul as a history: it blocks on the prefix's index, compares each list with the one before, and keeps the batches for the
 * watches that read them. It runs while there is a watch.
 *
 *     idle ─a watch→ asking (consistent) ─list→ blocking ─list→ blocking;  blocking ─index fell→ asking
 *     asking, blocking ─failure→ idle, its watches end with it;  the state stays and is where the next watch goes on
 */
export class Tracker {
  readonly prefix: string;
  readonly #source: TrackerSource;
  readonly #budget = new WorkBudget();
  #changed = new ChangeSignal();
  #entries = new Map<string, ConsulEntry>();
  #revision = REVISION_ZERO;
  /** The index last seen of the prefix: what is blocked on. */
  #index = REVISION_ZERO;
  #isLoaded = false;
  /** The prefix moved and shows the same: what was made and removed meanwhile is a gap in the next batch. */
  #hasUnseen = false;
  #log: { readonly batch: ConsulBatch; readonly bytes: number }[] = [];
  #logBytes = 0;
  #oldest = REVISION_ZERO;
  readonly #bases = new Map<string, Base>();
  /** Keys this node put at a revision not yet reached: if they are gone by then, their removal is told all the same. */
  readonly #written = new Map<string, Revision>();
  #watches = 0;
  #stop: AbortController | undefined;
  #running: Promise<void> | undefined;
  #applied = 0;
  #advancing: { readonly pending: Promise<void>; next?: Promise<void> } | undefined;

  constructor(prefix: string, source: TrackerSource) {
    this.prefix = prefix;
    this.#source = source;
  }

  /** What is known of a key; it may be old. */
  get(key: string): ConsulEntry | undefined {
    return this.#entries.get(key);
  }

  get revision(): Revision {
    return this.#revision;
  }

  get changed(): ChangeSignal {
    return this.#changed;
  }

  /** Keys under `prefix` that were there, or were put by this node, and that `entries`, a list as of `revision`, lacks. */
  missingFrom(prefix: string, entries: readonly ConsulEntry[], revision: Revision): string[] {
    const missing = [...missingKeys(this.#entries, entries), ...this.#unseen(entries, revision)];
    return missing.filter((key) => key.startsWith(prefix));
  }

  /**
   * Takes note of a consistent list of `prefix` as of `revision`: a watch may begin there. `since` is what this tracker was at when the list was
   * asked for: a list from before that tells of a store that was rolled back. Of what it lacks, `gone` are proven to be so.
   */
  learn(
    prefix: string,
    observation: Observation,
    { revision, since, gone }: { readonly revision: Revision; readonly since: Revision; readonly gone: readonly string[] },
  ): void {
    const entries = new Map(observation.entries.map((entry) => [entry.key, entry]));
    this.#bases.delete(prefix);
    this.#bases.set(prefix, { revision, entries });
    for (const oldest of this.#bases.keys()) {
      if (this.#bases.size <= BASES) break;
      this.#bases.delete(oldest);
    }
    if (prefix !== this.prefix) return;
    if (!this.#isLoaded) return this.#restart(revision, observation);
    if (revision < since) return this.#startOver(revision, observation, `it is at ${revision}, and was at ${since}`);
    if (revision < this.#revision) return;
    const { changes, missing, contradiction } = compareSnapshots(this.#entries, observation.entries, this.#revision);
    if (contradiction !== undefined) return this.#startOver(revision, observation, `'${contradiction}' is not what it was`);
    // A deletion above what was known: who calls has proven that what is missing is gone.
    if (missing.length > 0 && revision === this.#revision) return this.#startOver(revision, observation, `'${missing[0]}' is gone`);
    const proven = new Set([...missing, ...gone]);
    this.#apply(revision, observation, changes, [
      ...missing,
      ...this.#unseen(observation.entries, revision).filter((key) => proven.has(key)),
    ]);
  }

  /** Takes note of a put by this node, of which a watch may begin. */
  noteWritten(key: string, revision: Revision): void {
    if (!key.startsWith(this.prefix) || revision <= this.#revision) return;
    this.#written.set(key, revision);
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= WRITTEN_KEYS) break;
      this.#written.delete(oldest);
    }
  }

  /** A history for a watch of `prefix` that begins at `after`. */
  log(prefix: string, after: Revision): ChangeLog {
    const base = this.#bases.get(prefix);
    const isBoundary = after === this.#oldest || after === this.#revision || this.#log.some(({ batch }) => batch.revision === after);
    let pending = base && base.revision === after && !(isBoundary && prefix === this.prefix) ? base : undefined;
    return {
      head: () => this.#revision,
      oldest: () => (pending ? pending.revision : this.#oldest),
      nextTurn: async () => new Promise((resolve) => setImmediate(resolve)),
      read: (under, position) => {
        if (pending) {
          const batches = this.#difference(under, pending);
          pending = undefined;
          return { batches, upTo: this.#revision };
        }
        const batches: StoredBatch[] = [];
        for (const { batch } of this.#log) {
          if (batch.revision <= position) continue;
          const changes = batch.changes.filter((change) => keyOf(change).startsWith(under) && revisionOf(change) > position);
          if (changes.length > 0) batches.push({ ...batch, changes });
        }
        return { batches, upTo: this.#revision };
      },
    };
  }

  /** Keeps following the store until the function returned is called. */
  acquire(): () => void {
    this.#watches++;
    this.#start();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#watches--;
      if (this.#watches === 0) this.#stop?.abort();
    };
  }

  /** Moves on to the store's current revision, once everything at or below it is in the log. A failure is that of the watches. */
  async advance(): Promise<void> {
    // Who asks while another answer is on its way may have written since: it needs the next one.
    if (this.#advancing) {
      const running = this.#advancing;
      running.next ??= running.pending.then(() => this.advance());
      return running.next;
    }
    const pending = this.#advance();
    this.#advancing = { pending };
    await pending;
  }

  /** Ends everything with `failure`. */
  async close(failure: Error): Promise<void> {
    this.#stop?.abort();
    this.#changed.close(failure);
    await this.#running;
  }

  async #advance(): Promise<void> {
    const signal = this.#stop?.signal;
    try {
      if (!signal) return;
      const since = this.#revision;
      const head = await this.#source.head(signal);
      if (head < since) throw rolledBack(`it is at ${head}, and was at ${since}`);
      const index = await this.#source.prefixIndex(this.prefix, signal);
      while (!signal.aborted && (index > this.#index || !this.#isLoaded)) await this.#nextChange(signal);
      if (!signal.aborted && head > this.#revision) {
        this.#revision = head;
        this.#changed.wake();
      }
    } catch (error) {
      if (signal && !signal.aborted) this.#fail(error, signal);
    } finally {
      this.#advancing = undefined;
    }
  }

  async #nextChange(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        unsubscribe();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const unsubscribe = this.#changed.subscribe(done);
      signal.addEventListener('abort', done);
    });
  }

  #start(): void {
    if (this.#stop && !this.#stop.signal.aborted) return;
    const stop = new AbortController();
    this.#stop = stop;
    const previous = this.#running ?? Promise.resolve();
    this.#running = previous.then(() => this.#run(stop.signal)).catch((error: unknown) => this.#fail(error, stop.signal));
  }

  async #run(signal: AbortSignal): Promise<void> {
    let isFresh = false;
    while (!signal.aborted) {
      await this.#budget.ready(signal);
      isFresh = isFresh ? await this.#block(signal) : await this.#ask(signal);
    }
  }

  /** One consistent look. The head, read before the list, holds where the index of the prefix has fallen. */
  async #ask(signal: AbortSignal): Promise<boolean> {
    const applied = this.#applied;
    const since = this.#revision;
    const head = await this.#source.head(signal);
    if (head < since) throw rolledBack(`it is at ${head}, and was at ${since}`);
    const observation = await this.#source.list(this.prefix, signal);
    this.#budget.spend(observation.workMs);
    if (applied !== this.#applied) return false;
    await this.#take(Math.max(head, observation.index) as Revision, observation, signal);
    return true;
  }

  /** Blocks for a change; false if what came must be looked at again, consistently. */
  async #block(signal: AbortSignal): Promise<boolean> {
    const applied = this.#applied;
    const index = this.#index;
    const startedAt = performance.now();
    const observation = await this.#source.poll(this.prefix, index, WAIT_MS, signal);
    this.#budget.spend(observation.workMs);
    if (applied !== this.#applied) return true;
    if (observation.index === index && performance.now() - startedAt < EARLY_MS) {
      throw new UnavailableError('Consul cut a blocking query short, as it does when it is restored from a backup');
    }
    if (observation.index < index || (observation.index > index && observation.index <= this.#revision)) return false;
    if (observation.index === index) {
      const { changes, missing, contradiction } = this.#compare(observation);
      return changes.length === 0 && missing.length === 0 && contradiction === undefined;
    }
    return this.#take(observation.index, observation, signal);
  }

  async #take(revision: Revision, observation: Observation, signal: AbortSignal): Promise<boolean> {
    const applied = this.#applied;
    if (!this.#isLoaded) {
      this.#restart(revision, observation);
      return true;
    }
    const { changes, missing, contradiction } = this.#compare(observation);
    if (contradiction !== undefined) {
      // A list settles it: the same history, told of late, or another one.
      throw new CompactedError(`Consul shows '${contradiction}' as it cannot have become: list again`, { details: { key: contradiction } });
    }
    // Every deletion moves the head: without that a key that is missing is hidden.
    if (missing.length > 0 && revision <= this.#revision) throw hiddenError(missing[0] ?? '', undefined);
    const gone = [...missing, ...this.#unseen(observation.entries, revision)];
    if (gone.length > 0) {
      await this.#source.requireAbsent(gone, observation.index, signal);
      if (applied !== this.#applied) return false;
    }
    this.#apply(revision, observation, changes, gone);
    return true;
  }

  /** What a list of the loop tells; the work is paid for. */
  #compare({ entries }: Observation): SnapshotDifference {
    const startedAt = performance.now();
    const difference = compareSnapshots(this.#entries, entries, this.#revision);
    this.#budget.spend(performance.now() - startedAt);
    return difference;
  }

  #apply(revision: Revision, observation: Observation, changes: readonly ConsulChange[], gone: readonly string[]): void {
    const deletedAt = observation.index > this.#revision ? observation.index : revision;
    const all = inOrder([...changes, ...gone.map((key): ConsulChange => ({ type: 'delete', key, revision: deletedAt }))]);
    const isNext = revision === this.#revision + 1;
    if (all.length === 0) {
      if (observation.index > this.#index) this.#hasUnseen = true;
    } else {
      const gap = this.#hasUnseen || !isNext;
      this.#hasUnseen = false;
      this.#remember({ revision, changes: all, ...(gap && { gap }) });
    }
    for (const change of all) {
      if (change.type === 'put') this.#entries.set(change.entry.key, change.entry);
      else this.#entries.delete(change.key);
    }
    this.#revision = Math.max(revision, this.#revision) as Revision;
    this.#index = observation.index;
    for (const [key, at] of this.#written) {
      if (at <= revision && (this.#entries.has(key) || gone.includes(key))) this.#written.delete(key);
    }
    this.#applied++;
    this.#changed.wake();
  }

  /** Keys that this node put, and that a list as of `revision` lacks though no list had them: removed in between, or hidden. */
  #unseen(entries: readonly ConsulEntry[], revision: Revision): string[] {
    if (this.#written.size === 0) return [];
    const present = new Set(entries.map(({ key }) => key));
    return [...this.#written].flatMap(([key, at]) => (at <= revision && !present.has(key) && !this.#entries.has(key) ? [key] : []));
  }

  #restart(revision: Revision, { index, entries }: Observation): void {
    this.#entries = new Map(entries.map((entry) => [entry.key, entry]));
    this.#revision = revision;
    this.#index = index;
    this.#oldest = revision;
    this.#log = [];
    this.#logBytes = 0;
    this.#isLoaded = true;
    this.#hasUnseen = false;
    this.#applied++;
    this.#changed.wake();
  }

  /** The history has ended, and so do the watches of it. */
  #startOver(revision: Revision, observation: Observation, why: string): void {
    for (const [prefix, base] of this.#bases) if (base.revision !== revision) this.#bases.delete(prefix);
    const stop = this.#stop;
    if (stop) this.#fail(rolledBack(why), stop.signal);
    this.#written.clear();
    this.#restart(revision, observation);
  }

  #difference(under: string, base: Base): StoredBatch[] {
    const now = [...this.#entries.values()].filter(({ key }) => key.startsWith(under));
    const { changes, missing } = compareSnapshots(base.entries, now, base.revision);
    const all = inOrder([...changes, ...missing.map((key): ConsulChange => ({ type: 'delete', key, revision: this.#revision }))]);
    return all.length === 0 ? [] : [{ revision: this.#revision, changes: all, gap: true }];
  }

  #remember(batch: ConsulBatch): void {
    const bytes = batch.changes.reduce((sum, change) => sum + 200 + (change.type === 'put' ? change.entry.value.byteLength : 0), 0);
    this.#log.push({ batch, bytes });
    this.#logBytes += bytes;
    while (this.#log.length > 1 && (this.#log.length > LOG_BATCHES || this.#logBytes > LOG_BYTES)) {
      const first = this.#log.shift();
      if (!first) return;
      this.#logBytes -= first.bytes;
      this.#oldest = first.batch.revision;
    }
  }

  /** Ends the watches there are with `error`; those to come begin anew. */
  #fail(error: unknown, signal: AbortSignal): void {
    if (this.#stop?.signal !== signal || signal.aborted) return;
    this.#stop.abort();
    const changed = this.#changed;
    this.#changed = new ChangeSignal();
    changed.close(asWatchFailure(error, this.prefix));
  }
}

/** What a watch may throw: a right that was taken away is a store that cannot be followed. */
function asWatchFailure(error: unknown, prefix: string): Error {
  if (isAttuneError(error, 'PERMISSION_DENIED')) return hiddenError(prefix, error);
  if (isAttuneError(error, 'UNAVAILABLE') || isAttuneError(error, 'COMPACTED') || isAttuneError(error, 'PROTOCOL')) return error;
  if (isAttuneError(error, 'UNAUTHENTICATED')) return new UnavailableError(error.message, { cause: error });
  return new UnavailableError(`the watch of '${prefix}' failed: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

function rolledBack(why: string): UnavailableError {
  return new UnavailableError(`Consul was restored from a backup, or is another one: ${why}`);
}

function keyOf(change: ConsulChange): string {
  return change.type === 'put' ? change.entry.key : change.key;
}
