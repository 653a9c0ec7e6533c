import type { ResetReason } from '../../core/item.ts';
import type { Filter } from '../cache/fan-out.ts';
import type { ConfigBatch, ConfigService } from '../config-service.ts';
import { Admission } from './admission.ts';
import type { Departure } from './departure.ts';
import { Turns } from '../turns.ts';

export interface PollOptions<Answer> {
  readonly filter: Filter;
  readonly waitMs: number;
  readonly departure: Departure;
  /** Who waits: the address it comes from. */
  readonly client: string;
  /** Looks at the state: at once, after every batch that matches, and once more at the end; undefined goes on waiting. May throw. */
  readonly evaluate: (batch: ConfigBatch | undefined) => Answer | undefined;
  /** The history was replaced: settles the poll. May throw. */
  readonly onReset: (reason: ResetReason) => Answer | undefined;
}

export interface LongPollsOptions {
  readonly service: ConfigService;
  readonly random?: (() => number) | undefined;
  /** Shared with whatever else is told of every change. Default: their own. */
  readonly turns?: Turns;
  /** Default: one with the default limits. */
  readonly admission?: Admission;
}

/** The polls that are held on one node. */
export class LongPolls {
  readonly #service: ConfigService;
  readonly #release = new Set<() => void>();
  readonly #random: () => number;
  readonly #turns: Turns;
  readonly #admission: Admission;
  #isReleased = false;

  constructor({ service, random = Math.random, turns = new Turns(), admission = new Admission() }: LongPollsOptions) {
    this.#service = service;
    this.#random = random;
    this.#turns = turns;
    this.#admission = admission;
  }

  get size(): number {
    return this.#release.size;
  }

  /**
   * Waits until `evaluate` gives an answer; undefined at the end of the time, on {@link releaseAll} and when the client is gone. The waiter
   * is registered before the state is compared, so that nothing falls in between.
   * @throws {AttuneError} UNAVAILABLE, RATE_LIMITED: it would have to be held, and too many are.
   */
  async wait<Answer>(options: PollOptions<Answer>): Promise<Answer | undefined> {
    const { filter, waitMs, departure, client, evaluate, onReset } = options;
    let leave: () => void = () => undefined;
    return new Promise<Answer | undefined>((resolve, reject) => {
      let isSettled = false;
      const finish = (settle: () => void): void => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        departure.onGone = undefined;
        this.#release.delete(expire);
        unsubscribe();
        leave();
        settle();
      };
      const release = (): void => finish(() => resolve(undefined));
      const attempt = (look: () => Answer | undefined, isLast: boolean): void => {
        try {
          const answer = look();
          if (answer !== undefined || isLast) finish(() => resolve(answer));
        } catch (error) {
          finish(() => reject(error instanceof Error ? error : new Error(String(error))));
        }
      };
      const untold: ConfigBatch[] = [];
      const takeTurn = (): void => {
        for (let batch = untold.shift(); batch && !isSettled; batch = untold.shift()) attempt(() => evaluate(batch), false);
      };
      const unsubscribe = this.#service.subscribe(filter, {
        onBatch: (batch) => {
          if (untold.push(batch) === 1) this.#turns.request({ takeTurn });
        },
        onReset: (reason) => {
          if (!isSettled) attempt(() => onReset(reason), true);
        },
      });
      const expire = (): void => {
        // What has come is not to be missed because others had their turn first.
        takeTurn();
        if (!isSettled) attempt(() => evaluate(undefined), true);
      };
      this.#release.add(expire);
      const timer = setTimeout(expire, shorten(waitMs, this.#random));
      attempt(() => evaluate(undefined), waitMs === 0 || departure.isGone || this.#isReleased);
      if (isSettled) return;
      attempt(() => {
        leave = this.#admission.enter('poll', client);
        return undefined;
      }, false);
      if (!isSettled) departure.onGone = release;
    });
  }

  /** Ends every poll as if its time were over; later ones are not held. */
  releaseAll(): void {
    this.#isReleased = true;
    for (const release of [...this.#release]) release();
  }
}

/** A little less than asked for, so that the client's own timer does not fire first; spread, so that polls begun together end apart. */
function shorten(waitMs: number, random: () => number): number {
  return Math.max(0, waitMs - 20 - random() * Math.min(waitMs / 16, 500));
}
