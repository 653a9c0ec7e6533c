/** A place is given on after so long, whoever has it: one that is slow must not keep the others waiting. */
const HELD_AT_MOST_MS = 5_000;

/** A limited number of places for work that takes long: who finds none waits, first come first served. */
export class Places {
  readonly #limit: number;
  readonly #heldAtMostMs: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  /** `heldAtMostMs`: default {@link HELD_AT_MOST_MS}. */
  constructor(limit: number, heldAtMostMs = HELD_AT_MOST_MS) {
    this.#limit = limit;
    this.#heldAtMostMs = heldAtMostMs;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls `onPlace` when there is a place: at once, or later. Returns what gives it back, or gives up waiting; idempotent. */
  request(onPlace: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    const take = (): void => {
      this.#taken++;
      timer = setTimeout(release, this.#heldAtMostMs);
      timer.unref();
      onPlace();
    };
    const release = (): void => {
      this.#waiting.delete(take);
      if (!timer) return;
      clearTimeout(timer);
      timer = undefined;
      this.#taken--;
      this.#giveOn();
    };
    this.#waiting.add(take);
    this.#giveOn();
    return release;
  }

  #giveOn(): void {
    for (const take of this.#waiting) {
      if (this.#taken >= this.#limit) return;
      this.#waiting.delete(take);
      take();
    }
  }
}
