/** Something that is done in one go, when it is its turn. */
export interface Turn {
  takeTurn(): void;
}

/** Nothing else runs for so long, and for the turn that was begun last. */
export const BURST_MS = 2;

/** Fewer empty places are not worth a cut. */
const MIN_CUT = 2_048;

/**
 * Much small work, such as a change for ten thousand streams, in bursts: what fits into {@link BURST_MS} is done at once, the rest in later
 * rounds of the event loop, in the order of asking, so that requests and sockets get theirs in between.
 */
export class Turns {
  readonly #onError: (error: unknown) => void;
  readonly #now: () => number;
  #waiting: (Turn | undefined)[] = [];
  /** Of the waiting, those before this index had their turn. */
  #next = 0;
  #isRunning = false;
  #endsAt = 0;
  #round: NodeJS.Immediate | undefined;

  /** `onError` hears what a turn throws, which harms no other. `now`: milliseconds, for tests. */
  constructor(onError: (error: unknown) => void = () => undefined, now: () => number = () => performance.now()) {
    this.#onError = onError;
    this.#now = now;
  }

  /** Gives `turn` its turn: now if nobody waits and there is time, else as soon as there is. */
  request(turn: Turn): void {
    this.#waiting.push(turn);
    if (this.#round) this.#run();
    else this.#begin();
  }

  #begin(): void {
    this.#endsAt = this.#now() + BURST_MS;
    this.#round = setImmediate(() => {
      this.#round = undefined;
      if (this.#waiting.length > 0) this.#begin();
    });
    this.#run();
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#next < this.#waiting.length && this.#now() < this.#endsAt) {
      try {
        const turn = this.#waiting[this.#next];
        // What had its turn is let go of at once: under load somebody always waits.
        this.#waiting[this.#next++] = undefined;
        turn?.takeTurn();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#isRunning = false;
    if (this.#next === this.#waiting.length || this.#next * 2 > Math.max(this.#waiting.length, MIN_CUT)) {
      this.#waiting = this.#waiting.slice(this.#next);
      this.#next = 0;
    }
  }
}
