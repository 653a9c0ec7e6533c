import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Guarantee } from '../../src/conformance/index.ts';
import {
  CompactedError,
  ConflictError,
  type CallOptions,
  type ListOptions,
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../src/core/provider.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';

type Batches = AsyncGenerator<StoredBatch, void, undefined>;

/** The memory provider with one mistake in how a watch delivers. */
abstract class BrokenWatch extends MemoryProvider {
  protected abstract spoil(batches: AsyncIterable<StoredBatch>, prefix: string): Batches;

  override watch(prefix: string, options: WatchOptions): StoreWatch {
    const watch = super.watch(prefix, options);
    const spoilt = this.spoil(watch, prefix);
    const iterator: AsyncIterator<StoredBatch> = {
      next: async () => spoilt.next(),
      return: async () => {
        await watch[Symbol.asyncIterator]().return?.();
        return spoilt.return();
      },
    };
    return { requestProgress: () => watch.requestProgress(), [Symbol.asyncIterator]: () => iterator };
  }
}

class LosesABatch extends BrokenWatch {
  protected override async *spoil(batches: AsyncIterable<StoredBatch>): Batches {
    let count = 0;
    for await (const batch of batches) if (batch.changes.length === 0 || ++count % 9 !== 0) yield batch;
  }
}

class RepeatsABatch extends BrokenWatch {
  protected override async *spoil(batches: AsyncIterable<StoredBatch>): Batches {
    let count = 0;
    for await (const batch of batches) {
      yield batch;
      if (batch.changes.length > 0 && ++count % 9 === 0) yield batch;
    }
  }
}

class SplitsARevision extends BrokenWatch {
  protected override async *spoil(batches: AsyncIterable<StoredBatch>): Batches {
    for await (const batch of batches) {
      if (batch.changes.length < 2) yield batch;
      else for (const change of batch.changes) yield { revision: batch.revision, changes: [change] };
    }
  }
}

/** Two batches that are there at once come in the wrong order. */
class Reorders extends BrokenWatch {
  protected override async *spoil(batches: AsyncIterable<StoredBatch>): Batches {
    const source = batches[Symbol.asyncIterator]();
    let next = source.next();
    for (;;) {
      const first = await next;
      if (first.done === true) return;
      next = source.next();
      const second = await Promise.race([next, nextTurn<undefined>(undefined)]);
      if (second?.done === false) {
        next = source.next();
        yield second.value;
      }
      yield first.value;
    }
  }
}

/** As a store that only shows the latest state: what is there at once is merged. */
class Coalesces extends BrokenWatch {
  protected override async *spoil(batches: AsyncIterable<StoredBatch>): Batches {
    const source = batches[Symbol.asyncIterator]();
    let next = source.next();
    for (;;) {
      const first = await next;
      if (first.done === true) return;
      const changes = new Map<string, StoredChange>();
      let batch: StoredBatch | undefined = first.value;
      let { revision } = first.value;
      while (batch) {
        for (const change of batch.changes) changes.set(change.type === 'put' ? change.entry.key : change.key, change);
        ({ revision } = batch);
        next = source.next();
        const more: IteratorResult<StoredBatch> | undefined = await Promise.race([next, nextTurn<undefined>(undefined)]);
        batch = more?.done === false ? more.value : undefined;
      }
      yield { revision, changes: [...changes.values()] };
    }
  }
}

/** Answers with the head at once, ahead of what is still to be delivered. */
class ProgressTooEarly extends MemoryProvider {
  override watch(prefix: string, options: WatchOptions): StoreWatch {
    const watch = super.watch(prefix, options);
    const source = watch[Symbol.asyncIterator]();
    let wanted = false;
    const iterator: AsyncIterator<StoredBatch> = {
      next: async () => {
        if (!wanted) return source.next();
        wanted = false;
        return { done: false, value: { revision: await this.head(prefix), changes: [] } };
      },
      return: async () => source.return?.() ?? { done: true, value: undefined },
    };
    return {
      requestProgress: () => {
        wanted = true;
        watch.requestProgress();
      },
      [Symbol.asyncIterator]: () => iterator,
    };
  }
}

class NeverAnswersProgress extends MemoryProvider {
  override watch(prefix: string, options: WatchOptions): StoreWatch {
    const watch = super.watch(prefix, options);
    return { requestProgress: () => {}, [Symbol.asyncIterator]: () => watch[Symbol.asyncIterator]() };
  }
}

/** Progress only where there was something to deliver: a quiet prefix never moves. */
class ProgressOnlyOfItsPrefix extends BrokenWatch {
  protected override async *spoil(batches: AsyncIterable<StoredBatch>): Batches {
    let last: Revision | undefined;
    for await (const batch of batches) {
      if (batch.changes.length > 0) last = batch.revision;
      yield batch.changes.length === 0 && last !== undefined ? { revision: last, changes: [] } : batch;
    }
  }
}

/** What etcd3's own watcher does after a reconnect. */
class WatchesFromTheHead extends MemoryProvider {
  #head = 0 as Revision;

  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    this.#head = await super.commit(transaction, options);
    return this.#head;
  }

  override watch(prefix: string, options: WatchOptions): StoreWatch {
    return super.watch(prefix, { ...options, after: this.#head > options.after ? this.#head : options.after });
  }
}

class DeliversAfterItself extends MemoryProvider {
  override watch(prefix: string, options: WatchOptions): StoreWatch {
    return super.watch(prefix, { ...options, after: Math.max(0, options.after - 1) as Revision });
  }
}

class WatchesTheFutureFromNow extends MemoryProvider {
  #head = 0 as Revision;

  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    this.#head = await super.commit(transaction, options);
    return this.#head;
  }

  override watch(prefix: string, options: WatchOptions): StoreWatch {
    return super.watch(prefix, { ...options, after: Math.min(options.after, this.#head) as Revision });
  }
}

/** Begins at the oldest revision kept instead of telling that the one asked for is gone. */
class HidesCompaction extends MemoryProvider {
  #oldest = 0 as Revision;

  override compact(revision: Revision): void {
    this.#oldest = revision;
    super.compact(revision);
  }

  override watch(prefix: string, options: WatchOptions): StoreWatch {
    return super.watch(prefix, { ...options, after: Math.max(options.after, this.#oldest) as Revision });
  }
}

class IgnoresAbort extends MemoryProvider {
  override watch(prefix: string, options: WatchOptions): StoreWatch {
    return super.watch(prefix, { ...options, signal: new AbortController().signal });
  }
}

class LeaksItsListener extends MemoryProvider {
  override watch(prefix: string, options: WatchOptions): StoreWatch {
    options.signal.addEventListener('abort', () => {});
    return super.watch(prefix, options);
  }
}

class PrefixIsAFolder extends MemoryProvider {
  override async list(prefix: string, options?: ListOptions): Promise<StoredSnapshot> {
    return super.list(prefix.endsWith('/') ? prefix : `${prefix}/`, options);
  }
}

class WatchPrefixIsAFolder extends MemoryProvider {
  override watch(prefix: string, options: WatchOptions): StoreWatch {
    return super.watch(prefix.endsWith('/') ? prefix : `${prefix}/`, options);
  }
}

class OrdersByUtf16 extends MemoryProvider {
  override async list(prefix: string, options?: ListOptions): Promise<StoredSnapshot> {
    const { revision, entries } = await super.list(prefix, options);
    return { revision, entries: entries.toSorted((a, b) => (a.key < b.key ? -1 : 1)) };
  }
}

class IgnoresChecks extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    return super.commit({ ...transaction, checks: [] }, options);
  }
}

class ChecksFirstKeyOnly extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    return super.commit({ ...transaction, checks: transaction.checks.slice(0, 1) }, options);
  }
}

/** Read, compare, write: right as long as nobody else does the same. */
class ChecksThenWrites extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    const { entries } = await this.read(transaction.checks.map((check) => check.key));
    await nextTurn();
    for (const check of transaction.checks) {
      if ((entries.find((entry) => entry.key === check.key)?.revision ?? null) !== check.revision) throw new ConflictError('moved');
    }
    return super.commit({ ...transaction, checks: [] }, options);
  }
}

/** One commit per operation. */
class AppliesOneByOne extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    let revision = await super.commit({ ...transaction, operations: transaction.operations.slice(0, 1) }, options);
    for (const operation of transaction.operations.slice(1))
      revision = await super.commit({ checks: [], operations: [operation] }, options);
    return revision;
  }
}

/** What Consul does without a flipped flag. */
class SkipsEqualPuts extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    const { entries } = await this.read(transaction.operations.map((operation) => operation.key));
    const operations = transaction.operations.filter((operation) => {
      const entry = entries.find(({ key }) => key === operation.key);
      return operation.type === 'delete' || !entry || Buffer.compare(entry.value, operation.value) !== 0;
    });
    return super.commit({ ...transaction, operations }, options);
  }
}

/** One key at a time, so that a commit may come in between. */
class TornReads extends MemoryProvider {
  override async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    const parts: StoredSnapshot[] = [];
    for (const key of keys) {
      parts.push(await super.read([key], options));
      await nextTurn();
    }
    return { ...(await super.read([], options)), entries: parts.flatMap((part) => part.entries) };
  }
}

class ListsThePresent extends MemoryProvider {
  override async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    const { at, ...rest } = options;
    const now = await super.list(prefix, rest);
    return at === undefined ? now : { ...now, revision: at };
  }
}

class StaleReads extends MemoryProvider {
  #last: StoredSnapshot | undefined;

  override async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    const shown = options.at === undefined ? this.#last : undefined;
    this.#last = await super.list(prefix, options);
    return shown ?? this.#last;
  }
}

/** An alias of its own state: what was handed out changes under the caller. */
class SharesItsState extends MemoryProvider {
  #shared: { revision: Revision; entries: StoredSnapshot['entries'] } | undefined;

  override async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    const now = await super.list(prefix, options);
    if (options.at !== undefined) return now;
    this.#shared ??= { ...now };
    return Object.assign(this.#shared, now);
  }

  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    const revision = await super.commit(transaction, options);
    if (this.#shared) Object.assign(this.#shared, await super.list('conformance/'));
    return revision;
  }
}

class MistakesEmptyForAbsent extends MemoryProvider {
  override async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    const { revision, entries } = await super.read(keys, options);
    return { revision, entries: entries.filter((entry) => entry.value.byteLength > 0) };
  }
}

class TakesTextForBytes extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    const operations = transaction.operations.map((operation) =>
      operation.type === 'put' ? { ...operation, value: new TextEncoder().encode(new TextDecoder().decode(operation.value)) } : operation,
    );
    return super.commit({ ...transaction, operations }, options);
  }
}

class NormalisesKeys extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    const operations = transaction.operations.map((operation) => ({ ...operation, key: operation.key.normalize('NFC') }));
    return super.commit({ ...transaction, operations }, options);
  }
}

class StoresAnySize extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    const { maxValueBytes } = this.capabilities;
    const operations = transaction.operations.map((operation) =>
      operation.type === 'put' ? { ...operation, value: operation.value.subarray(0, maxValueBytes) } : operation,
    );
    return super.commit({ ...transaction, operations }, options);
  }
}

class FailsWithoutACode extends MemoryProvider {
  override async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    try {
      return await super.commit(transaction, options);
    } catch (error) {
      throw new Error('the store said no', { cause: error });
    }
  }
}

class CommitsWhatWasAborted extends MemoryProvider {
  override async commit(transaction: Transaction, options: CallOptions = {}): Promise<Revision> {
    const revision = await super.commit(transaction);
    await nextTurn();
    options.signal?.throwIfAborted();
    return revision;
  }
}

class CloseForgetsItsWatches extends MemoryProvider {
  #closed = false;

  override async close(): Promise<void> {
    this.#closed = true;
  }

  override async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    if (this.#closed) throw new CompactedError('gone');
    return super.read(keys, options);
  }
}

/** A mistake, and a guarantee that the suite must find broken by it. */
export const BROKEN_PROVIDERS: readonly (readonly [name: string, create: () => MemoryProvider, broken: Guarantee])[] = [
  ['loses a batch', () => new LosesABatch(), 'Reliable'],
  ['repeats a batch', () => new RepeatsABatch(), 'Unique'],
  ['splits a revision', () => new SplitsARevision(), 'Atomic'],
  ['reorders batches', () => new Reorders(), 'Ordered'],
  ['coalesces batches', () => new Coalesces(), 'Reliable'],
  ['answers with progress too early', () => new ProgressTooEarly(), 'Bookmarkable'],
  ['never answers with progress', () => new NeverAnswersProgress(), 'Bookmarkable'],
  ['moves progress with its own prefix only', () => new ProgressOnlyOfItsPrefix(), 'Bookmarkable'],
  ['watches from the head, not from where it was asked to', () => new WatchesFromTheHead(), 'Resumable'],
  ['delivers the revision that was already seen', () => new DeliversAfterItself(), 'Reliable'],
  ['watches from now when asked for the future', () => new WatchesTheFutureFromNow(), 'Resumable'],
  ['hides a compaction', () => new HidesCompaction(), 'NoSilentLoss'],
  ['goes on after an abort', () => new IgnoresAbort(), 'CleanStop'],
  ['leaves a listener on the signal', () => new LeaksItsListener(), 'CleanStop'],
  ['takes a prefix for a folder in lists', () => new PrefixIsAFolder(), 'Reliable'],
  ['takes a prefix for a folder in watches', () => new WatchPrefixIsAFolder(), 'Reliable'],
  ['orders by UTF-16', () => new OrdersByUtf16(), 'ByteOrder'],
  ['ignores checks', () => new IgnoresChecks(), 'ConditionalWrite'],
  ['makes the first check only', () => new ChecksFirstKeyOnly(), 'ConditionalWrite'],
  ['checks, then writes', () => new ChecksThenWrites(), 'ConditionalWrite'],
  ['applies operations one by one', () => new AppliesOneByOne(), 'Atomic'],
  ['skips a put of an equal value', () => new SkipsEqualPuts(), 'Versioned'],
  ['reads keys one by one', () => new TornReads(), 'Atomic'],
  ['lists the present for the past', () => new ListsThePresent(), 'PastReads'],
  ['lists what was', () => new StaleReads(), 'ReadYourWrites'],
  ['changes what it handed out', () => new SharesItsState(), 'Immutable'],
  ['takes an empty value for none', () => new MistakesEmptyForAbsent(), 'ByteExact'],
  ['takes bytes for text', () => new TakesTextForBytes(), 'ByteExact'],
  ['normalises keys', () => new NormalisesKeys(), 'ByteExact'],
  ['cuts what is too large', () => new StoresAnySize(), 'Limits'],
  ['fails without a code', () => new FailsWithoutACode(), 'TypedErrors'],
  ['applies what it says was aborted', () => new CommitsWhatWasAborted(), 'TypedErrors'],
  ['leaves watches open at close', () => new CloseForgetsItsWatches(), 'CleanStop'],
];
