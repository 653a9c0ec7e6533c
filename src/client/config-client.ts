import { ClosedError, InvalidArgumentError } from '../core/errors.ts';
import { quoteForMessage } from '../core/key.ts';
import { linkAbort, type AbortLink } from './abort-link.ts';
import { createApi } from './api.ts';
import { ChangeFeed } from './change-feed.ts';
import { resolveOptions, warnOnConsole, type ConfigClientOptions, type ResolvedOptions } from './client-options.ts';
import { Echo } from './echo.ts';
import { Listeners, type StopFunction } from './listeners.ts';
import { expectDefaults, Readiness, type StartOptions } from './readiness.ts';
import { Replica, type SeenChange } from './replica.ts';
import type { ConfigChange, ConfigSchema, InputOf, KeyOf, ValueOf } from './schema.ts';
import { isNewStatus, statusOf, type ClientStatus } from './status.ts';
import { SyncLoop } from './sync-loop.ts';
import { createPlainValues, createSchemaValues, type ReadChange, type Values } from './values.ts';
import { Writer, type SetOptions, type UpdateOptions, type WriteOptions, type WriteResult } from './writer.ts';

/** Ends a loop over `changes` when `signal` aborts. */
export interface ChangesOptions {
  /** Within the client's prefixes. Default: all of them. */
  readonly prefix?: string;
  readonly signal?: AbortSignal;
}

interface Feed {
  readonly prefix: string;
  readonly changes: ChangeFeed<ReadChange>;
}

/**
 * A local, always current copy of the configuration under some prefixes: `get` is a Map lookup, watchers hear of every change in order, and
 * after an outage of exactly the difference. One connection serves all of it; what was read stays readable while the server is away.
 */
export class ConfigClient<const S extends ConfigSchema | undefined = undefined> {
  readonly #options: ResolvedOptions;
  readonly #loop: SyncLoop;
  readonly #writer: Writer;
  readonly #values: Values;
  readonly #replica = new Replica();
  readonly #readiness = new Readiness();
  readonly #echo: Echo;
  readonly #errorListeners = new Listeners<[error: unknown]>(warnOnConsole);
  readonly #statusListeners = new Listeners<[status: ClientStatus]>((error) => this.#report(error));
  readonly #watchers = new Listeners<[value: unknown, change: ReadChange | undefined]>((error) => this.#report(error));
  readonly #feeds = new Set<Feed>();
  readonly #calls = new Set<AbortLink>();
  #closing: Promise<void> | undefined;

  /** Checks the options; nothing is sent before `start`. @throws {InvalidArgumentError} */
  constructor(options: ConfigClientOptions<S>) {
    const resolved = resolveOptions(options);
    const { clock, random, prefixes, schema, backoff, silenceMs } = resolved;
    this.#options = resolved;
    if (options.onError) this.onError(options.onError);
    this.#values = schema
      ? createSchemaValues(schema, (error) => this.#report(error))
      : createPlainValues((key) => this.#replica.get(key)?.value);
    const api = createApi({
      url: resolved.urls,
      clock,
      ...(options.token !== undefined && { token: options.token }),
      ...(options.fetch && { fetch: options.fetch }),
      ...(options.userAgent !== undefined && { userAgent: options.userAgent }),
      ...(options.requestTimeoutMs !== undefined && { timeoutMs: options.requestTimeoutMs }),
    });
    this.#echo = new Echo(clock);
    this.#loop = new SyncLoop({
      api,
      selection: { prefixes },
      clock,
      random,
      backoff,
      silenceMs,
      onData: (action) =>
        this.#publish(
          action.type === 'apply'
            ? this.#replica.apply(action.changes)
            : this.#replica.replace(action.items, action.revision, action.foreign),
        ),
      onError: (error) => {
        this.#readiness.refuse(error);
        this.#report(error);
      },
      onStep: (before, after) => {
        if (after.source === 'memory') this.#readiness.ready();
        this.#echo.tick();
        const status = statusOf(after);
        if (isNewStatus(statusOf(before), status)) this.#statusListeners.emit('', status);
      },
    });
    this.#writer = new Writer({
      api,
      replica: this.#replica,
      values: this.#values,
      echo: this.#echo,
      clock,
      random,
      revision: () => this.#loop.state.position?.revision ?? 0,
      liveRevision: () => (this.#loop.state.phase.name === 'live' ? this.#loop.state.position?.revision : undefined),
      publish: (changes) => this.#publish(changes),
      report: (error) => this.#report(error),
    });
  }

  /** Constructs, starts, and closes again if that fails. */
  static async connect<const S extends ConfigSchema | undefined = undefined>(
    options: ConfigClientOptions<S>,
    start: StartOptions = {},
  ): Promise<ConfigClient<S>> {
    const client = new ConfigClient<S>(options);
    try {
      await client.start(start);
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  /**
   * Connects. Resolves as soon as the state is here, else after `timeoutMs` if every key of the schema has a default. After a rejection the
   * client goes on trying: call it again, or `close`.
   * @throws {NotReadyError} at the deadline, naming the servers, the keys and the last failure.
   * @throws {AttuneError} UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT: at once; CLOSED.
   * @throws the reason of `signal`.
   */
  async start(options: StartOptions = {}): Promise<void> {
    this.#expectOpen();
    options.signal?.throwIfAborted();
    this.#loop.start();
    if (this.#loop.state.source === 'memory') return;
    await this.#readiness.wait(options, this.#options.clock, (timeoutMs) => {
      const { urls, prefixes } = this.#options;
      const lastFailure = this.#loop.state.trouble?.cause;
      expectDefaults({ urls, prefixes, missing: this.#values.missing(), lastFailure }, timeoutMs);
      this.#loop.serveDefaults();
    });
  }

  /**
   * The current value: without a schema as JSON (text is a string), with one as it reads it. An absent key reads as the schema's default or
   * undefined. Answers after `close` too. Values are shared: do not modify them.
   * @throws {InvalidArgumentError} a key outside of the prefixes, or of the schema.
   */
  get<K extends KeyOf<S>>(key: K): ValueOf<S, K> {
    this.#checkKey(key);
    return this.#values.get(key) as ValueOf<S, K>;
  }

  /**
   * Calls `listener` for every change of `key`, in order, once per version, after the whole revision can be read with `get`. With
   * `immediate` it is also called now, with what `get` answers and without a change. A listener that throws, or rejects, is reported to `onError`.
   */
  watch<K extends KeyOf<S>>(
    key: K,
    listener: (value: ValueOf<S, K>, change: ConfigChange<S, K>) => unknown,
    options?: { readonly immediate?: false },
  ): StopFunction;
  watch<K extends KeyOf<S>>(
    key: K,
    listener: (value: ValueOf<S, K>, change: ConfigChange<S, K> | undefined) => unknown,
    options: { readonly immediate?: boolean },
  ): StopFunction;
  watch(key: KeyOf<S>, listener: (value: never, change: never) => unknown, options: { readonly immediate?: boolean } = {}): StopFunction {
    this.#expectOpen();
    this.#checkKey(key);
    const untyped = listener as (value: unknown, change: unknown) => unknown;
    const stop = this.#watchers.add(key, untyped);
    if (options.immediate) this.#watchers.call(untyped, this.#values.get(key), undefined);
    return stop;
  }

  /**
   * Every change from now on, in order; with a schema, those of its keys. A reader more than {@link FEED_LIMIT} behind gets changes of the
   * same key merged, marked `gap`. Ends with `break`, with `signal`, or when the client is closed.
   */
  changes(options: ChangesOptions = {}): AsyncIterableIterator<ConfigChange<S>> {
    this.#expectOpen();
    const { prefix = '', signal } = options;
    if (prefix !== '' && !this.#options.prefixes.some((one) => prefix.startsWith(one)))
      throw this.#outside(`prefix ${quoteForMessage(prefix)}`);
    const onAbort = (): void => void changes.return();
    const changes = new ChangeFeed<ReadChange>(() => {
      this.#feeds.delete(feed);
      signal?.removeEventListener('abort', onAbort);
    });
    const feed: Feed = { prefix, changes };
    this.#feeds.add(feed);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    return changes as AsyncIterableIterator<unknown> as AsyncIterableIterator<ConfigChange<S>>;
  }

  /**
   * Stores `value`; when it resolves, `get` answers it, and its watchers have been called.
   * @throws {AttuneError} CONFLICT, SCHEMA_VIOLATION, UNAVAILABLE (certainly not stored), OUTCOME_UNKNOWN (perhaps stored), and what else the
   * server refuses.
   */
  set<K extends KeyOf<S>>(key: K, value: InputOf<S, K>, options: SetOptions = {}): Promise<WriteResult> {
    return this.#whileOpen(key, options.signal, (signal) => this.#writer.set(key, value, options, signal));
  }

  /**
   * Stores what `change` makes of the current value, provided nobody else wrote meanwhile; otherwise once more with theirs, at most five
   * times. `change` may be called several times.
   * @throws {AttuneError} as `set`; CONFLICT after the fifth try.
   */
  update<K extends KeyOf<S>>(
    key: K,
    change: (old: ValueOf<S, K>) => InputOf<S, K> | Promise<InputOf<S, K>>,
    options: UpdateOptions = {},
  ): Promise<WriteResult> {
    return this.#whileOpen(key, options.signal, (signal) => this.#writer.update(key, change as (old: unknown) => unknown, options, signal));
  }

  /** Removes the key; false if there was none. When it resolves, `get` sees it. @throws {AttuneError} as `set`. */
  delete(key: KeyOf<S>, options: WriteOptions = {}): Promise<boolean> {
    return this.#whileOpen(key, options.signal, (signal) => this.#writer.delete(key, options, signal));
  }

  get status(): ClientStatus {
    return statusOf(this.#loop.state);
  }

  /** Calls `listener` when the state changes; not for every revision. */
  onStatus(listener: (status: ClientStatus) => unknown): StopFunction {
    return this.#statusListeners.add('', listener);
  }

  /** Calls `listener` with every failure that no call rejects with. */
  onError(listener: (error: unknown) => unknown): StopFunction {
    return this.#errorListeners.add('', listener);
  }

  /** Ends the connection, the loops over `changes` and the calls under way. Idempotent; afterwards nothing keeps the process alive. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = this.#loop.close();
    this.#readiness.close();
    for (const call of this.#calls) call.abort(new ClosedError('the client was closed'));
    for (const { changes } of this.#feeds) changes.end();
    this.#feeds.clear();
    this.#watchers.clear();
    await closed;
    this.#statusListeners.clear();
  }

  /** Publish after apply: who is told reads what it was told. */
  #publish(changes: readonly SeenChange[]): void {
    for (const change of this.#values.accept(changes)) {
      this.#watchers.emit(change.key, change.type === 'deleted' ? this.#values.absent(change.key) : change.newValue, change);
      for (const feed of this.#feeds) if (change.key.startsWith(feed.prefix)) feed.changes.push(change);
    }
  }

  #report(error: unknown): void {
    if (this.#errorListeners.has('')) this.#errorListeners.emit('', error);
    else warnOnConsole(error);
  }

  async #whileOpen<T>(key: string, outer: AbortSignal | undefined, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#expectOpen();
    this.#checkKey(key);
    outer?.throwIfAborted();
    const link = linkAbort(outer, this.#options.clock);
    this.#calls.add(link);
    try {
      return await call(link.signal);
    } finally {
      this.#calls.delete(link);
      link.release();
    }
  }

  #expectOpen(): void {
    if (this.#closing || this.#loop.state.phase.name === 'closed') throw new ClosedError('the client is closed');
  }

  #checkKey(key: string): void {
    if (!this.#values.has(key)) throw new InvalidArgumentError(`key ${quoteForMessage(key)} is not in the schema`);
    if (!this.#options.prefixes.some((prefix) => key.startsWith(prefix))) throw this.#outside(`key ${quoteForMessage(key)}`);
  }

  #outside(what: string): InvalidArgumentError {
    return new InvalidArgumentError(
      `${what} is outside of what this client watches (${this.#options.prefixes.map(quoteForMessage).join(', ')}); add a prefix`,
    );
  }
}
