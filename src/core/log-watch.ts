import { CompactedError, type Revision, type StoredBatch, type StoreWatch, type WatchOptions } from './provider.ts';

/** The history of a store that lives in this process, as a watch reads it. */
export interface ChangeLog {
  head(): Revision;
  /** The oldest `after` that can be served. */
  oldest(): Revision;
  /**
   * The next batches after `after` that touch `prefix`, oldest first, and the revision up to which the log was read: `head()`, or less if
   * the answer was cut to a bounded size.
   */
  read(prefix: string, after: Revision): { readonly batches: readonly StoredBatch[]; readonly upTo: Revision };
}

/**
 * Wakes the watches of one store. `close` ends them with the error given.
 */
export class ChangeSignal {
  readonly #waiting = new Set<() => void>();
  #failure: Error | undefined;

  get failure(): Error | undefined {
    return this.#failure;
  }

  wake(): void {
    for (const resume of [...this.#waiting]) resume();
  }

  close(failure: Error): void {
    this.#failure ??= failure;
    this.wake();
  }

  /** Registers `resume` until the returned function is called. */
  subscribe(resume: () => void): () => void {
    this.#waiting.add(resume);
    return () => this.#waiting.delete(resume);
  }
}

/**
 * A watch over a log in this process: it holds a position and pulls, so that a slow consumer costs no memory and nothing can be
 * missed between reading the log and waiting for more.
 */
export function watchLog(log: ChangeLog, changed: ChangeSignal, prefix: string, options: WatchOptions): StoreWatch {
  const { signal } = options;
  let position = options.after;
  let progressWanted = false;
  let resume: (() => void) | undefined;
  const wake = (): void => resume?.();

  async function* run(): AsyncGenerator<StoredBatch, void, undefined> {
    const unsubscribe = changed.subscribe(wake);
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        if (changed.failure) throw changed.failure;
        if (position < log.oldest()) {
          throw new CompactedError(`cannot watch after revision ${position}: the oldest kept is ${log.oldest()}; list again`, {
            details: { oldest: log.oldest() },
          });
        }
        if (position < log.head()) {
          const { batches, upTo } = log.read(prefix, position);
          for (const batch of batches) {
            position = batch.revision;
            yield batch;
            if (signal.aborted) return;
          }
          if (upTo > position) position = upTo;
          continue;
        }
        if (progressWanted && position === log.head()) {
          progressWanted = false;
          yield { revision: position, changes: [] };
          continue;
        }
        await new Promise<void>((resolve) => {
          resume = resolve;
        });
        resume = undefined;
      }
    } finally {
      unsubscribe();
      signal.removeEventListener('abort', wake);
    }
  }

  const iterator = run();
  return {
    requestProgress() {
      progressWanted = true;
      wake();
    },
    [Symbol.asyncIterator]: () => iterator,
  };
}
