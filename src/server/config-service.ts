import { LRUCache } from 'lru-cache';
import { compareBytes, prefixEnd } from '../core/byte-order.ts';
import { formatCursor, type Cursor } from '../core/cursor.ts';
import { cursorAt, isCovered, type EpochChain } from '../core/epoch.ts';
import { AttuneError } from '../core/errors.ts';
import type { ResetReason, ServiceState } from '../core/item.ts';
import { isKey, type ConfigKey } from '../core/key.ts';
import { REVISION_ZERO, type CallOptions, type ConfigProvider, type Revision } from '../core/provider.ts';
import { matches, type Filter } from './cache/fan-out.ts';
import type { MirrorView } from './cache/mirror.ts';
import { StoreCache, type CacheSubscriber, type FeedTiming } from './cache/store-cache.ts';
import type { WindowBatch, WindowLimits } from './cache/window.ts';
import { deriveChanges, readChange, type ConfigChange } from './store/changes.ts';
import type { WriteLimits, WriteRequest } from './store/decide.ts';
import { EpochKeeper } from './store/epoch-keeper.ts';
import { readItem, type ItemState } from './store/item-state.ts';
import { createLayout, type Layout } from './store/layout.ts';
import { renderChange } from './store/render-item.ts';
import { RenderedItems, type RenderedItem } from './store/rendered-items.ts';
import { parseSidecar } from './store/sidecar.ts';
import { storeFailure } from './store/store-failure.ts';
import { Writer, type WriteResult } from './store/writer.ts';

/** The changes of one revision, as the window keeps them. */
export type ConfigBatch = WindowBatch<readonly ConfigChange[]>;
export type ConfigSubscriber = CacheSubscriber<readonly ConfigChange[]>;

export interface ConfigServiceOptions {
  /** Open; closed by whoever opened it, after the service. */
  readonly provider: ConfigProvider;
  readonly namespace: string;
  /** Bytes of one value. Default 512 KiB, or what fits the store's transaction with history and sidecar. */
  readonly maxValueBytes?: number;
  readonly window?: WindowLimits;
  /** How the store is followed: for stores, and tests, that are faster or slower than the usual. */
  readonly feed?: FeedTiming;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly onStateChange?: (state: ServiceState, cause: Error | undefined) => void;
  readonly onSkippedKey?: (storeKey: string) => void;
  readonly onReset?: (reason: ResetReason) => void;
  readonly onSubscriberError?: (error: unknown) => void;
}

/** Where a stream or poll may start from a cursor. */
export type Located = { readonly position: Revision } | { readonly reset: ResetReason };

export const DEFAULT_MAX_VALUE_BYTES = 512 * 1024;
/** Rendered events, by key and version: derived, never the truth. */
const RENDERED_BYTES = 64 * 1024 * 1024;
/** Deletions made by other tools, of which no tombstone tells the revision. */
const REMEMBERED_DELETIONS = 10_000;

/**
 * Configuration as users see it: items and changes of one namespace, read from memory, written to the store, told to watchers. A change
 * becomes visible in one way only, through the store's watch.
 */
export class ConfigService {
  readonly layout: Layout;
  readonly limits: WriteLimits;
  readonly provider: ConfigProvider;
  readonly #cache: StoreCache<readonly ConfigChange[]>;
  readonly #epochs: EpochKeeper;
  readonly #writer: Writer;
  readonly #options: ConfigServiceOptions;
  readonly #items: RenderedItems;
  readonly #changes = new LRUCache<string, string>({ maxSize: RENDERED_BYTES, sizeCalculation: (text) => text.length + 200 });
  readonly #deletions = new LRUCache<ConfigKey, Revision>({ max: REMEMBERED_DELETIONS });
  #cursor: { readonly revision: Revision; readonly chain: EpochChain; readonly text: string } = {
    revision: REVISION_ZERO,
    chain: [],
    text: '',
  };
  #keys = 0;
  #skippedKeys = 0;

  constructor(options: ConfigServiceOptions) {
    this.#options = options;
    this.provider = options.provider;
    this.layout = createLayout(options.namespace);
    this.limits = resolveLimits(options);
    this.#epochs = new EpochKeeper(options.provider, this.layout.epochKey);
    this.#items = new RenderedItems(
      this.layout,
      (version) => this.etagOf(version),
      () => this.#epochs.chain[0]?.id,
    );
    this.#cache = new StoreCache({
      provider: options.provider,
      prefix: this.layout.root,
      guard: this.#epochs,
      derive: (batch, after) => {
        const changes = deriveChanges(this.layout, batch, after);
        this.#count(changes, batch.changes);
        return changes;
      },
      revisionOfDeletion: (key, after) => this.#revisionOfDeletion(key, after),
      onLoaded: (mirror) => this.#recount(mirror),
      ...options.feed,
      ...(options.window && { window: options.window }),
      ...(options.now && { now: options.now }),
      ...(options.random && { random: options.random }),
      ...(options.onStateChange && { onStateChange: options.onStateChange }),
      ...(options.onSubscriberError && { onSubscriberError: options.onSubscriberError }),
    });
    this.#writer = new Writer({
      cache: this.#cache,
      layout: this.layout,
      marks: this.#epochs.keys,
      limits: this.limits,
      etagOf: (item) => this.etagOf(item.version),
      now: options.now ?? Date.now,
      random: options.random ?? Math.random,
    });
  }

  get state(): ServiceState {
    return this.#cache.state;
  }

  /** When `state` was entered. Milliseconds since 1970. */
  get since(): number {
    return this.#cache.since;
  }

  get cause(): Error | undefined {
    return this.#cache.cause;
  }

  /** Milliseconds since the store was last heard. */
  get lagMs(): number {
    return Math.max(0, (this.#options.now ?? Date.now)() - this.#cache.heardAt);
  }

  get revision(): Revision {
    return this.#cache.revision;
  }

  get window(): Pick<StoreCache<readonly ConfigChange[]>['window'], 'oldest' | 'next' | 'holds' | 'size' | 'bytes'> {
    return this.#cache.window;
  }

  get keys(): number {
    return this.#keys;
  }

  /** Stored keys outside the grammar: never items, counted here. */
  get skippedKeys(): number {
    return this.#skippedKeys;
  }

  get epoch(): string {
    return this.cursorAt(this.revision).epoch;
  }

  /** Begins to follow the store; the state tells how it goes. Idempotent. */
  start(): void {
    this.#cache.start();
  }

  /**
   * Resolves when this node's mirror has reached `revision` (0: is readable).
   * @throws {DeadlineExceededError} not within `deadlineMs` (default 3,000).
   */
  reached(revision: Revision, options?: CallOptions): Promise<void> {
    return this.#cache.reached(revision, options);
  }

  /**
   * The store's own current revision, asked of the store; never below what this node has seen of it.
   * @throws {UnavailableError} the store cannot be asked, or was rolled back and this node is about to follow.
   */
  async head(options?: CallOptions): Promise<Revision> {
    const known = this.revision;
    const head = await this.provider.head(this.layout.root, { deadlineMs: 3_000, ...options }).catch((error: unknown) => {
      throw storeFailure(error, 'the store cannot be reached; reads without consistency=strong are served from memory');
    });
    if (head < known) throw this.#cache.doubt(`it is at ${head}, this node had seen ${known}`);
    return head;
  }

  /** @throws {AttuneError} NOT_READY while nothing has been loaded yet. */
  requireReadable(): void {
    if (this.#cache.isReadable) return;
    const why = this.state === 'closed' ? 'this node is shutting down' : 'this node has not loaded the configuration yet';
    throw new AttuneError('NOT_READY', why);
  }

  cursorAt(revision: Revision): Cursor {
    return cursorAt(this.#epochs.chain, revision);
  }

  /** The cursor of the mirror's state, as text. */
  get cursor(): string {
    const { revision } = this;
    const { chain } = this.#epochs;
    const known = this.#cursor;
    // Every answer carries it, and most carry the same.
    if (known.revision === revision && known.chain === chain) return known.text;
    const text = formatCursor(cursorAt(chain, revision));
    this.#cursor = { revision, chain, text };
    return text;
  }

  /** Entity tag without quotes: `<epoch>-<version>`, the same on every node and over restarts. */
  etagOf(version: Revision): string {
    return formatCursor(this.cursorAt(version));
  }

  /** Whether, and from where, a stream can continue after `cursor`. Does not ask the store. */
  locate(cursor: Cursor): Located {
    if (!isCovered(this.#epochs.chain, cursor)) return { reset: 'epoch' };
    if (cursor.revision > this.revision) return { reset: 'ahead' };
    if (!this.window.holds(cursor.revision)) return { reset: 'compacted' };
    return { position: cursor.revision };
  }

  /**
   * As {@link locate}, but gives a mirror that is behind the cursor the chance to catch up: a stream may come from a node that was ahead.
   * @throws {DeadlineExceededError} the store has that revision, this node does not show it within `deadlineMs` (default 3,000).
   */
  async locateCaughtUp(cursor: Cursor, { signal, deadlineMs = 3_000 }: CallOptions = {}): Promise<Located> {
    const located = this.locate(cursor);
    // What lies ahead of this node may be of an epoch that it has not seen yet, either.
    if (cursor.revision <= this.revision) return located;
    if ((await this.head(signal && { signal })) < cursor.revision) return located;
    await this.reached(cursor.revision, { deadlineMs, ...(signal && { signal }) });
    return this.locate(cursor);
  }

  /** The item as the mirror has it; undefined if there is none. */
  get(key: ConfigKey, view: MirrorView = this.#cache.mirror): ItemState | undefined {
    const value = view.get(this.layout.valueKey(key));
    return value && readItem(key, value, view.get(this.layout.sidecarKey(key)));
  }

  /** Version of the item without reading it; undefined if there is none. */
  versionOf(key: ConfigKey): Revision | undefined {
    return this.#cache.mirror.get(this.layout.valueKey(key))?.revision;
  }

  /**
   * The deletion of an absent key that a reader of its version `known` (0: of no such key) has not seen; undefined if there is none. Where nobody
   * knows its revision, one that it happened at or before.
   */
  deletionSince(key: ConfigKey, known: Revision): ConfigChange | undefined {
    const entry = this.#cache.mirror.get(this.layout.sidecarKey(key));
    const tombstone = parseSidecar(entry)?.deleted ? entry : undefined;
    const deletedAt = Math.max(tombstone?.revision ?? 0, this.#deletions.get(key) ?? 0) as Revision;
    const { oldest } = this.window;
    // Another tool may have made the key again and deleted it, which leaves no tombstone: of that only the window is sure to tell.
    if (known === 0 || known === deletedAt || (known > deletedAt && known >= oldest)) return undefined;
    const version = known < deletedAt ? deletedAt : oldest;
    return this.changeAt(key, version) ?? { type: 'deleted', key, version, ...(tombstone && { sidecarAfter: tombstone }) };
  }

  /** The change that made `key` what it is at `version`, if the window still holds it. */
  changeAt(key: ConfigKey, version: Revision): ConfigChange | undefined {
    if (version <= this.window.oldest) return undefined;
    const batch = this.window.next((version - 1) as Revision);
    return batch?.derived.findLast((change) => change.key === key && change.version === version);
  }

  /** Differs after every change of the mirror. */
  get stamp(): number {
    return this.#cache.mirror.stamp;
  }

  /** The state at one revision, immutable. */
  view(): MirrorView {
    return this.#cache.view();
  }

  /** Keys of `view` from `from` on that start with `prefix`, in byte order. */
  *keysFrom(view: MirrorView, prefix: string, from: string): Generator<ConfigKey, void, undefined> {
    const { root } = this.layout;
    for (const [storeKey] of view.from(root + (compareBytes(from, prefix) > 0 ? from : prefix))) {
      if (!storeKey.startsWith(root + prefix)) return;
      const key = this.layout.keyOfValue(storeKey);
      if (key !== undefined) yield key;
    }
  }

  /** Keys of `view` that `filter` matches, each once. */
  *keysOf(view: MirrorView, filter: Filter): Generator<ConfigKey, void, undefined> {
    const prefixes = filter.prefixes.filter((prefix) => !filter.prefixes.some((other) => other !== prefix && prefix.startsWith(other)));
    for (const prefix of new Set(prefixes)) yield* this.keysFrom(view, prefix, '');
    for (const key of new Set(filter.keys)) {
      if (prefixes.some((prefix) => key.startsWith(prefix))) continue;
      const storeKey = this.layout.root + key;
      const known = view.get(storeKey) && this.layout.keyOfValue(storeKey);
      if (known) yield known;
    }
  }

  /** The item as it is answered; undefined if there is none. Rendered once per state of the item. */
  rendered(key: ConfigKey, view: MirrorView = this.#cache.mirror): RenderedItem | undefined {
    return this.#items.get(key, view);
  }

  /** The item's JSON text as bytes; undefined if there is none. */
  renderedItem(key: ConfigKey, view?: MirrorView): Buffer | undefined {
    return this.rendered(key, view)?.json;
  }

  /** The change's JSON text. Rendered once, whoever asks. */
  renderedChange(change: ConfigChange): string {
    const name = `${change.version} ${change.type} ${change.key}`;
    const known = this.#changes.get(name);
    if (known !== undefined) return known;
    const text = renderChange(readChange(change));
    this.#changes.set(name, text);
    return text;
  }

  /**
   * Creates, changes or deletes one key.
   * @throws {AttuneError} as {@link Writer.write} says.
   */
  write(request: WriteRequest): Promise<WriteResult> {
    return this.#writer.write(request);
  }

  /** Tells `subscriber` of every batch with a change that `filter` (of users' keys and prefixes) matches. */
  subscribe(filter: Filter, subscriber: ConfigSubscriber): () => void {
    const { root } = this.layout;
    const stored: Filter = { keys: filter.keys.map((key) => root + key), prefixes: filter.prefixes.map((prefix) => root + prefix) };
    return this.#cache.subscribe(stored, subscriber);
  }

  /** Stops following the store and settles all who wait. Idempotent. */
  async close(): Promise<void> {
    await this.#cache.close();
    this.#items.clear();
    this.#changes.clear();
  }

  #revisionOfDeletion(storeKey: string, after: MirrorView): Revision | undefined {
    const key = this.layout.keyOfValue(storeKey);
    const entry = key === undefined ? undefined : after.get(this.layout.sidecarKey(key));
    return parseSidecar(entry)?.deleted ? entry?.revision : undefined;
  }

  #count(changes: readonly ConfigChange[], stored: ConfigBatch['changes']): void {
    for (const change of changes) {
      if (change.type === 'created') this.#keys++;
      if (change.type !== 'deleted') continue;
      if (change.before) this.#keys--;
      if (change.sidecarAfter?.revision !== change.version) this.#deletions.set(change.key, change.version);
    }
    for (const { key, before, after } of stored) {
      if (!this.layout.isSkipped(key)) continue;
      if (!before && after) this.#skip(key);
      if (before && !after) this.#skippedKeys--;
    }
  }

  #recount(mirror: MirrorView): void {
    // Versions of another history may repeat.
    this.#items.clear();
    this.#changes.clear();
    this.#deletions.clear();
    this.#keys = 0;
    this.#skippedKeys = 0;
    const { root, own } = this.layout;
    // Half of all is Attune's own, in one piece.
    for (const from of [root, prefixEnd(own)]) {
      for (const [storeKey] of from === undefined ? [] : mirror.from(from)) {
        if (storeKey.startsWith(own)) break;
        if (isKey(storeKey.slice(root.length))) this.#keys++;
        else this.#skip(storeKey);
      }
    }
  }

  #skip(storeKey: string): void {
    this.#skippedKeys++;
    this.#options.onSkippedKey?.(storeKey);
  }
}

/** The changes of `batch` that `filter` matches and that lie above `position`. */
export function selectChanges(batch: ConfigBatch, filter: Filter, position: Revision): readonly ConfigChange[] {
  const everything = filter.prefixes.includes('');
  if (everything && !batch.gap) return batch.derived;
  return batch.derived.filter((change) => change.version > position && (everything || matches(filter, change.key)));
}

/** The lowest version in `batch`: its own revision, save in a gap, which holds many. */
export function firstVersionOf(batch: ConfigBatch): number {
  // Below it, nothing within a relist is a position.
  if (batch.relistedAfter !== undefined) return batch.relistedAfter + 1;
  return batch.gap ? batch.derived.reduce<number>((lowest, { version }) => Math.min(lowest, version), batch.revision) : batch.revision;
}

/** A value lies in the store twice (itself and its history record, escaped as JSON) beside the sidecar. */
function resolveLimits({ provider, maxValueBytes }: ConfigServiceOptions): WriteLimits {
  const { maxTransactionBytes, maxValueBytes: storable } = provider.capabilities;
  const fitting = Math.floor((maxTransactionBytes - 32 * 1024) / 2);
  return { maxValueBytes: Math.min(maxValueBytes ?? DEFAULT_MAX_VALUE_BYTES, storable, fitting), maxTransactionBytes };
}
