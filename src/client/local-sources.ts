import type { JsonValue } from '../core/item.ts';
import type { Clock } from './clock.ts';
import type { LastKnown, LastKnownStore, OverrideSource } from './durable.ts';

export interface LocalSourcesOptions {
  readonly lastKnown: LastKnownStore | undefined;
  readonly overrides: OverrideSource | undefined;
  readonly prefixes: readonly string[];
  readonly clock: Clock;
  /** Hears of what cannot be read or written: it is then as if it were not there. */
  readonly report: (error: unknown) => void;
}

/** How long a start waits beyond its deadline for a kept state that is still being read. */
const LOAD_GRACE_MS = 1_000;

/** What this machine has beside the servers: the state that was last known, and an operator's values. Nothing here throws or rejects. */
export class LocalSources {
  readonly #options: LocalSourcesOptions;
  #phase: 'closed' | 'opening' | 'open' = 'closed';
  #loading: Promise<LastKnown | undefined> | undefined;

  constructor(options: LocalSourcesOptions) {
    this.#options = options;
  }

  /** True once the overrides were read, or turned out not to be there. */
  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** Begins to read both; `onOverrides` is called with every state of the overrides, those under the prefixes only. Once; idempotent. */
  open(onOverrides: (values: ReadonlyMap<string, JsonValue>) => void, onOpened: () => void): void {
    if (this.#phase !== 'closed') return;
    this.#phase = 'opening';
    const { lastKnown, overrides, prefixes, report } = this.#options;
    const opened = (): void => {
      this.#phase = 'open';
      onOpened();
    };
    const ours = (values: ReadonlyMap<string, JsonValue>): void =>
      onOverrides(new Map([...values].filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix)))));
    this.#loading = (async () => lastKnown?.load(prefixes))().catch((error: unknown) => {
      report(error);
      return undefined;
    });
    if (overrides) void (async () => overrides.open(ours))().catch(report).then(opened);
    else opened();
  }

  /** The kept state, if there is one and it is read in time: a file that is being read is worth a moment, one that hangs is not. */
  async lastKnown(): Promise<LastKnown | undefined> {
    let cancel: () => void = () => undefined;
    const late = new Promise<undefined>((resolve) => (cancel = this.#options.clock.after(LOAD_GRACE_MS, () => resolve(undefined))));
    const loaded = await Promise.race([this.#loading, late]);
    cancel();
    return loaded;
  }

  /** The state changed; `state` is asked when it is written down. */
  keep(state: () => LastKnown): void {
    const { lastKnown, prefixes, report } = this.#options;
    try {
      lastKnown?.changed(prefixes, state);
    } catch (error) {
      report(error);
    }
  }

  async close(): Promise<void> {
    const { lastKnown, overrides, report } = this.#options;
    await Promise.all([lastKnown, overrides].map(async (one) => one?.close()).map((closed) => closed.catch(report)));
  }
}
