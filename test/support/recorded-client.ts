import { ConfigClient, isAttuneError } from '../../src/client/index.ts';
import type { JsonValue } from '../../src/core/item.ts';
import { OVERRIDDEN, type ClientRecord, type Heard } from './judge-client.ts';
import { FaultyFront } from './faulty-front.ts';
import { ReadLedger } from './read-ledger.ts';
import { formatContent } from './recorded-store.ts';
import { SkewedClock } from './skewed-clock.ts';

/** Faults heal within milliseconds; what the SDK waits for by the clock comes with {@link SkewedClock.pass}. */
const BACKOFF = Object.freeze({ baseMs: 1, maxMs: 8, factor: 2 });

const textOf = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value));

/** A client of the SDK with a faulty front before each of its servers, and everything it was told on record, for the judge. */
export class RecordedClient implements AsyncDisposable {
  readonly config: ConfigClient;
  readonly clock: SkewedClock;
  readonly fronts: readonly FaultyFront[];
  readonly ledger: ReadLedger;
  readonly errors: unknown[] = [];
  readonly #prefixes: readonly string[];
  readonly #heard: Heard[] = [];
  readonly #ownVersions = new Set<number>();
  /** What `get` answered when it was last asked. */
  readonly #shown = new Map<string, string | undefined>();
  #override: string | undefined;
  #onOverrides: (values: ReadonlyMap<string, JsonValue>) => void = () => undefined;
  #before: ReadonlyMap<string, string | undefined> = new Map();
  /** What could be read during the first call of the batch. */
  #atFirst: ReadonlyMap<string, string> = new Map();
  #batch = 0;
  #isInBatch = false;

  private constructor(prefixes: readonly string[], fronts: readonly FaultyFront[], ledger: ReadLedger) {
    this.#prefixes = prefixes;
    this.fronts = fronts;
    this.ledger = ledger;
    this.clock = new SkewedClock();
    this.config = new ConfigClient({
      url: fronts.map(({ url }) => url),
      prefix: prefixes,
      clock: this.clock,
      backoff: BACKOFF,
      overrides: {
        open: async (onValues) => {
          this.#onOverrides = onValues;
          this.cover(this.#override);
        },
        close: async () => undefined,
      },
      onError: (error) => this.errors.push(error),
    });
    for (const prefix of prefixes) this.config.view(prefix).watch((change) => this.#hear(change));
  }

  static async create(prefixes: readonly string[], servers: readonly string[]): Promise<RecordedClient> {
    const ledger = new ReadLedger();
    const fronts = await Promise.all(servers.map((url) => FaultyFront.start(url, ledger)));
    return new RecordedClient(prefixes, fronts, ledger);
  }

  /** Begins to connect; whether and when it succeeds is a matter of the run. */
  start(): void {
    this.config.start({ timeoutMs: 3_600_000 }).catch(() => undefined);
  }

  /** An operator covers the value of {@link OVERRIDDEN}, or no longer. */
  cover(value: string | undefined): void {
    this.#override = value;
    this.#onOverrides(new Map(value === undefined ? [] : [[OVERRIDDEN, value]]));
  }

  /** True if the copy is live and equals `values`, as JSON texts, but for what is covered. */
  equals(values: ReadonlyMap<string, string>): boolean {
    const own = this.values();
    const wanted = new Map([...values, ...this.#overrides()]);
    return this.config.status.state === 'live' && own.size === wanted.size && [...wanted].every(([key, value]) => own.get(key) === value);
  }

  values(): Map<string, string> {
    return new Map(
      this.#prefixes.flatMap((prefix) =>
        Object.entries(this.config.view(prefix).toObject()).map(([rest, value]): [string, string] => [
          `${prefix}${rest}`,
          JSON.stringify(value),
        ]),
      ),
    );
  }

  /** Writes through its fronts. What fails is no matter: the answer to one that does not is on record. */
  async set(key: string, value: string): Promise<void> {
    try {
      const { version } = await this.config.set(key, value, { signal: AbortSignal.timeout(100) });
      this.#ownVersions.add(version);
    } catch (error) {
      if (!isAttuneError(error) && !(error instanceof DOMException)) throw error;
    }
  }

  record(): ClientRecord {
    return {
      filter: { keys: [], prefixes: this.#prefixes },
      heard: this.#heard,
      snapshots: this.ledger.snapshots,
      cursors: this.ledger.cursors,
      ownVersions: this.#ownVersions,
      values: this.values(),
      overrides: this.#overrides(),
      relapses: this.ledger.relapses,
      overlaps: this.ledger.overlaps,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.config.close();
    await Promise.all(this.fronts.map(async (front) => front[Symbol.asyncDispose]()));
  }

  #overrides(): ReadonlyMap<string, string> {
    return new Map(this.#override === undefined ? [] : [[OVERRIDDEN, JSON.stringify(this.#override)]]);
  }

  #hear(change: Parameters<Parameters<ReturnType<ConfigClient['view']>['watch']>[0]>[0]): void {
    if (!this.#isInBatch) {
      this.#isInBatch = true;
      this.#batch++;
      this.#before = new Map(this.#shown);
      this.#atFirst = this.values();
      queueMicrotask(() => (this.#isInBatch = false));
    }
    const { key, type, version, oldValue, newValue, contentType, metadata } = change;
    const readNow = textOf(this.config.get(key));
    this.#heard.push({
      batch: this.#batch,
      type,
      key,
      version,
      oldValue: JSON.stringify(oldValue),
      newValue: JSON.stringify(newValue),
      content: type === 'deleted' ? undefined : formatContent(newValue, contentType, metadata),
      readBefore: this.#before.get(key),
      readFirst: this.#atFirst.get(key),
      readNow,
      override: this.#overrides().get(key),
    });
    this.#shown.set(key, readNow);
  }
}
