import assert from 'node:assert/strict';
import type { Revision, StoredBatch, StoreWatch } from '../core/provider.ts';
import { within } from './within.ts';

/**
 * Reads one watch, holding it to what is true of every watch at every moment: revisions grow, nothing comes at or below a progress,
 * entries belong to their batch and to the prefix. Progress that nobody asked for is allowed.
 */
export class WatchReader {
  readonly watch: StoreWatch;
  readonly #iterator: AsyncIterator<StoredBatch>;
  readonly #controller: AbortController;
  readonly #prefix: string;
  readonly #exact: boolean;
  readonly #timeoutMs: number;
  #position: Revision;

  constructor(
    watch: StoreWatch,
    options: { controller: AbortController; prefix: string; after: Revision; exact: boolean; timeoutMs: number },
  ) {
    this.watch = watch;
    this.#iterator = watch[Symbol.asyncIterator]();
    this.#controller = options.controller;
    this.#prefix = options.prefix;
    this.#exact = options.exact;
    this.#timeoutMs = options.timeoutMs;
    this.#position = options.after;
  }

  /** The last revision received: where a watch that follows this one begins. */
  get position(): Revision {
    return this.#position;
  }

  /** The next batch or progress; undefined at the end. */
  async next(): Promise<StoredBatch | undefined> {
    const result = await within(this.#timeoutMs, `a batch after revision ${this.#position} under '${this.#prefix}'`, this.#iterator.next());
    if (result.done === true) return undefined;
    this.#judge(result.value);
    return result.value;
  }

  /** The next batch with changes. */
  async nextBatch(): Promise<StoredBatch> {
    for (;;) {
      const batch = await this.next();
      assert.ok(batch, `Reliable: the watch ended after revision ${this.#position}, more was to come`);
      if (batch.changes.length > 0) return batch;
    }
  }

  /** Asks for progress and reads up to it; what came before it, and its revision. */
  async progress(): Promise<{ readonly batches: readonly StoredBatch[]; readonly revision: Revision }> {
    this.watch.requestProgress();
    const batches: StoredBatch[] = [];
    for (;;) {
      const batch = await this.next();
      assert.ok(batch, 'Bookmarkable: the watch ended instead of answering with progress');
      if (batch.changes.length === 0) return { batches, revision: batch.revision };
      batches.push(batch);
    }
  }

  /** Every batch with changes up to one whose revision is at least `revision`. */
  async until(revision: Revision): Promise<StoredBatch[]> {
    const batches: StoredBatch[] = [];
    while (this.#position < revision) {
      const batch = await this.next();
      assert.ok(batch, `Reliable: the watch ended at revision ${this.#position}, before ${revision}`);
      if (batch.changes.length > 0) batches.push(batch);
    }
    return batches;
  }

  /** Ends the watch by its signal and proves that it ends. */
  async abort(): Promise<void> {
    this.#controller.abort();
    const result = await within(this.#timeoutMs, 'the end of an aborted watch', this.#iterator.next());
    assert.equal(result.done, true, 'CleanStop: an aborted watch delivers nothing more');
  }

  /** As {@link abort}, without a verdict: for the end of a case. */
  async release(): Promise<void> {
    this.#controller.abort();
    await Promise.resolve(this.#iterator.return?.()).catch(() => {});
  }

  #judge(batch: StoredBatch): void {
    const { revision, changes } = batch;
    if (changes.length === 0) assert.ok(revision >= this.#position, `Bookmarkable: progress ${revision} after revision ${this.#position}`);
    else assert.ok(revision > this.#position, `Ordered, Unique: revision ${revision} after revision ${this.#position}`);
    const keys = new Set<string>();
    for (const change of changes) {
      const key = change.type === 'put' ? change.entry.key : change.key;
      const changed = change.type === 'put' ? change.entry.revision : change.revision;
      assert.ok(key.startsWith(this.#prefix), `Reliable: '${key}' is not under '${this.#prefix}'`);
      if (this.#exact) {
        assert.equal(changed, revision, `Atomic: '${key}' changed at ${changed} comes in the batch of ${revision}`);
        assert.ok(!keys.has(key), `Unique: '${key}' stands twice in the batch of ${revision}`);
        assert.notEqual(batch.gap, true, 'Reliable: a store with full history leaves no gap');
      } else assert.ok(changed > this.#position && changed <= revision, `Unique: '${key}' at ${changed} in the batch of ${revision}`);
      keys.add(key);
    }
    this.#position = revision;
  }
}
