import type { Clock } from '../clock.ts';

/** The system's time, with timers that keep no process alive. */
export const unrefClock: Clock = Object.freeze({
  now: () => Date.now(),
  after: (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
});
