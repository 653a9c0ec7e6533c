import type { Clock } from './clock.ts';

/** Lets a write wait until the stream has told of it. */
export class Echo {
  readonly #clock: Clock;
  readonly #checks = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True as soon as `condition` holds, false after `timeoutMs`. It is asked now and at every {@link tick}. */
  until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (result: boolean): void => {
        cancelTimer();
        this.#checks.delete(check);
        resolve(result);
      };
      const check = (): void => {
        if (condition()) settle(true);
      };
      const cancelTimer = this.#clock.after(timeoutMs, () => settle(false));
      this.#checks.add(check);
    });
  }

  tick(): void {
    for (const check of [...this.#checks]) check();
  }
}
