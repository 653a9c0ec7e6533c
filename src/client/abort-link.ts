import type { Clock } from './clock.ts';

/** A signal of our own that follows the caller's, and may have a deadline. */
export interface AbortLink {
  readonly signal: AbortSignal;
  /** True if our own deadline, not the caller, ended it. */
  readonly expired: boolean;
  abort(reason?: unknown): void;
  /** What `promise` gives, unless the signal aborts first: what it waits for may know nothing of signals. @throws the signal's reason. */
  race<T>(promise: Promise<T>): Promise<T>;
  /** Starts the deadline, or starts it again. */
  expireAfter(delayMs: number): void;
  /** Stops the deadline. */
  expireNever(): void;
  /** Lets go of the caller's signal and of the timer. Must be called. */
  release(): void;
}

/** Linked by hand: `AbortSignal.any` over a long-lived signal leaks on Node 20. */
export function linkAbort(outer: AbortSignal | undefined, clock: Clock): AbortLink {
  const controller = new AbortController();
  let cancelTimer: (() => void) | undefined;
  let expired = false;
  const follow = (): void => controller.abort(outer?.reason);
  if (outer?.aborted) follow();
  else outer?.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    abort: (reason) => controller.abort(reason),
    race: (promise) =>
      new Promise((resolve, reject) => {
        const { signal } = controller;
        const onAbort = (): void => reject(signal.reason as Error);
        const settle = (): void => signal.removeEventListener('abort', onAbort);
        signal.addEventListener('abort', onAbort);
        if (signal.aborted) onAbort();
        promise.then(resolve, reject).then(settle, settle);
      }),
    expireAfter: (delayMs) => {
      cancelTimer?.();
      cancelTimer = clock.after(delayMs, () => {
        expired = !controller.signal.aborted;
        controller.abort();
      });
    },
    expireNever: () => cancelTimer?.(),
    release: () => {
      cancelTimer?.();
      outer?.removeEventListener('abort', follow);
    },
  };
}
