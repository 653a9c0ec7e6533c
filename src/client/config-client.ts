import { ClosedError, InvalidArgumentError, UnavailableError } from '../core/errors.ts';
import type { JsonValue } from '../core/item.ts';
import { quoteForMessage } from '../core/key.ts';
import { linkAbort, type AbortLink } from './abort-link.ts';
import { ChangeFeed } from './change-feed.ts';
import { resolveOptions, warnOnConsole, type ConfigClientOptions, type ResolvedOptions } from './client-options.ts';
import { Echo } from './echo.ts';
import { createFrameSource, type WrapSource } from './frame-source.ts';
import { Listeners, type StopFunction } from './listeners.ts';
import { LocalSources } from './local-sources.ts';
import { Overlay } from './overlay.ts';
import { expectDefaults, isRefusal, Readiness, type StartOptions } from './readiness.ts';
import { Replica, type SeenChange } from './replica.ts';
import type { ConfigChange, ConfigSchema, InputOf, KeyOf, ValueOf } from './schema.ts';
import { isNewStatus, statusOf, type ClientStatus } from './status.ts';
import type { SyncState } from './sync.ts';
import { SyncLoop } from './sync-loop.ts';
import { Transport } from './transport.ts';
import { createPlainValues, createSchemaValues, type ReadChange, type Values } from './values.ts';
import { createView, type ConfigView } from './view.ts';
import { nextChange, untilValue } from './waiting.ts';
import type { SetOptions, UpdateOptions, WriteOptions, Writer, WriteResult } from './writer.ts';

/** What a loop over `changes` hears of, and what ends it. */
export interface ChangesOptions {
  /** Within the client's prefixes. Default: all of them. */
  readonly prefix?: string;
  readonly signal?: AbortSignal;
}

/** Before servers that could not say are asked again. */
const CONFIRM_AGAIN_MS = 5_000;

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
  readonly #transport: Transport;
  readonly #values: Values;
  readonly #replica = new Replica();
  readonly #overlay = new Overlay(this.#replica);
  readonly #local: LocalSources;
  readonly #readiness = new Readiness();
  readonly #echo: Echo;
  readonly #errorListeners = new Listeners<[error: unknown]>(warnOnConsole);
  readonly #statusListeners = new Listeners<[status: ClientStatus]>((error) => this.#report(error));
  readonly #watchers = new Listeners<[value: unknown, change: ReadChange | undefined]>((error) => this.#report(error));
  readonly #prefixWatchers = new Listeners<[change: ReadChange]>((error) => this.#report(error));
  /** Changes still to be told; the first ones are being told. */
  readonly #told: (readonly SeenChange[])[] = [];
  readonly #feeds = new Set<Feed>();
  readonly #calls = new Set<AbortLink>();
  #writer: Promise<Writer> | undefined;
  /** When it is asked next whether writes ahead of this connection are of its history. */
  #confirmAt = 0;
  #closing: Promise<void> | undefined;

  /** Checks the options; nothing is sent before `start`. @throws {InvalidArgumentError} */
  constructor(options: ConfigClientOptions<S>) {
    const resolved = resolveOptions(options);
    const { clock, random, prefixes, schema, backoff, silenceMs, requestTimeoutMs } = resolved;
    this.#options = resolved;
    if (options.onError) this.onError(options.onError);
    this.#local = new LocalSources({ ...resolved, report: (error) => this.#report(error) });
    this.#values = schema ? createSchemaValues(schema, (error) => this.#report(error)) : createPlainValues((key) => this.#overlay.get(key));
    this.#transport = new Transport({
      urls: resolved.urls,
      clock,
      token: options.token,
      userAgent: options.userAgent,
      // Called as a plain function: browsers refuse a fetch whose `this` is another object.
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    });
    this.#echo = new Echo(clock);
    const wrap = options.share?.wrap as WrapSource | undefined;
    const source = createFrameSource({ transport: this.#transport, prefixes, requestTimeoutMs, silenceMs });
    this.#loop = new SyncLoop({
      source: wrap?.(source, JSON.stringify([resolved.urls, prefixes])) ?? source,
      clock,
      random,
      backoff,
      onData: (action) => {
        const told =
          action.type === 'apply'
            ? this.#replica.apply(action.changes)
            : this.#replica.replace(action.items, action.revision, action.foreign);
        const revision = (): number => this.#loop.state.position?.revision ?? 0;
        this.#publish([...told, ...this.#replica.passed(revision())]);
        this.#local.keep(() => ({ savedAt: clock.now(), revision: revision(), items: this.#replica.items() }));
      },
      onError: (error) => {
        this.#readiness.refuse(error);
        this.#report(error);
      },
      onStep: (before, after) => {
        if (after.phase.name !== before.phase.name) this.#confirmAt = 0;
        this.#passWrites(after);
        this.#tellReady();
        this.#echo.tick();
        const status = statusOf(after);
        if (isNewStatus(statusOf(before), status)) this.#statusListeners.emit('', status);
      },
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
   * Connects. Resolves as soon as the state is here, else after `timeoutMs` if a last known state was kept, or every key of the schema has a
   * value or default. After a rejection the client goes on trying: call it again, or `close`.
   * @throws {NotReadyError} at the deadline, naming the servers, the keys and the last failure.
   * @throws {AttuneError} UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT: at once; CLOSED.
   * @throws the reason of `signal`.
   */
  async start(options: StartOptions = {}): Promise<void> {
    this.#expectOpen();
    options.signal?.throwIfAborted();
    this.#local.open(
      (values) => this.#override(values),
      () => this.#tellReady(),
    );
    this.#loop.start();
    if (this.#isReady()) return;
    await this.#readiness.wait(options, this.#options.clock, (timeoutMs) => this.#serveWithoutServer(timeoutMs));
  }

  #isReady(): boolean {
    return this.#loop.state.source === 'memory' && this.#local.isOpen;
  }

  #tellReady(): void {
    if (this.#isReady()) this.#readiness.ready();
  }

  /** @throws {NotReadyError} there is nothing to serve. @throws {AttuneError} the server refuses this client: then nothing else may serve it. */
  async #serveWithoutServer(timeoutMs: number): Promise<void> {
    const lastKnown = await this.#local.lastKnown();
    const { source } = this.#loop.state;
    if (source === 'memory' || source === 'file' || this.#closing) return;
    const { urls, prefixes, clock } = this.#options;
    const lastFailure = this.#loop.state.trouble?.cause;
    if (isRefusal(lastFailure)) throw lastFailure;
    if (lastKnown && source === 'none') {
      const { items, revision, savedAt } = lastKnown;
      // Of any history: its versions compare with nothing.
      const kept = items.map((item) => ({ ...item, version: 0 }));
      this.#publish(this.#replica.replace(kept, 0, false));
      this.#loop.serve({ source: 'file', revision, since: savedAt });
    } else {
      expectDefaults({ urls, prefixes, missing: this.#values.missing(), lastFailure }, timeoutMs);
      this.#loop.serve({ source: 'defaults', revision: 0, since: clock.now() });
    }
  }

  /** One that does not fit the schema is reported, and covers nothing. */
  #override(values: ReadonlyMap<string, JsonValue>): void {
    if (this.#closing) return;
    this.#hear(this.#overlay.replace(new Map([...values].filter(([key, value]) => this.#isFitting(key, value)))));
  }

  /**
   * The current value: without a schema as JSON (text is a string), with one as it reads it. An absent key reads as the schema's default or
   * undefined. Answers after `close` too. Values are shared: do not modify them.
   * @throws {InvalidArgumentError} a key outside of the prefixes, or of the schema.
   */
  get<K extends KeyOf<S>>(key: K): ValueOf<S, K> {
    const value = this.#values.get(key);
    // A key that has a value is one that may be asked for.
    if (value === undefined) this.#checkKey(key);
    return value as ValueOf<S, K>;
  }

  /**
   * What lies under `prefix`, by the rest of the key; current whenever it is read.
   * @throws {InvalidArgumentError} a prefix outside of the client's.
   */
  view<const P extends string>(prefix: P): ConfigView<S, P> {
    this.#checkPrefix(prefix);
    const keys = (): Iterable<string> => this.#values.keys() ?? this.#overlay.keys();
    return createView<S, P>(prefix, {
      get: (key) => this.#values.get(key),
      keys,
      watch: (listener) => this.#prefixWatchers.add(prefix, listener as (change: ReadChange) => unknown),
    });
  }

  /** The next change of `key`. @throws the reason of `signal`. @throws {ClosedError} the client was closed. */
  once<K extends KeyOf<S>>(key: K, options: { readonly signal?: AbortSignal } = {}): Promise<ConfigChange<S, K>> {
    return this.#whileOpen(key, options.signal, (signal) =>
      nextChange<ConfigChange<S, K>>((listener) => this.watch(key, (_value, change) => listener(change)), signal),
    );
  }

  /**
   * The value of `key` as soon as `predicate` holds for it, now or later; without one, as soon as there is a value.
   * @throws what `predicate` throws; the reason of `signal`. @throws {ClosedError} the client was closed.
   */
  until<K extends KeyOf<S>>(
    key: K,
    predicate: (value: ValueOf<S, K>) => boolean = (value) => value !== undefined,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ValueOf<S, K>> {
    return this.#whileOpen(key, options.signal, (signal) =>
      untilValue<ValueOf<S, K>>((listener) => this.watch(key, (value) => listener(value), { immediate: true }), predicate, signal),
    );
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
    if (prefix !== '') this.#checkPrefix(prefix);
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
    return this.#whileOpen(key, options.signal, async (signal) => (await this.#loadWriter()).set(key, value, options, signal));
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
    return this.#whileOpen(key, options.signal, async (signal) =>
      (await this.#loadWriter()).update(key, change as (old: unknown) => unknown, options, signal),
    );
  }

  /** Removes the key; false if there was none. When it resolves, `get` sees it. @throws {AttuneError} as `set`. */
  delete(key: KeyOf<S>, options: WriteOptions = {}): Promise<boolean> {
    return this.#whileOpen(key, options.signal, async (signal) => (await this.#loadWriter()).delete(key, options, signal));
  }

  /** Whether what `get` answers is current. A new object each time it is read. */
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
    if (!this.#closing) {
      let settle: (closed: Promise<void>) => void = () => undefined;
      // First, for who is told of the closing may close too.
      this.#closing = new Promise((resolve) => (settle = resolve));
      settle(this.#close());
    }
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
    this.#prefixWatchers.clear();
    await Promise.all([closed, this.#local.close()]);
    this.#statusListeners.clear();
  }

  /** What writes have shown ahead of the stream ends where it has come so far, or where it never will. */
  #passWrites({ position, phase }: SyncState): void {
    if (!position || !this.#replica.newestAhead()) return;
    this.#publish(this.#replica.passed(position.revision));
    const { clock } = this.#options;
    if (phase.name !== 'live' || clock.now() < this.#confirmAt || !this.#replica.newestAhead()) return;
    this.#confirmAt = Number.POSITIVE_INFINITY;
    const confirm = async (): Promise<void> => (await this.#loadWriter()).confirm();
    void confirm().catch((error: unknown) => {
      this.#confirmAt = clock.now() + CONFIRM_AGAIN_MS;
      this.#report(error);
    });
  }

  #publish(changes: readonly SeenChange[]): void {
    this.#hear(this.#overlay.visible(changes));
  }

  /** After all of it was applied: who is told reads what it was told. */
  #hear(changes: readonly SeenChange[]): void {
    this.#told.push(changes);
    // What a listener brings about is told after what it was told of.
    if (this.#told.length > 1) return;
    for (; this.#told[0]; this.#told.shift()) {
      try {
        for (const change of this.#values.accept(this.#told[0])) this.#tell(change);
      } catch (error) {
        // Nothing here should throw; if it does, what follows is told all the same.
        this.#report(error);
      }
    }
  }

  #tell(change: ReadChange): void {
    const { key } = change;
    // Who joins while it is told hears the next one.
    const prefixes = [...this.#prefixWatchers.names()].filter((prefix) => key.startsWith(prefix));
    const feeds = [...this.#feeds].filter(({ prefix }) => key.startsWith(prefix));
    this.#watchers.emit(key, change.type === 'deleted' ? this.#values.absent(key) : change.newValue, change);
    for (const prefix of prefixes) this.#prefixWatchers.emit(prefix, change);
    for (const feed of feeds) feed.changes.push(change);
  }

  #isFitting(key: string, value: JsonValue): boolean {
    try {
      if (this.#values.has(key)) this.#values.parse(key, value);
      return true;
    } catch (error) {
      this.#report(error);
      return false;
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

  /** Loaded with the first write: a client that only reads goes without. */
  #loadWriter(): Promise<Writer> {
    const { clock, random, requestTimeoutMs } = this.#options;
    this.#writer ??= import('./writer.ts').then(
      ({ createWriter }) =>
        createWriter({
          transport: this.#transport,
          timeoutMs: requestTimeoutMs,
          replica: this.#replica,
          values: this.#values,
          echo: this.#echo,
          clock,
          random,
          revision: () => this.#loop.state.position?.revision ?? 0,
          liveRevision: () => (this.#loop.state.phase.name === 'live' ? this.#loop.state.position?.revision : undefined),
          publish: (changes) => this.#publish(changes),
          report: (error) => this.#report(error),
        }),
      (cause: unknown) => {
        this.#writer = undefined;
        throw new UnavailableError('the part of the SDK that writes could not be loaded; nothing was sent', { cause });
      },
    );
    return this.#writer;
  }

  #checkPrefix(prefix: string): void {
    if (!this.#options.prefixes.some((one) => prefix.startsWith(one))) throw this.#outside(`prefix ${quoteForMessage(prefix)}`);
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
