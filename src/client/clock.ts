/** Time as a parameter: {@link systemClock} in use, a fake in tests. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `callback` once after `delayMs`, unless the function it returns is called first. */
  after(delayMs: number, callback: () => void): () => void;
}

/** 24 days: what timers can. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  after: (delayMs: number, callback: () => void) => {
    // A longer one would ring at once.
    const timer = setTimeout(callback, Math.min(delayMs, MAX_DELAY_MS));
    return () => clearTimeout(timer);
  },
});

/** Resolves after `delayMs`. @throws the reason of `signal`, at once, if it aborts. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      cancel();
      signal.removeEventListener('abort', onAbort);
      then();
    };
    const onAbort = (): void => settle(() => reject(signal.reason as Error));
    const cancel = clock.after(delayMs, () => settle(resolve));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
