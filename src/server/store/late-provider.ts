import type { ErrorCode } from '../../core/errors.ts';
import {
  isAttuneError,
  type CallOptions,
  type ConfigProvider,
  type ListOptions,
  type ProviderCapabilities,
  type Revision,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../core/provider.ts';

/** What trying again may heal; PROTOCOL: a proxy's page where the store is not yet. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['UNAVAILABLE', 'PROTOCOL', 'CLOSED']);

/** One attempt to open takes at most so long. Milliseconds. */
export const OPEN_MS = 2_000;

/**
 * A store that could not be reached when it was to be opened. Every call tries to open it first, all calls of the moment together, and fails
 * with UNAVAILABLE while that fails; so whoever calls again, with a backoff of its own, is served as soon as the store is there.
 *
 *     waiting ─opened→ open;  waiting ─refused→ refused, told once
 */
export class LateProvider implements ConfigProvider {
  readonly name: string;
  readonly capabilities: ProviderCapabilities;
  readonly #inner: ConfigProvider;
  readonly #onRefused: (reason: unknown) => void;
  #state: 'waiting' | 'open' | 'refused' = 'waiting';
  #opening: Promise<void> | undefined;

  /** `onRefused` is told when trying again cannot help: credentials that are wrong, say. */
  constructor(inner: ConfigProvider, onRefused: (reason: unknown) => void) {
    this.name = inner.name;
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#onRefused = onRefused;
  }

  async open(options?: CallOptions): Promise<void> {
    if (this.#state === 'open') return this.#inner.open(options);
    return this.#opened();
  }

  async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    await this.#opened();
    return this.#inner.read(keys, options);
  }

  async list(prefix: string, options?: ListOptions): Promise<StoredSnapshot> {
    await this.#opened();
    return this.#inner.list(prefix, options);
  }

  async head(prefix: string, options?: CallOptions): Promise<Revision> {
    await this.#opened();
    return this.#inner.head(prefix, options);
  }

  async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    await this.#opened();
    return this.#inner.commit(transaction, options);
  }

  /** Of a store that is not open yet it fails as the store's own watches do. */
  watch(prefix: string, options: WatchOptions): StoreWatch {
    return this.#inner.watch(prefix, options);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #opened(): Promise<void> {
    if (this.#state === 'open') return;
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  async #open(): Promise<void> {
    try {
      await this.#inner.open({ deadlineMs: OPEN_MS });
      this.#state = 'open';
    } catch (error) {
      if (this.#state === 'waiting' && !(isAttuneError(error) && PASSING.has(error.code))) {
        this.#state = 'refused';
        this.#onRefused(error);
      }
      throw error;
    }
  }
}
