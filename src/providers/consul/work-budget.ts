import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds of work per millisecond. */
const RATE = 0.3;
const BURST_MS = 300;

/**
 * A token bucket of time: whoever works pays what it cost and waits for it before the next time. A small prefix is read as often as it
 * changes; one that is dear to read is read less often, and changes come together.
 */
export class WorkBudget {
  readonly #now: () => number;
  #tokens = BURST_MS;
  #at: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#at = now();
  }

  spend(workMs: number): void {
    this.#refill();
    this.#tokens -= workMs;
  }

  /** Milliseconds until there is something to spend. */
  get waitMs(): number {
    this.#refill();
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens / RATE);
  }

  async ready(signal: AbortSignal): Promise<void> {
    const { waitMs } = this;
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
  }

  #refill(): void {
    const now = this.#now();
    this.#tokens = Math.min(BURST_MS, this.#tokens + (now - this.#at) * RATE);
    this.#at = now;
  }
}
