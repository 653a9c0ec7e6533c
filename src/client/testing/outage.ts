import { isAnswerable } from './problem-answer.ts';

/** Whether the service can be reached, and what becomes of requests while it cannot. */
export class Outage {
  #now: { readonly cause: unknown } | undefined;
  /** Who waits for its end. */
  readonly #held = new Set<() => void>();

  begin(cause: unknown): void {
    this.#now = { cause };
  }

  end(): void {
    this.#now = undefined;
    for (const release of [...this.#held]) release();
  }

  /** Fails as a request does while it lasts: as the network, or with what a server answers. */
  check(): void {
    if (!this.#now) return;
    const { cause } = this.#now;
    throw isAnswerable(cause) ? cause : new TypeError('fetch failed', { cause });
  }

  /**
   * Resolves when there is none: a stream is asked for in vain as of a host that does not answer, so that it comes back without a clock. One
   * that a server refuses is let through to be refused, unless it `isPatient`.
   * @throws the reason of `signal`.
   */
  async over(signal: AbortSignal | undefined, isPatient: boolean): Promise<void> {
    while (this.#now && (isPatient || !isAnswerable(this.#now.cause))) await this.#end(signal);
  }

  #end(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => (): void => {
        this.#held.delete(release);
        signal?.removeEventListener('abort', abort);
        then();
      };
      const release = settle(resolve);
      const abort = settle(() => reject(signal?.reason as Error));
      this.#held.add(release);
      signal?.addEventListener('abort', abort);
    });
  }
}
