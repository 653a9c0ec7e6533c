import { CompactedError, type Revision, type StoredBatch, type StoreWatch, type WatchOptions } from './provider.ts';
import type { ChangeSignal } from './change-signal.ts';

/** A history held in this process, as a watch reads it. */
export interface ChangeLog {
  head(): Revision;
  /** The oldest `after` that can be served. */
  oldest(): Revision;
  /**
   * The next batches after `after` that touch `prefix`, oldest first, and the revision up to which the log was read: `head()`, or less if
   * the answer was cut to a bounded size.
   */
  read(prefix: string, after: Revision): { readonly batches: readonly StoredBatch[]; readonly upTo: Revision };
  /** Lets others have their turn between the short reads of a long way to catch up. */
  nextTurn(): Promise<void>;
}

/**
 * A watch over a log in this process: it holds a position and pulls, so that a slow consumer costs no memory and nothing can be
 * missed between reading the log and waiting for more.
 */
export function watchLog(log: ChangeLog, changed: ChangeSignal, prefix: string, options: WatchOptions): StoreWatch {
  const { signal } = options;
  let position = options.after;
  let progressWanted = false;
  let returned = false;
  let resume: (() => void) | undefined;
  const wake = (): void => resume?.();
  const isOver = (): boolean => {
    if (returned || signal.aborted) return true;
    if (changed.failure) throw changed.failure;
    return false;
  };

  async function* run(): AsyncGenerator<StoredBatch, void, undefined> {
    const unsubscribe = changed.subscribe(wake);
    signal.addEventListener('abort', wake);
    try {
      while (!isOver()) {
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
            if (isOver()) return;
          }
          if (upTo > position) position = upTo;
          if (position < log.head()) await log.nextTurn();
        } else if (progressWanted && position === log.head()) {
          progressWanted = false;
          yield { revision: position, changes: [] };
        } else {
          await new Promise<void>((resolve) => {
            resume = resolve;
          });
          resume = undefined;
        }
      }
    } finally {
      unsubscribe();
      signal.removeEventListener('abort', wake);
    }
  }

  const batches = run();
  const iterator: AsyncIterator<StoredBatch, void, undefined> = {
    next: async () => batches.next(),
    // A generator's own `return` waits for the read under way, which may wait for ever.
    return: async () => {
      returned = true;
      wake();
      return batches.return();
    },
  };
  return {
    requestProgress() {
      progressWanted = true;
      wake();
    },
    [Symbol.asyncIterator]: () => iterator,
  };
}
