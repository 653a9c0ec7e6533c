import type { Clock } from '../../../src/client/clock.ts';

interface Timer {
  readonly at: number;
  readonly delayMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  #now = Date.parse('2026-01-01T00:00:00Z');
  readonly #timers = new Set<Timer>();
  readonly #watchers = new Set<(delayMs: number) => void>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#now + delayMs, delayMs, callback };
    this.#timers.add(timer);
    for (const watcher of [...this.#watchers]) watcher(delayMs);
    return () => void this.#timers.delete(timer);
  }

  /** Delays of the timers that are set. */
  get pending(): readonly number[] {
    return [...this.#timers].map(({ delayMs }) => delayMs);
  }

  /** Milliseconds until the next timer is due. */
  get nextIn(): number {
    return Math.min(...[...this.#timers].map(({ at }) => at - this.#now));
  }

  /** Resolves when the next timer of this delay is set. */
  next(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const watcher = (delay: number): void => {
        if (delay !== delayMs) return;
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
    });
  }

  advance(byMs: number): void {
    const until = this.#now + byMs;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.callback();
    }
    this.#now = until;
  }
}
