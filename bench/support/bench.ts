import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ScenarioResult } from './result.ts';

export interface Scenario {
  /** As `--only` takes it. */
  readonly name: string;
  /** As the table of goals names it. */
  readonly title: string;
  /** What is done, for the report. */
  readonly method: string;
  readonly run: (bench: Bench) => Promise<ScenarioResult>;
}

export interface BenchOptions {
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly isPinned: boolean;
  readonly profile: 'cpu' | 'heap' | undefined;
  readonly profileFolder: string;
  /** Name of the scenario, for the names of profiles. */
  readonly scenario: string;
  readonly progress: (text: string) => void;
}

/**
 * What a scenario works with. Whatever it starts it hands to {@link own}, so that it is ended when the scenario ends, fails, takes too long or is
 * interrupted.
 */
export class Bench implements AsyncDisposable {
  readonly options: BenchOptions;
  readonly #owned: Promise<AsyncDisposable>[] = [];
  #isClosed = false;
  #profiles = 0;

  constructor(options: BenchOptions) {
    this.options = options;
  }

  /** One of two sizes, by the form of the run. */
  size(full: number, quick: number): number {
    return this.options.isQuick ? quick : full;
  }

  async own<Resource extends AsyncDisposable>(start: Promise<Resource>): Promise<Resource> {
    this.#owned.push(start);
    const resource = await start;
    // Interrupted meanwhile: nobody else would end it.
    if (this.#isClosed) await resource[Symbol.asyncDispose]();
    return resource;
  }

  /** A folder that is removed in the end. */
  async folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'attune-bench-'));
    await this.own(Promise.resolve({ [Symbol.asyncDispose]: async () => rm(path, { recursive: true, force: true, maxRetries: 5 }) }));
    return path;
  }

  /** Arguments of Node that write a profile of a server under test, if profiles are wanted. */
  profileArguments(): readonly string[] {
    const { profile, profileFolder, scenario } = this.options;
    if (profile === undefined) return [];
    this.#profiles++;
    const name = `${scenario}-${this.#profiles}.${profile}profile`;
    this.options.progress(`profile: ${join(profileFolder, name)}`);
    return [`--${profile}-prof`, `--${profile}-prof-dir=${profileFolder}`, `--${profile}-prof-name=${name}`];
  }

  /**
   * Measures every party once to warm up, which does not count, then once a round. The order turns from round to round, so that none always has the
   * same neighbour. Resolves to the rounds by party.
   */
  async alternate<Party extends string, Measured>(
    parties: Readonly<Record<Party, () => Promise<Measured>>>,
  ): Promise<Readonly<Record<Party, readonly Measured[]>>> {
    const names = Object.keys(parties) as Party[];
    const measured = Object.fromEntries(names.map((name) => [name, [] as Measured[]])) as Record<Party, Measured[]>;
    for (let round = 0; round <= this.options.rounds; round++) {
      for (let turn = 0; turn < names.length; turn++) {
        const name = names[(turn + round) % names.length] as Party;
        this.options.progress(round === 0 ? `warm-up: ${name}` : `round ${round} of ${this.options.rounds}: ${name}`);
        const result = await parties[name]();
        if (round > 0) measured[name].push(result);
      }
    }
    return measured;
  }

  /** Ends everything, the youngest first. What cannot be ended is told, and keeps nothing else. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const start of this.#owned.reverse()) {
      const resource = await start.catch(() => undefined);
      try {
        await resource?.[Symbol.asyncDispose]();
      } catch (error) {
        this.options.progress(`not ended: ${String(error)}`);
      }
    }
  }
}
