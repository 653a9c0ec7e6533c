import type { Clock } from '../clock.ts';

/**
 * A clock by which time stands still: what takes no time happens at once, what would take longer never comes. No timer of the runtime is
 * used, so that tests may fake theirs, and none is left behind.
 */
export const stillClock: Clock = Object.freeze({
  now: () => Date.now(),
  after: (delayMs: number, callback: () => void) => {
    let isCancelled = delayMs > 0;
    queueMicrotask(() => {
      if (!isCancelled) callback();
    });
    return () => {
      isCancelled = true;
    };
  },
});
