/** Wakes the watches of one store. `close` ends them with the error given. */
export class ChangeSignal {
  readonly #waiting = new Set<() => void>();
  #failure: Error | undefined;

  get failure(): Error | undefined {
    return this.#failure;
  }

  wake(): void {
    for (const resume of [...this.#waiting]) resume();
  }

  close(failure: Error): void {
    this.#failure ??= failure;
    this.wake();
  }

  /** Registers `resume` until the returned function is called. */
  subscribe(resume: () => void): () => void {
    this.#waiting.add(resume);
    return () => this.#waiting.delete(resume);
  }
}
