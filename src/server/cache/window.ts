import type { Revision } from '../../core/revision.ts';
import type { AppliedBatch } from './mirror.ts';

/** A batch as the window keeps it, with what the owner derived from it while the mirror still knew the state before. */
export interface WindowBatch<Derived> extends AppliedBatch {
  readonly derived: Derived;
}

export interface WindowLimits {
  /** Kept at least this long, however many there are (within `maxBytes`). Milliseconds, default 75,000. */
  readonly minAgeMs: number;
  /** Kept at least this many, however old. Default 2,048. */
  readonly minBatches: number;
  /** Never more than this. Bytes of keys and values, default 64 MiB. */
  readonly maxBytes: number;
}

export const DEFAULT_WINDOW: WindowLimits = Object.freeze({ minAgeMs: 75_000, minBatches: 2_048, maxBytes: 64 * 1024 * 1024 });

interface Slot<Derived> {
  readonly batch: WindowBatch<Derived>;
  readonly bytes: number;
  readonly at: number;
}

/** The batches a node keeps, and so how far back it can replay. */
export class Window<Derived> {
  readonly #limits: WindowLimits;
  readonly #now: () => number;
  #slots: (Slot<Derived> | undefined)[] = [];
  /** Slots before this index are evicted and empty; the array is cut when half of it is. */
  #first = 0;
  #bytes = 0;
  #oldest: Revision;

  constructor(start: Revision, limits: WindowLimits = DEFAULT_WINDOW, now: () => number = Date.now) {
    this.#oldest = start;
    this.#limits = limits;
    this.#now = now;
  }

  /** The oldest position that can be resumed from: everything after it is here. */
  get oldest(): Revision {
    return this.#oldest;
  }

  get size(): number {
    return this.#slots.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(batch: WindowBatch<Derived>): void {
    const bytes = weigh(batch);
    this.#slots.push({ batch, bytes, at: this.#now() });
    this.#bytes += bytes;
    this.#evict();
  }

  /** The first batch after `position`; undefined if there is none. The caller has compared `position` with `oldest`. */
  next(position: Revision): WindowBatch<Derived> | undefined {
    let low = this.#first;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const slot = this.#slots[middle];
      if (slot && slot.batch.revision <= position) low = middle + 1;
      else high = middle;
    }
    return this.#slots[low]?.batch;
  }

  /** True if what came after `position` is here: it is not too old and does not lie within a relist. */
  holds(position: Revision): boolean {
    const relistedAfter = this.next(position)?.relistedAfter;
    return position >= this.#oldest && (relistedAfter === undefined || position <= relistedAfter);
  }

  /** Forgets everything: the history starts anew at `start`. */
  restart(start: Revision): void {
    this.#slots = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#oldest = start;
  }

  #evict(): void {
    const expired = this.#now() - this.#limits.minAgeMs;
    for (let slot = this.#slots[this.#first]; slot; slot = this.#slots[this.#first]) {
      const surplus = this.size > this.#limits.minBatches && slot.at < expired;
      if (!surplus && this.#bytes <= this.#limits.maxBytes) break;
      this.#bytes -= slot.bytes;
      this.#oldest = slot.batch.revision;
      // What is evicted is let go of at once, not when the array is cut: a thousand batches may be half a gigabyte.
      this.#slots[this.#first++] = undefined;
    }
    if (this.#first > 1_024 && this.#first * 2 > this.#slots.length) {
      this.#slots = this.#slots.slice(this.#first);
      this.#first = 0;
    }
  }
}

/** Bytes a batch keeps alive: keys, values before and after, and the objects around them. */
function weigh(batch: AppliedBatch): number {
  let bytes = 200;
  for (const { key, before, after } of batch.changes) {
    bytes += 300 + 2 * key.length + (before?.value.byteLength ?? 0) + (after?.value.byteLength ?? 0);
  }
  return bytes;
}
