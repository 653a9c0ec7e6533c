import type { Clock } from './clock.ts';

/** A signal of our own that follows the caller's, and may have a deadline. */
export interface AbortLink {
  readonly signal: AbortSignal;
  /** True if our own deadline, not the caller, ended it. */
  readonly expired: boolean;
  abort(reason?: unknown): void;
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
