import { backoffMs, type BackoffOptions } from '../core/backoff.ts';
import { InvalidArgumentError, isAttuneError } from '../core/errors.ts';
import type { ConfigItem, JsonValue, Metadata } from '../core/item.ts';
import { createApiOver, type Api } from './api.ts';
import { sleep, type Clock } from './clock.ts';
import type { Echo } from './echo.ts';
import { jsonProblem } from './json-value.ts';
import type { Replica, SeenChange } from './replica.ts';
import type { Transport } from './transport.ts';
import type { Values } from './values.ts';

/** Under which condition a write takes place, and what ends it. */
export interface WriteOptions {
  /** Only if the key is at this version; 0: only if it does not exist. Otherwise CONFLICT. */
  readonly ifVersion?: number;
  readonly signal?: AbortSignal;
}

/** What is stored beside a value. */
export interface UpdateOptions {
  /** Left out: kept. `{}` clears. */
  readonly metadata?: Metadata;
  /** For the history: why. */
  readonly comment?: string;
  readonly signal?: AbortSignal;
}

/** Of `set`. */
export type SetOptions = UpdateOptions & WriteOptions;

/** What a write came to. */
export interface WriteResult {
  /** Of the item now; unchanged if it already was what was written. */
  readonly version: number;
  /** True if the key was absent before. */
  readonly created: boolean;
}

export interface WriterOptions {
  readonly api: Api;
  readonly replica: Replica;
  readonly values: Values;
  readonly echo: Echo;
  readonly clock: Clock;
  readonly random: () => number;
  /** How far the stream has told; undefined while there is none to wait for. */
  readonly liveRevision: () => number | undefined;
  readonly revision: () => number;
  readonly publish: (changes: readonly SeenChange[]) => void;
  readonly report: (error: unknown) => void;
}

const MAX_UPDATE_TRIES = 5;

/** Between tries of `update`: long enough for the others to be done with theirs. */
const UPDATE_BACKOFF: BackoffOptions = Object.freeze({ baseMs: 10, factor: 2, maxMs: 200 });

/**
 * How long a write waits for its own echo on the stream. Watchers then hear it in its place among other changes; without the echo the
 * answer itself is taken over, so that reads after a write see it all the same.
 */
const ECHO_WAIT_MS = 500;

/** Writes of one client; after each, `get` sees it. */
export function createWriter({ transport, timeoutMs, ...options }: Omit<WriterOptions, 'api'> & WriterTransport): Writer {
  return new Writer({ ...options, api: createApiOver(transport, timeoutMs) });
}

interface WriterTransport {
  readonly transport: Transport;
  readonly timeoutMs: number;
}

export class Writer {
  readonly #options: WriterOptions;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  async set(key: string, value: unknown, options: SetOptions, signal: AbortSignal): Promise<WriteResult> {
    const { api, replica, values } = this.#options;
    const problem = jsonProblem(value);
    if (problem !== undefined) throw new InvalidArgumentError(`cannot set '${key}': ${problem}`);
    values.parse(key, value);
    const { ifVersion, metadata, comment } = options;
    const { item, created } = await api.put(
      key,
      { value: value as JsonValue, ...(metadata && { metadata }), ...(comment !== undefined && { comment }) },
      { signal, ...(ifVersion !== undefined && { ifVersion }) },
    );
    await this.#echoed(() => replica.versionOf(key) >= item.version, item.version);
    this.#takeItem(item);
    return { version: item.version, created };
  }

  async update(key: string, change: (old: unknown) => unknown, options: UpdateOptions, signal: AbortSignal): Promise<WriteResult> {
    const { clock, random } = this.#options;
    for (let tries = 1; ; tries++) {
      const current = (tries === 1 ? this.#known(key) : undefined) ?? (await this.#fetchCurrent(key, signal));
      const value = await change(current.value);
      try {
        return await this.set(key, value, { ...options, ifVersion: current.version }, signal);
      } catch (error) {
        if (!isAttuneError(error, 'CONFLICT') || tries === MAX_UPDATE_TRIES) throw error;
        await sleep(clock, backoffMs(tries - 1, UPDATE_BACKOFF, random), signal);
      }
    }
  }

  /** False if the key did not exist. */
  async delete(key: string, options: WriteOptions, signal: AbortSignal): Promise<boolean> {
    const { api, replica } = this.#options;
    const before = replica.versionOf(key);
    try {
      const { revision, cursor } = await api.delete(key, {
        signal,
        ...(options.ifVersion !== undefined && { ifVersion: options.ifVersion }),
      });
      const isDeleted = (): boolean => !replica.get(key) && replica.versionOf(key) > before;
      if (!(await this.#echoed(isDeleted, revision))) await this.#refresh(key, cursor, signal);
      return true;
    } catch (error) {
      // A wrong URL also answers 404; only this code means that the key is absent.
      if (isAttuneError(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  /** Waits until the stream has told as much as a write's answer. False if it has not in time, or there is no stream. */
  #echoed(condition: () => boolean, revision: number | undefined): Promise<boolean> {
    const { echo, liveRevision } = this.#options;
    const told = (): boolean => condition() || (revision !== undefined && this.#options.revision() >= revision);
    return echo.until(() => told() || liveRevision() === undefined, ECHO_WAIT_MS).then(told);
  }

  /**
   * Asks whether the newest write that shows before the stream has told of it is of the history that the servers are in: after the store was put
   * back it need not be, and then none of them shows any more.
   * @throws {AttuneError} no server could say.
   */
  async confirm(): Promise<void> {
    const { api, replica, revision, publish } = this.#options;
    const { key, cursor } = replica.newestAhead() ?? {};
    if (key === undefined || cursor === undefined) return;
    try {
      await api.get(key, { minRevision: cursor });
    } catch (error) {
      if (isAttuneError(error, 'CURSOR_GONE')) publish(replica.passed(revision(), Number.POSITIVE_INFINITY));
      else if (!isAttuneError(error, 'NOT_FOUND')) throw error;
    }
  }

  /** The answer to a DELETE does not say at which revision the key went, so the stream's place is taken by a read. */
  async #refresh(key: string, cursor: string | undefined, signal: AbortSignal): Promise<void> {
    const { api, replica, revision, publish, report } = this.#options;
    try {
      this.#takeItem((await api.get(key, { signal, ...(cursor !== undefined && { minRevision: cursor }) })).item);
    } catch (error) {
      const asOf = isAttuneError(error, 'NOT_FOUND') ? error.details['revision'] : undefined;
      if (typeof asOf === 'number') publish(replica.applyAbsent(key, asOf, revision(), cursor));
      // The deletion stands; only this copy does not show it yet.
      else report(error);
    }
  }

  #takeItem(item: ConfigItem): void {
    const { replica, revision, publish } = this.#options;
    publish(replica.applyItem(item, revision()));
  }

  /** From the copy, if there is one; the condition proves that it was current. */
  #known(key: string): { readonly version: number; readonly value: unknown } | undefined {
    const { liveRevision, replica, values } = this.#options;
    if (liveRevision() === undefined) return undefined;
    const known = replica.get(key);
    return known ? { version: known.version, value: values.parse(key, known.value) } : { version: 0, value: values.absent(key) };
  }

  async #fetchCurrent(key: string, signal: AbortSignal): Promise<{ readonly version: number; readonly value: unknown }> {
    const { api, values } = this.#options;
    try {
      const { item } = await api.get(key, { consistency: 'strong', signal });
      return { version: item.version, value: values.parse(key, item.value) };
    } catch (error) {
      if (isAttuneError(error, 'NOT_FOUND')) return { version: 0, value: values.absent(key) };
      throw error;
    }
  }
}
