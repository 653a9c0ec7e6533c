import { AttuneError, ClosedError, isAttuneError, type ErrorCode } from '../core/errors.ts';
import { quoteForMessage } from '../core/key.ts';
import type { Clock } from './clock.ts';

/** There is nothing to serve yet. `details` names the servers, and the keys that have neither value nor default; `cause` is the last failure. */
export class NotReadyError extends AttuneError {
  constructor(
    message: string,
    options: { readonly cause: unknown; readonly details: { readonly url: readonly string[]; readonly keys: readonly string[] } },
  ) {
    super('NOT_READY', message, options);
  }
}

/** How long `start` waits for the state. */
export interface StartOptions {
  /** Default 5 000 ms. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What the client can tell at the deadline. */
export interface DeadlineView {
  readonly urls: readonly string[];
  readonly prefixes: readonly string[];
  /** Keys without value or default; undefined without a schema. */
  readonly missing: readonly string[] | undefined;
  readonly lastFailure: unknown;
}

/** Refusals that no waiting heals: wrong credentials, wrong options. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['UNAUTHENTICATED', 'PERMISSION_DENIED', 'INVALID_ARGUMENT', 'INVALID_KEY']);

const DEFAULT_START_TIMEOUT_MS = 5_000;
const MAX_KEYS_IN_MESSAGE = 10;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Callers that wait for the first state. */
export class Readiness {
  readonly #waiters = new Set<Waiter>();

  /** Resolves with {@link ready}, rejects with {@link refuse}; at the deadline `onDeadline` decides: it returns, or throws. */
  wait(options: StartOptions, clock: Clock, onDeadline: (timeoutMs: number) => Promise<void>): Promise<void> {
    const { timeoutMs = DEFAULT_START_TIMEOUT_MS, signal } = options;
    return new Promise<void>((resolve, reject) => {
      const release = (): void => {
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        resolve: () => {
          release();
          resolve();
        },
        reject: (error) => {
          release();
          reject(error);
        },
      };
      const onAbort = (): void => waiter.reject(signal?.reason as Error);
      const cancelTimer = clock.after(timeoutMs, () => void onDeadline(timeoutMs).then(waiter.resolve, waiter.reject));
      this.#waiters.add(waiter);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  ready(): void {
    for (const waiter of [...this.#waiters]) waiter.resolve();
  }

  /** A failure of the connection: ends the waiting only if it is a refusal. */
  refuse(error: unknown): void {
    if (!isRefusal(error)) return;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  close(): void {
    for (const waiter of [...this.#waiters]) waiter.reject(new ClosedError('the client was closed before it was ready'));
  }
}

/** True for what no waiting heals. */
export function isRefusal(error: unknown): error is AttuneError {
  return isAttuneError(error) && REFUSALS.has(error.code);
}

/** @throws {NotReadyError} unless the defaults are complete. */
export function expectDefaults({ urls, prefixes, missing, lastFailure }: DeadlineView, timeoutMs: number): void {
  if (missing?.length === 0) return;
  const keys = missing ?? [];
  const shown = keys.slice(0, MAX_KEYS_IN_MESSAGE).map(quoteForMessage).join(', ');
  const more = keys.length > MAX_KEYS_IN_MESSAGE ? ` and ${keys.length - MAX_KEYS_IN_MESSAGE} more` : '';
  const needed = keys.length === 0 ? '' : `; no value and no default for ${shown}${more}`;
  const why = lastFailure instanceof Error ? ` (${lastFailure.message})` : '';
  throw new NotReadyError(
    `not ready after ${timeoutMs} ms: nothing under ${prefixes.map(quoteForMessage).join(', ')} was received from ${urls.join(', ')}${why}${needed}`,
    { cause: lastFailure, details: { url: urls, keys } },
  );
}
