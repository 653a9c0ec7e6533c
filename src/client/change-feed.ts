/** What a feed needs to know of a change; it passes the rest on. */
export interface FeedChange {
  readonly type: 'created' | 'updated' | 'deleted';
  readonly key: string;
  readonly oldValue: unknown;
  readonly newValue: unknown;
  readonly gap?: true;
}

/** Changes a reader may be behind before they are merged. */
export const FEED_LIMIT = 10_000;

/**
 * Changes on their way to one reader. It sees each, in order, as long as it is at most `limit` behind; beyond that changes of the same key
 * are merged (marked `gap: true`), so that memory is bounded by the number of keys and the last value is never lost. What was created
 * and deleted meanwhile is not told.
 */
export class ChangeFeed<C extends FeedChange> implements AsyncIterableIterator<C, undefined> {
  #queue: C[] = [];
  #merged: Map<string, C> | undefined;
  #isEnded = false;
  readonly #readers: ((result: IteratorResult<C, undefined>) => void)[] = [];
  readonly #limit: number;
  readonly #onEnd: () => void;

  /** `onEnd` is called whenever it is ended, by whomever. */
  constructor(onEnd: () => void, limit = FEED_LIMIT) {
    this.#onEnd = onEnd;
    this.#limit = limit;
  }

  push(change: C): void {
    if (this.#isEnded) return;
    const reader = this.#readers.shift();
    if (reader) reader({ done: false, value: change });
    else if (this.#merged) mergeInto(this.#merged, change);
    else if (this.#queue.length < this.#limit) this.#queue.push(change);
    else {
      this.#merged = new Map();
      for (const waiting of [...this.#queue.splice(0), change]) mergeInto(this.#merged, waiting);
    }
  }

  /** Ends the loop over this feed; what waits is still delivered, unless `discard`. */
  end(discard = false): void {
    this.#isEnded = true;
    this.#onEnd();
    if (discard) {
      this.#queue = [];
      this.#merged = undefined;
    }
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<C, undefined>> {
    const change = this.#take();
    if (change !== undefined) return Promise.resolve({ done: false, value: change });
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  return(): Promise<IteratorResult<C, undefined>> {
    this.end(true);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): C | undefined {
    if (!this.#merged) return this.#queue.shift();
    for (const [key, change] of this.#merged) {
      this.#merged.delete(key);
      if (this.#merged.size === 0) this.#merged = undefined;
      return change;
    }
    this.#merged = undefined;
    return undefined;
  }
}

function mergeInto<C extends FeedChange>(merged: Map<string, C>, change: C): void {
  const before = merged.get(change.key);
  // Set anew, so that the order is that of the last changes.
  merged.delete(change.key);
  if (!before) merged.set(change.key, change);
  else if (before.type !== 'created') {
    const type = change.type === 'deleted' ? 'deleted' : 'updated';
    merged.set(change.key, { ...change, type, oldValue: before.oldValue, gap: true });
  } else if (change.type !== 'deleted') merged.set(change.key, { ...change, type: 'created', oldValue: null, gap: true });
}
