import assert from 'node:assert/strict';
import {
  isAttuneError,
  REVISION_ZERO,
  type Check,
  type ConfigProvider,
  type ErrorCode,
  type Operation,
  type Revision,
  type StoredBatch,
  type StoredEntry,
  type StoredSnapshot,
  type StoreWatch,
} from '../core/provider.ts';
import type { ConformanceCase, ConformanceHarness, Guarantee, HarnessFeature } from './harness.ts';
import { WatchReader } from './watch-reader.ts';
import { within } from './within.ts';

const DEFAULT_TIMEOUT_MS = 10_000;

/** The words a case is written in: keys relative to the harness's prefix, values as text, every wait bounded. */
export class Scenario {
  readonly harness: ConformanceHarness;
  readonly timeoutMs: number;
  provider: ConfigProvider;
  readonly #readers: WatchReader[] = [];
  readonly #controllers: AbortController[] = [];

  constructor(harness: ConformanceHarness) {
    this.harness = harness;
    this.timeoutMs = harness.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.provider = harness.provider;
  }

  /** True if every version of a key is delivered and kept. */
  get exact(): boolean {
    return this.provider.capabilities.history === 'full';
  }

  key(name: string): string {
    return this.harness.prefix + name;
  }

  /** A key beside the prefix, where no watch looks. */
  outside(name: string): string {
    return `${this.harness.prefix.slice(0, -1)}.outside/${name}`;
  }

  async within<T>(what: string, promise: PromiseLike<T>): Promise<T> {
    return within(this.timeoutMs, what, promise);
  }

  async commit(checks: readonly Check[], operations: readonly Operation[]): Promise<Revision> {
    return this.within('a commit', this.provider.commit({ checks, operations }));
  }

  async put(name: string, value: string | Uint8Array = name, checks: readonly Check[] = []): Promise<Revision> {
    return this.commit(checks, [putOf(this.key(name), value)]);
  }

  async remove(name: string, checks: readonly Check[] = []): Promise<Revision> {
    return this.commit(checks, [{ type: 'delete', key: this.key(name) }]);
  }

  async list(name = '', at?: Revision): Promise<StoredSnapshot> {
    return this.within('a list', this.provider.list(this.key(name), at === undefined ? {} : { at }));
  }

  async read(...names: readonly string[]): Promise<StoredSnapshot> {
    return this.within('a read', this.provider.read(names.map((name) => this.key(name))));
  }

  async entry(name: string): Promise<StoredEntry | undefined> {
    return (await this.read(name)).entries[0];
  }

  async head(name = ''): Promise<Revision> {
    return this.within('the head', this.provider.head(this.key(name)));
  }

  /** A watch that ends with the case at the latest. */
  watch(options: { readonly under?: string; readonly after: Revision; readonly controller?: AbortController }): WatchReader {
    const controller = options.controller ?? new AbortController();
    const prefix = this.key(options.under ?? '');
    const watch = this.provider.watch(prefix, { after: options.after, signal: controller.signal });
    const reader = new WatchReader(watch, { controller, prefix, after: options.after, exact: this.exact, timeoutMs: this.timeoutMs });
    this.#readers.push(reader);
    return reader;
  }

  /** A watch without a reader, to be driven by hand. */
  bareWatch(after: Revision, controller = new AbortController()): { readonly watch: StoreWatch; readonly controller: AbortController } {
    this.#controllers.push(controller);
    return { watch: this.provider.watch(this.harness.prefix, { after, signal: controller.signal }), controller };
  }

  /** Asserts that `promise` fails with `code`. */
  async refuses(code: ErrorCode, what: string, promise: Promise<unknown>): Promise<void> {
    const outcome = await this.within(what, settled(promise));
    assert.ok('error' in outcome, `TypedErrors: ${what} succeeds, ${code} was expected`);
    if (isAttuneError(outcome.error, code)) return;
    assert.fail(`TypedErrors: ${what} fails with ${String(outcome.error)}, ${code} was expected`);
  }

  async release(): Promise<void> {
    for (const controller of this.#controllers) controller.abort();
    for (const reader of this.#readers) await within(this.timeoutMs, 'the release of a watch', reader.release());
  }
}

export function defineCase(
  guarantee: Guarantee,
  name: string,
  steps: (scenario: Scenario) => Promise<void>,
  needs: readonly HarnessFeature[] = [],
): ConformanceCase {
  return {
    guarantee,
    name,
    needs,
    async run(harness) {
      const scenario = new Scenario(harness);
      try {
        await steps(scenario);
      } finally {
        await scenario.release();
      }
    },
  };
}

export function putOf(key: string, value: string | Uint8Array): Operation {
  return { type: 'put', key, value: typeof value === 'string' ? new TextEncoder().encode(value) : value };
}

export function textOf(entry: StoredEntry | undefined): string | undefined {
  return entry && new TextDecoder('utf-8', { ignoreBOM: true }).decode(entry.value);
}

/** How `promise` ended, without throwing. */
export async function settled<T>(promise: Promise<T>): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

/** An entry in words, so that a failed comparison reads well. */
export function describeEntry(entry: StoredEntry): string {
  return `${entry.key}=${textOf(entry)} @${entry.revision} since ${entry.createdRevision}`;
}

/** The changes of a batch in words, sorted, for their order within a revision is free. */
export function describeChanges(batch: StoredBatch): string[] {
  return batch.changes
    .map((change) => (change.type === 'put' ? `put ${describeEntry(change.entry)}` : `delete ${change.key} @${change.revision}`))
    .sort();
}

/** The snapshot without its revision, in words. */
export function describeEntries(snapshot: StoredSnapshot): string[] {
  return snapshot.entries.map(describeEntry);
}

export function latestOf(entries: readonly StoredEntry[]): Revision {
  return entries.reduce((latest, entry) => (entry.revision > latest ? entry.revision : latest), REVISION_ZERO);
}
