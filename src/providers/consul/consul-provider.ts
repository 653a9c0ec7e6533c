import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../core/backoff.ts';
import {
  compareBytes,
  ConflictError,
  InvalidArgumentError,
  isAttuneError,
  UnavailableError,
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
import { validateTransaction } from '../local/transaction.ts';
import { hiddenError, refusalError } from './consul-error.ts';
import { ConsulTransport, type GetAnswer, type TransportOptions } from './consul-transport.ts';
import { watchTracker } from './consul-watch.ts';
import { decodeBody, isRepresentable, parseEntries, parseEntry, type ConsulEntry, type ConsulOperation } from './consul-wire.ts';
import { keysToRead, planTransaction, requireSize } from './encode-transaction.ts';
import { isPathSafe, listablePrefix } from './key-path.ts';
import { Tracker, type Observation, type TrackerSource } from './tracker.ts';

export interface ConsulOptions extends TransportOptions {
  /** Without a slash at its end: `app/config`. What lies under it is watched. */
  readonly namespace: string;
}

/** What Consul's own limits leave: 64 operations and 512 KiB a transaction, values in base64, and one operation of this provider's own. */
const CONSUL_CAPABILITIES: ProviderCapabilities = Object.freeze({
  history: 'latest',
  maxKeyBytes: 4_096,
  maxValueBytes: 372 * 1024,
  maxTransactionOperations: 63,
  maxTransactionBytes: 380 * 1024,
});

const DEADLINE_MS = 5_000;
const LIST_DEADLINE_MS = 20_000;
/** Operations of one transaction that only reads. */
const MAX_READ_OPERATIONS = 64;
const MAX_PLANS = 64;
/** Bounds of what is remembered for guesses; beyond them one more read is needed. */
const RECENT_ENTRIES = 1_000;
const RECENT_BYTES = 4 * 1024 * 1024;
const RETRY_BACKOFF = Object.freeze({ baseMs: 2, maxMs: 100, factor: 1.5 });

/** A deadline, and the caller's signal if there is one. */
interface Call extends CallOptions {
  readonly deadlineMs: number;
}

/**
 * Consul 1.8 or newer. Revisions are Consul's indexes. A watch compares lists: of a key that changes faster than the prefix is read only the last
 * value is told. Writes are sent once. A call that states no deadline has 5 s, a list 20 s.
 *
 * The revision of a list is never below what was handed out before: the index of a prefix falls when Consul forgets a deletion, that of a key
 * which does not exist (the table's) does not, and it is read before every list.
 */
export class ConsulProvider implements ConfigProvider {
  readonly name = 'consul';
  readonly capabilities = CONSUL_CAPABILITIES;
  readonly #transport: ConsulTransport;
  readonly #namespace: string;
  readonly #trackers = new Map<string, Tracker>();
  /** What was read or written last; null: absent. */
  readonly #recent = new Map<string, ConsulEntry | null>();
  #recentBytes = 0;
  /** Nobody else's: a key that exists would answer with its own index. */
  readonly #absentKey: string;

  constructor(options: ConsulOptions) {
    if (options.hosts.length === 0) throw new InvalidArgumentError('consul needs a host, as in consul://127.0.0.1:8500/app/config');
    if (options.namespace.replaceAll('/', '') === '')
      throw new InvalidArgumentError('consul needs a namespace, as in consul://host:8500/app/config');
    this.#namespace = options.namespace;
    this.#transport = new ConsulTransport(options);
    this.#absentKey = `${this.#namespace.replace(/^\/+/, '')}/.attune/system/head-${randomBytes(8).toString('hex')}`;
    this.#trackerOf(`${this.#namespace}/`);
  }

  /** Proves a read of the namespace, and that it and what lies beside it can be written; nothing is. */
  async open(options: CallOptions = {}): Promise<void> {
    const call = this.#call(options);
    await this.#head(call);
    const proof = randomBytes(8).toString('hex');
    const keys = [`${this.#namespace}/.attune/system/proof-${proof}`, `${this.#namespace}.attune/proof-${proof}`];
    // Deleting what is not there needs the right to write and leaves no trace.
    const answer = await this.#transport.transact(
      keys.map((key): ConsulOperation => ({ verb: 'delete', key })),
      call,
    );
    if ('refusal' in answer) throw refusalError(answer.refusal, answer.host, false);
    // From here on a watch may begin at the head. A list that takes longer than who opens will wait is left to who needs it.
    await this.list(`${this.#namespace}/`, options).catch((error: unknown) => {
      if (!isAttuneError(error, 'UNAVAILABLE')) throw error;
    });
  }

  async read(keys: readonly string[], options: CallOptions = {}): Promise<StoredSnapshot> {
    const call = this.#call(options);
    const wanted = [...new Set(keys)].filter(isRepresentable).sort(compareBytes);
    const head = await this.#head(call);
    const [only] = wanted;
    if (only === undefined) return { revision: head, entries: [] };
    const entries =
      wanted.length === 1 && isPathSafe(only)
        ? await this.#readOne(only, call)
        : wanted.length <= MAX_READ_OPERATIONS
          ? await this.#readTogether(wanted, call)
          : await this.#readByList(wanted, call);
    return { revision: latest(head, entries), entries };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredSnapshot> {
    const call = this.#call(options, LIST_DEADLINE_MS);
    if (options.at !== undefined) {
      throw new InvalidArgumentError(`Consul keeps no history: it cannot list at revision ${options.at}, only the present`);
    }
    const tracker = this.#findTracker(prefix);
    const since = tracker?.revision;
    const head = await this.#head(call);
    const observation = await this.#observe(prefix, call);
    const { entries } = observation;
    const revision = latest(Math.max(head, observation.index) as Revision, entries);
    if (tracker && since !== undefined) {
      const gone = tracker.missingFrom(prefix, entries, revision);
      if (gone.length > 0) await this.#requireAbsent(gone, observation.index, call);
      tracker.learn(prefix, observation, { revision, since, gone });
    }
    return { revision, entries };
  }

  async head(_prefix: string, options: CallOptions = {}): Promise<Revision> {
    return this.#head(this.#call(options));
  }

  async commit(transaction: Transaction, options: CallOptions = {}): Promise<Revision> {
    const call = this.#call(options);
    validateTransaction(transaction, this.capabilities);
    const { operations } = transaction;
    for (const { key } of operations) {
      if (!isRepresentable(key))
        throw new InvalidArgumentError(
          `the stored key ${JSON.stringify(key)} holds U+FFFD, by which Consul shows bytes that are not UTF-8`,
        );
    }
    // What is handed over may be used again by its owner before a second attempt.
    const own: Transaction = {
      checks: [...transaction.checks],
      operations: operations.map((operation) =>
        operation.type === 'put' ? { ...operation, value: new Uint8Array(operation.value) } : operation,
      ),
    };
    const endsAt = performance.now() + call.deadlineMs;
    const remaining = (): Call => {
      const deadlineMs = endsAt - performance.now();
      if (deadlineMs <= 0) throw new UnavailableError(`Consul was not done within ${call.deadlineMs} ms; nothing was changed, try again`);
      return { ...call, deadlineMs };
    };
    for (const key of keysToRead(own, (wanted) => this.#known(wanted))) await this.#refresh(key, remaining());
    for (let attempt = 0; attempt < MAX_PLANS; attempt++) {
      const revision = await this.#attempt(own, remaining);
      if (revision !== undefined) return revision;
      await sleep(backoffMs(attempt, RETRY_BACKOFF), undefined, call.signal ? { signal: call.signal } : {}).catch(() =>
        call.signal?.throwIfAborted(),
      );
    }
    throw new UnavailableError('the keys of this transaction are written by others again and again; nothing was changed, try again');
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    return watchTracker(this.#findTracker(prefix) ?? this.#trackerOf(prefix), prefix, options);
  }

  async close(): Promise<void> {
    this.#transport.close();
    const { closed } = this.#transport;
    if (closed) await Promise.all([...this.#trackers.values()].map(async (tracker) => tracker.close(closed)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #call({ signal, deadlineMs }: CallOptions, defaultMs = DEADLINE_MS): Call {
    if (this.#transport.closed) throw this.#transport.closed;
    signal?.throwIfAborted();
    return { deadlineMs: deadlineMs ?? defaultMs, ...(signal && { signal }) };
  }

  /** The index of the whole table, which a key that does not exist answers with; it never falls within a history. */
  async #head(call: Call): Promise<Revision> {
    const { index } = await this.#transport.get({ key: this.#absentKey, consistent: true }, call);
    return index;
  }

  async #observe(prefix: string, call: Call): Promise<Observation> {
    return observationOf(prefix, await this.#transport.get({ key: listablePrefix(prefix), recurse: true, consistent: true }, call));
  }

  async #readOne(key: string, call: Call): Promise<ConsulEntry[]> {
    const { body } = await this.#transport.get({ key, consistent: true }, call);
    const [entry] = parseEntries(body && decodeBody(body), key);
    return entry?.key === key ? [this.#remember(entry)] : [];
  }

  /** A `get` of an absent key fails the transaction and names it: it is then required to be absent. */
  async #readTogether(keys: readonly string[], call: Call): Promise<ConsulEntry[]> {
    const absent = new Set<string>();
    for (let attempt = 0; attempt < 10; attempt++) {
      const operations = keys.map((key): ConsulOperation => ({ verb: absent.has(key) ? 'check-not-exists' : 'get', key }));
      const answer = await this.#transport.transact(operations, call);
      if ('results' in answer) {
        const entries = answer.results.map(entryOfResult);
        const hidden = keys.find((key) => !absent.has(key) && !entries.some((entry) => entry.key === key));
        if (hidden !== undefined) throw hiddenError(hidden, undefined);
        return entries.map((entry) => this.#remember(entry)).sort((a, b) => compareBytes(a.key, b.key));
      }
      for (const { index } of answer.refusal.failed) {
        const key = keys[index];
        if (key === undefined) throw refusalError(answer.refusal, answer.host, false);
        if (!absent.delete(key)) absent.add(key);
      }
    }
    return this.#readByList(keys, call);
  }

  async #readByList(keys: readonly string[], call: Call): Promise<ConsulEntry[]> {
    const [first = ''] = keys;
    let length = first.length;
    for (const key of keys) while (!key.startsWith(first.slice(0, length))) length--;
    const wanted = new Set(keys);
    return (await this.#observe(first.slice(0, length), call)).entries.filter(({ key }) => wanted.has(key));
  }

  /** The revision of the commit; undefined if a guess of this provider was wrong, so that nothing was applied. */
  async #attempt(transaction: Transaction, remaining: () => Call): Promise<Revision | undefined> {
    const planned = planTransaction(transaction, (key) => this.#known(key));
    const operations = planned.map(({ operation }) => operation);
    if (transaction.operations.length > 0 && !operations.some(({ verb }) => verb === 'cas')) {
      // Consul does not tell the index of a delete; that of a write beside it is the same.
      operations.push({ verb: 'set', key: `${this.#namespace}.attune/receipt`, value: randomBytes(12) });
    }
    if (operations.length === 0) return this.#head(remaining());
    requireSize(operations);
    const answer = await this.#transport.transact(operations, remaining());
    if ('results' in answer) {
      if (transaction.operations.length === 0) return this.#head(remaining());
      return this.#noteCommit(answer.results, operations, transaction);
    }
    const { failed } = answer.refusal;
    const wrong = failed.map(({ index }) => planned[index]);
    if (failed.length === 0 || wrong.some((each) => each?.isGuess !== true)) {
      const what = failed.find(({ index }) => planned[index]?.isGuess !== true)?.what ?? answer.refusal.text;
      throw new ConflictError(`a check does not hold: ${what}`);
    }
    for (const each of wrong) if (each) await this.#refresh(each.operation.key, remaining());
    return undefined;
  }

  #noteCommit(results: readonly unknown[], operations: readonly ConsulOperation[], transaction: Transaction): Revision {
    const written = results.map(entryOfResult);
    const revision = latest(0 as Revision, written);
    for (const operation of operations) {
      const { key, value, flags } = operation;
      const entry = written.find((candidate) => candidate.key === key);
      if (operation.verb !== 'cas' || !entry || !value) continue;
      this.#remember({ ...entry, value, flags: flags ?? '0' });
      this.#findTracker(key)?.noteWritten(key, revision);
    }
    for (const { type, key } of transaction.operations) if (type === 'delete') this.#keep(key, null);
    return revision;
  }

  /** What this node last saw of a key: a guess. */
  #known(key: string): ConsulEntry | undefined {
    const recent = this.#recent.get(key);
    if (recent === null) return undefined;
    const followed = this.#findTracker(key)?.get(key);
    return recent && followed ? (recent.revision > followed.revision ? recent : followed) : (recent ?? followed);
  }

  async #refresh(key: string, call: Call): Promise<void> {
    const [entry] = isPathSafe(key) ? await this.#readOne(key, call) : await this.#readTogether([key], call);
    if (!entry) this.#keep(key, null);
  }

  #remember(entry: ConsulEntry): ConsulEntry {
    this.#keep(entry.key, entry);
    return entry;
  }

  #keep(key: string, entry: ConsulEntry | null): void {
    this.#forget(key);
    this.#recent.set(key, entry);
    this.#recentBytes += entry?.value.byteLength ?? 0;
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= RECENT_ENTRIES && this.#recentBytes <= RECENT_BYTES) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#recentBytes -= this.#recent.get(key)?.value.byteLength ?? 0;
    this.#recent.delete(key);
  }

  #findTracker(text: string): Tracker | undefined {
    return [...this.#trackers.values()].find(({ prefix }) => text.startsWith(prefix));
  }

  #trackerOf(prefix: string): Tracker {
    const tracker = new Tracker(prefix, this.#source());
    this.#trackers.set(prefix, tracker);
    return tracker;
  }

  #source(): TrackerSource {
    return {
      head: async (signal) => this.#head({ signal, deadlineMs: DEADLINE_MS }),
      list: async (prefix, signal) => this.#observe(prefix, { signal, deadlineMs: LIST_DEADLINE_MS }),
      poll: async (prefix, index, waitMs, signal) =>
        observationOf(
          prefix,
          await this.#transport.get(
            { key: listablePrefix(prefix), recurse: true, index, waitMs },
            { signal, deadlineMs: (waitMs * 17) / 16 + DEADLINE_MS },
          ),
        ),
      prefixIndex: async (prefix, signal) => {
        const answer = await this.#transport.get(
          { key: listablePrefix(prefix), namesOnly: true, consistent: true },
          { signal, deadlineMs: DEADLINE_MS },
        );
        return answer.index;
      },
      requireAbsent: async (keys, after, signal) => this.#requireAbsent(keys, after, { signal, deadlineMs: LIST_DEADLINE_MS }),
    };
  }

  /**
   * Proves that keys which a list lacked are gone: many at once by a transaction that requires it, else one by one.
   * @throws {UnavailableError} reason `visibility`.
   */
  async #requireAbsent(keys: readonly string[], after: Revision, call: Call): Promise<void> {
    for (let from = 0; from < keys.length; from += MAX_READ_OPERATIONS) {
      const some = keys.slice(from, from + MAX_READ_OPERATIONS);
      const isProven = await this.#transport
        .transact(
          some.map((key): ConsulOperation => ({ verb: 'check-not-exists', key })),
          call,
        )
        .then(
          (answer) => 'results' in answer,
          (error: unknown) => {
            if (isAttuneError(error, 'PERMISSION_DENIED')) return false;
            throw error;
          },
        );
      if (!isProven) for (const key of some) await this.#requireGone(key, after, call);
    }
  }

  async #requireGone(key: string, after: Revision, call: Call): Promise<void> {
    try {
      const [entry] = isPathSafe(key) ? await this.#readOne(key, call) : await this.#readTogether([key], call);
      // One made again since was gone; one from before was hidden from the list.
      if (entry && entry.createdRevision <= after) throw hiddenError(key, undefined);
    } catch (error) {
      throw isAttuneError(error, 'PERMISSION_DENIED') ? hiddenError(key, error) : error;
    }
  }
}

function latest(revision: Revision, entries: readonly ConsulEntry[]): Revision {
  return entries.reduce((highest, entry) => (entry.revision > highest ? entry.revision : highest), revision);
}

function observationOf(prefix: string, { index, body }: GetAnswer): Observation {
  const startedAt = performance.now();
  const entries = parseEntries(body && decodeBody(body), prefix);
  return { index, entries, workMs: performance.now() - startedAt };
}

function entryOfResult(result: unknown): ConsulEntry {
  return parseEntry(typeof result === 'object' && result !== null && 'KV' in result ? result.KV : result);
}
