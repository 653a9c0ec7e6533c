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
  readonly #watchers: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#now + delayMs, delayMs, callback };
    this.#timers.add(timer);
    for (const watcher of this.#watchers.splice(0)) watcher();
    return () => void this.#timers.delete(timer);
  }

  /** Delays of the timers that are set. */
  get pending(): readonly number[] {
    return [...this.#timers].map(({ delayMs }) => delayMs);
  }

  /** Resolves once a timer of this delay is set. */
  async armed(delayMs: number): Promise<void> {
    while (!this.pending.includes(delayMs)) await new Promise<void>((resolve) => this.#watchers.push(resolve));
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
