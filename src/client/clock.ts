/** Time as a parameter: {@link systemClock} in use, a fake in tests. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `callback` once after `delayMs`, unless the function it returns is called first. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  after: (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
});
