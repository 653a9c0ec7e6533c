import { setTimeout as sleep } from 'node:timers/promises';
import { isAttuneError, type ConfigProvider, type Operation, type Revision } from '../../src/core/provider.ts';

export interface WriterOptions {
  readonly provider: ConfigProvider;
  readonly perSecond: number;
  /** The operations of the `index`-th write. */
  readonly write: (index: number) => readonly Operation[];
}

const TICK_MS = 10;
const MOST_IN_FLIGHT = 256;

/** Writes at a steady rate until it is stopped, and keeps what became of each write. */
export class EtcdWriter {
  readonly acknowledged = new Map<number, Revision>();
  readonly unknown: number[] = [];
  readonly refused: number[] = [];
  readonly #options: WriterOptions;
  readonly #flying = new Set<Promise<void>>();
  readonly #done: Promise<void>;
  #isStopped = false;
  #next = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  get sent(): number {
    return this.#next;
  }

  /** Writes no more; resolves when every write was answered. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
    await Promise.all(this.#flying);
  }

  async #run(): Promise<void> {
    const start = performance.now();
    while (!this.#isStopped) {
      const due = Math.floor(((performance.now() - start) / 1000) * this.#options.perSecond);
      while (this.#next < due && this.#flying.size < MOST_IN_FLIGHT) this.#send(this.#next++);
      await sleep(TICK_MS);
    }
  }

  #send(index: number): void {
    const { provider, write } = this.#options;
    const flight = provider
      .commit({ checks: [], operations: write(index) })
      .then(
        (revision) => void this.acknowledged.set(index, revision),
        (error: unknown) => {
          if (isAttuneError(error, 'OUTCOME_UNKNOWN')) this.unknown.push(index);
          else if (isAttuneError(error, 'UNAVAILABLE')) this.refused.push(index);
          else throw error;
        },
      )
      .finally(() => this.#flying.delete(flight));
    this.#flying.add(flight);
  }
}
