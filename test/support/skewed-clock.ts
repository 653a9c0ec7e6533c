import type { Clock } from '../../src/client/clock.ts';

interface Timer {
  readonly dueAt: number;
  readonly callback: () => void;
  readonly handle: NodeJS.Timeout;
}

/** Real time, of which any amount can pass at once: what is due by then is called, oldest first. */
export class SkewedClock implements Clock {
  #skewMs = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return Date.now() + this.#skewMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueAt: this.now() + delayMs, callback, handle: setTimeout(() => this.#fire(timer), delayMs) };
    this.#timers.add(timer);
    return () => this.#forget(timer);
  }

  /** Timers that are set and have neither fired nor been taken back. */
  get timers(): number {
    return this.#timers.size;
  }

  pass(durationMs: number): void {
    this.#skewMs += durationMs;
    const due = [...this.#timers].filter(({ dueAt }) => dueAt <= this.now()).sort((a, b) => a.dueAt - b.dueAt);
    for (const timer of due) this.#fire(timer);
  }

  #fire(timer: Timer): void {
    // One that another has taken back meanwhile stays silent.
    if (!this.#timers.has(timer)) return;
    this.#forget(timer);
    timer.callback();
  }

  #forget(timer: Timer): void {
    clearTimeout(timer.handle);
    this.#timers.delete(timer);
  }
}
