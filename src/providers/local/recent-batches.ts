import type { Revision, StoredBatch } from '../../core/provider.ts';
import { batchBytes, batchUnder } from './batch.ts';

export interface RecentBatchesOptions {
  /** Batches kept. Default 2,048. */
  readonly maxBatches?: number;
  /** Bytes of keys and values kept. Default 16 MiB. */
  readonly maxBytes?: number;
}

/** Batches looked at in one read. */
const READ_BATCHES = 512;

/**
 * The newest batches of a store that numbers its commits without gaps, so that a watch that keeps up never asks the disk. Bounded: the
 * oldest are forgotten first.
 */
export class RecentBatches {
  readonly #maxBatches: number;
  readonly #maxBytes: number;
  #kept: { readonly batch: StoredBatch; readonly bytes: number }[] = [];
  /** The batch after `oldest` is at this index; those before it are forgotten and wait for the array to be cut. */
  #first = 0;
  #bytes = 0;
  #oldest: Revision;

  /** `head` is the revision before the first batch to come. */
  constructor(head: Revision, options: RecentBatchesOptions = {}) {
    this.#oldest = head;
    this.#maxBatches = options.maxBatches ?? 2_048;
    this.#maxBytes = options.maxBytes ?? 16 * 1024 * 1024;
  }

  /** The oldest `after` that can be read from here. */
  get oldest(): Revision {
    return this.#oldest;
  }

  push(batch: StoredBatch): void {
    const bytes = batchBytes(batch);
    this.#kept.push({ batch, bytes });
    this.#bytes += bytes;
    while (this.#kept.length - this.#first > this.#maxBatches || this.#bytes > this.#maxBytes) this.#forgetOldest();
    if (this.#first > this.#maxBatches) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
  }

  /** As {@link ChangeLog.read}; `after` is at least `oldest`. */
  read(prefix: string, after: Revision): { readonly batches: readonly StoredBatch[]; readonly upTo: Revision } {
    const from = this.#first + (after - this.#oldest);
    const read = this.#kept.slice(from, from + READ_BATCHES);
    return { batches: read.flatMap(({ batch }) => batchUnder(batch, prefix) ?? []), upTo: (after + read.length) as Revision };
  }

  #forgetOldest(): void {
    const oldest = this.#kept[this.#first];
    if (!oldest) return;
    this.#bytes -= oldest.bytes;
    this.#oldest = oldest.batch.revision;
    this.#first++;
  }
}
