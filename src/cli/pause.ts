import { setTimeout as delay } from 'node:timers/promises';

/** How to wait: {@link pause} in use, at once in tests. */
export type Pause = (delayMs: number, signal: AbortSignal) => Promise<void>;

/** Waits. Rejects with the reason of `signal`, not with an AbortError that hides it. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await delay(delayMs, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}
