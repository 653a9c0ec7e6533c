import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AttuneError,
  DeadlineExceededError,
  isAttuneError,
  OutcomeUnknownError,
  UnavailableError,
  type ErrorCode,
} from '../../core/errors.ts';
import type { ChangeType } from '../../core/item.ts';
import type { ConfigKey } from '../../core/key.ts';
import type { Revision } from '../../core/revision.ts';
import type { StoreCache } from '../cache/store-cache.ts';
import { decide, type Decision, type KeyState, type WriteLimits, type WriteRequest, type WriteStamp } from './decide.ts';
import { writeIdOf } from './history-record.ts';
import { readItem, type ItemState } from './item-state.ts';
import type { Layout } from './layout.ts';
import { encodeSidecar } from './sidecar.ts';
import { storeFailure } from './store-failure.ts';

const MAX_ATTEMPTS = 10;
const MAX_ATTEMPTS_MS = 2_000;
/** Kept of {@link MAX_ATTEMPTS_MS} for finding out what became of a commit without a reply. */
const SETTLE_MS = 500;
/** Nothing is begun that has less. */
const MIN_COMMIT_MS = 100;
const VISIBLE_MS = 3_000;
/** What a store says only of a commit that it certainly did not apply, beside CONFLICT. After anything else it may have. */
const NOT_APPLIED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNAVAILABLE',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'VALUE_TOO_LARGE',
  'INVALID_ARGUMENT',
]);

/** What a write came to, built from what was committed. */
export type WriteResult =
  | { readonly type: 'created' | 'updated' | 'unchanged'; readonly item: ItemState }
  | { readonly type: 'deleted'; readonly version: Revision };

export interface WriterOptions {
  readonly cache: StoreCache<unknown>;
  readonly layout: Layout;
  /** Keys that tell the store's history: no write decided on one history passes in another. */
  readonly marks: readonly string[];
  readonly limits: WriteLimits;
  readonly etagOf: (item: ItemState) => string;
  readonly now: () => number;
  readonly random: () => number;
}

type CommitDecision = Extract<Decision, { action: 'commit' }>;

/**
 * Carries out writes: the mirror may guess, only the store decides. Nothing is ever written twice blindly, and no answer is given that the
 * store has not confirmed.
 */
export class Writer {
  readonly #options: WriterOptions;
  /** The last write in progress of each key: writes to one key follow each other instead of colliding. */
  readonly #queues = new Map<ConfigKey, Promise<unknown>>();

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the change is durable and this node's mirror shows it.
   * @throws {AttuneError} CONFLICT, NOT_FOUND, INVALID_BODY, VALUE_TOO_LARGE: nothing was changed. NOT_READY, UNAVAILABLE: certainly nothing
   * was changed. OUTCOME_UNKNOWN: it may have been. DEADLINE_EXCEEDED with `committed: true`: it was, this node is behind.
   */
  async write(request: WriteRequest): Promise<WriteResult> {
    const deadline = this.#options.now() + MAX_ATTEMPTS_MS;
    const previous = this.#queues.get(request.key);
    const current = (previous ?? Promise.resolve()).then(() => this.#write(request, deadline));
    const settled = current.then(
      () => undefined,
      () => undefined,
    );
    this.#queues.set(request.key, settled);
    try {
      return await current;
    } finally {
      if (this.#queues.get(request.key) === settled) this.#queues.delete(request.key);
    }
  }

  async #write(request: WriteRequest, deadline: number): Promise<WriteResult> {
    this.#requireWritable();
    const { cache, layout, limits, etagOf, now, random } = this.#options;
    const { key } = request;
    const commitMs = (): number => deadline - SETTLE_MS - now();
    if (commitMs() < MIN_COMMIT_MS) throw new UnavailableError(`too many writes of ${key} are waiting; nothing was changed, try again`);
    let state: KeyState = { value: cache.mirror.get(layout.valueKey(key)), sidecar: cache.mirror.get(layout.sidecarKey(key)) };
    let isProven = false;
    for (let attempt = 0; attempt < MAX_ATTEMPTS && commitMs() >= MIN_COMMIT_MS;) {
      const stamp: WriteStamp = { writeId: randomUUID(), timestamp: new Date(now()).toISOString() };
      const decision = tryDecide(request, state, { layout, limits, etagOf, stamp });
      if (decision.action !== 'commit') {
        if (isProven) return conclude(decision);
        state = await this.#readState(key, commitMs());
        isProven = true;
        continue;
      }
      const known = cache.revision;
      const revision = await this.#commit(key, decision, { state, deadlineMs: commitMs() });
      if (revision !== undefined) {
        await this.#show(key, revision, known);
        return resultOf(key, decision, state, revision);
      }
      const decidedOn = state;
      if (attempt++ > 0) await sleep(random() * 10 * attempt);
      state = await this.#readState(key, Math.max(MIN_COMMIT_MS, commitMs()));
      isProven = true;
      // Neither moved, so the history record was in the way: the sidecar does not know the last sequence.
      if (state.value?.revision === decidedOn.value?.revision && state.sidecar?.revision === decidedOn.sidecar?.revision) {
        state = { ...state, lastSequence: await this.#lastSequence(key, Math.max(MIN_COMMIT_MS, commitMs())) };
      }
    }
    throw new UnavailableError(`${key} is being written by others again and again; nothing was changed, try again`);
  }

  /** The revision of the commit; undefined if it was certainly not applied because something had moved. */
  async #commit(
    key: ConfigKey,
    decision: CommitDecision,
    { state, deadlineMs }: { readonly state: KeyState; readonly deadlineMs: number },
  ): Promise<Revision | undefined> {
    const { cache, marks } = this.#options;
    const { checks, operations } = decision.transaction;
    const history = marks.map((mark) => ({ key: mark, revision: cache.mirror.get(mark)?.revision ?? null }));
    try {
      return await cache.provider.commit({ checks: [...checks, ...history], operations }, { deadlineMs });
    } catch (error) {
      if (isAttuneError(error, 'CONFLICT')) return undefined;
      if (isAttuneError(error) && NOT_APPLIED.has(error.code)) throw storeFailure(error, STORE_FAILED);
      return this.#settle(key, decision, state, error);
    }
  }

  /** Finds out by one linearizable read what became of a commit without a reply. */
  async #settle(key: ConfigKey, decision: CommitDecision, state: KeyState, cause: unknown): Promise<Revision | undefined> {
    const { cache, layout } = this.#options;
    const [valueKey, sidecarKey] = [layout.valueKey(key), layout.sidecarKey(key)];
    const unknown = new OutcomeUnknownError(`the store did not say whether ${key} was written; read it before you try again`, { cause });
    const snapshot = await cache.provider.read([valueKey, sidecarKey, decision.historyKey], { deadlineMs: SETTLE_MS }).catch(() => {
      throw unknown;
    });
    const entryOf = (wanted: string) => snapshot.entries.find((entry) => entry.key === wanted);
    const record = entryOf(decision.historyKey);
    if (record) return writeIdOf(record.value) === decision.sidecar.writeId ? record.revision : undefined;
    const moved = entryOf(valueKey)?.revision !== state.value?.revision || entryOf(sidecarKey)?.revision !== state.sidecar?.revision;
    if (moved) return undefined;
    throw unknown;
  }

  /** Resolves when this node's mirror shows the write. `known` is the revision that it showed when the commit was sent. */
  async #show(key: ConfigKey, revision: Revision, known: Revision): Promise<void> {
    const { cache } = this.#options;
    try {
      if (revision <= known) throw cache.doubt(`the store committed at ${revision}, this node had seen ${known}`);
      await cache.reached(revision, { deadlineMs: VISIBLE_MS });
    } catch (error) {
      throw new DeadlineExceededError(`${key} was written as version ${revision}, but this node does not show it yet`, {
        cause: error,
        details: { committed: true, version: revision },
      });
    }
  }

  /**
   * What the store holds, once this node's mirror has come as far: an answer that names it must not be ahead of what this node shows, and
   * names it by the epoch that covers it.
   */
  async #readState(key: ConfigKey, deadlineMs: number): Promise<KeyState> {
    const { cache, layout, marks } = this.#options;
    const known = cache.revision;
    const [valueKey, sidecarKey] = [layout.valueKey(key), layout.sidecarKey(key)];
    const { entries, revision } = await cache.provider.read([valueKey, sidecarKey, ...marks], { deadlineMs }).catch(rethrowFailure);
    try {
      if (revision < known) throw cache.doubt(`the store is at ${revision}, this node had seen ${known}`);
      await cache.reached(Math.max(0, ...entries.map((entry) => entry.revision)) as Revision, { deadlineMs: VISIBLE_MS });
    } catch (error) {
      throw new UnavailableError('this node is behind the store; nothing was changed, try again', { cause: error });
    }
    return { value: entries.find((entry) => entry.key === valueKey), sidecar: entries.find((entry) => entry.key === sidecarKey) };
  }

  async #lastSequence(key: ConfigKey, deadlineMs: number): Promise<number> {
    const { cache, layout } = this.#options;
    const { entries } = await cache.provider.list(layout.historyPrefix(key), { deadlineMs }).catch(rethrowFailure);
    // Records only: other tools may have put anything beside them.
    return entries.reduce((last, entry) => Math.max(last, Number(/\/(\d{16})$/.exec(entry.key)?.[1] ?? 0)), 0);
  }

  #requireWritable(): void {
    const { state } = this.#options.cache;
    if (state === 'live') return;
    if (state === 'connecting') throw new AttuneError('NOT_READY', 'this node has not loaded the configuration yet; nothing was changed');
    throw new UnavailableError(
      state === 'closed' ? 'the service is shutting down; nothing was changed' : 'the store is unreachable; nothing was changed, try again',
    );
  }
}

const STORE_FAILED = 'the store is unreachable or refuses; nothing was changed, try again';

function rethrowFailure(error: unknown): never {
  throw storeFailure(error, STORE_FAILED);
}

/** A body may be wrong only for the item the mirror shows; so that is a decision to be proven too. */
function tryDecide(...args: Parameters<typeof decide>): Decision {
  try {
    return decide(...args);
  } catch (error) {
    if (error instanceof AttuneError) return { action: 'refuse', error };
    throw error;
  }
}

function conclude(decision: Exclude<Decision, CommitDecision>): WriteResult {
  if (decision.action === 'refuse') throw decision.error;
  return { type: 'unchanged', item: decision.item };
}

function resultOf(key: ConfigKey, decision: CommitDecision, state: KeyState, revision: Revision): WriteResult {
  if (!decision.value) return { type: 'deleted', version: revision };
  const createdRevision = state.value?.createdRevision ?? revision;
  const item = readItem(
    key,
    { key, value: decision.value, revision, createdRevision },
    { key, value: encodeSidecar(decision.sidecar), revision, createdRevision: revision },
  );
  const type: Exclude<ChangeType, 'deleted'> = decision.type === 'created' ? 'created' : 'updated';
  return { type, item };
}
