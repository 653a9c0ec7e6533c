import { watchLog } from '../../core/log-watch.ts';
import type { StoredBatch, StoreWatch, WatchOptions } from '../../core/provider.ts';
import type { Tracker } from './tracker.ts';

/** A watch of `prefix` over what `tracker` follows, which it keeps going from its first read or question to its end. */
export function watchTracker(tracker: Tracker, prefix: string, options: WatchOptions): StoreWatch {
  const { signal, after } = options;
  let release: (() => void) | undefined;
  let isOver = false;
  let watch: StoreWatch | undefined;
  const end = (): void => {
    isOver = true;
    release?.();
    signal.removeEventListener('abort', end);
  };
  const open = (): StoreWatch => {
    if (watch) return watch;
    watch = watchLog(tracker.log(prefix, after), tracker.changed, prefix, options);
    if (!isOver && !signal.aborted && !tracker.changed.failure) {
      release = tracker.acquire();
      signal.addEventListener('abort', end);
    }
    return watch;
  };
  const iterator: AsyncIterator<StoredBatch, void, undefined> = {
    next: async () => {
      try {
        const result = await open()[Symbol.asyncIterator]().next();
        if (result.done === true) end();
        return result.done === true ? { done: true, value: undefined } : result;
      } catch (error) {
        end();
        throw error;
      }
    },
    return: async () => {
      end();
      await open()[Symbol.asyncIterator]().return?.();
      return { done: true, value: undefined };
    },
  };
  return {
    requestProgress() {
      if (isOver || signal.aborted) return;
      const asked = open();
      void tracker.advance().then(() => asked.requestProgress());
    },
    [Symbol.asyncIterator]: () => iterator,
  };
}
