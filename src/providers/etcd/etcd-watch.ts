import type { IWatchResponse } from 'etcd3';
import {
  CompactedError,
  parseRevision,
  PermissionDeniedError,
  UnavailableError,
  type Revision,
  type StoredBatch,
  type StoredChange,
  type StoreWatch,
  type WatchOptions,
} from '../../core/provider.ts';
import { batchBytes } from '../local/batch.ts';
import { DEFAULT_DEADLINE_MS, type EtcdConnection, type OpenWatch } from './etcd-connection.ts';
import { toAttuneError } from './etcd-error.ts';
import type { WatchStream } from './etcd-member.ts';
import { rangeOf, toChange } from './etcd-wire.ts';

/** etcd leaves a request for progress unanswered while the watch has to catch up; then it is asked again. Milliseconds. */
const PROGRESS_AGAIN_MS = 100;
/** Batches that wait for the reader, and bytes of their values; then the stream is not read on until it has taken them. */
const MOST_WAITING = 64;
const MOST_WAITING_BYTES = 4 * 1024 * 1024;

/**
 * One watch on a stream of its own. Resumes after the last revision that was delivered, never at a header's: while a watch catches up,
 * headers carry the store's current revision, and the library's own watcher, which believes them, loses what lies between.
 */
export class EtcdWatch implements StoreWatch, AsyncIterator<StoredBatch, void, undefined> {
  readonly #connection: EtcdConnection;
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  readonly #siblings: Set<EtcdWatch>;
  readonly #waiting: StoredBatch[] = [];
  /** Of all that came since nothing was waiting. */
  #waitingBytes = 0;
  readonly #readers: { readonly resolve: (result: IteratorResult<StoredBatch, void>) => void; readonly reject: (error: Error) => void }[] =
    [];
  /** Everything up to here was handed to the reader, or is waiting for it. */
  #position: Revision;
  /** Changes of the newest revision, of which the next fragment may hold more. */
  #partial: { readonly revision: Revision; readonly changes: StoredChange[] } | undefined;
  #stream: WatchStream | undefined;
  #endpoint = '';
  #report: OpenWatch['report'] | undefined;
  #isOpening = false;
  #isCreated = false;
  #wantsProgress = false;
  #progressTimer: NodeJS.Timeout | undefined;
  #openTimer: NodeJS.Timeout | undefined;
  #end: { readonly failure: Error | undefined } | undefined;

  constructor(connection: EtcdConnection, prefix: string, options: WatchOptions, siblings: Set<EtcdWatch>) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#position = options.after;
    this.#signal = options.signal;
    this.#siblings = siblings;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  requestProgress(): void {
    if (this.#end) return;
    this.#wantsProgress = true;
    this.#askForProgress();
  }

  async next(): Promise<IteratorResult<StoredBatch, void>> {
    if (!this.#end && this.#connection.closed) this.#finish(this.#connection.closed);
    if (!this.#end && this.#signal.aborted) this.#finish(undefined);
    const batch = this.#waiting.shift();
    if (batch) {
      if (this.#waiting.length === 0) {
        this.#waitingBytes = 0;
        this.#stream?.resume();
      }
      return { done: false, value: batch };
    }
    if (this.#end) {
      const { failure } = this.#end;
      // Told once; after it the watch is at its end.
      this.#end = { failure: undefined };
      if (failure) throw failure;
      return { done: true, value: undefined };
    }
    const result = new Promise<IteratorResult<StoredBatch, void>>((resolve, reject) => this.#readers.push({ resolve, reject }));
    if (!this.#isOpening) {
      this.#isOpening = true;
      void this.#open();
    }
    return result;
  }

  async return(): Promise<IteratorResult<StoredBatch, void>> {
    this.#finish(undefined);
    return { done: true, value: undefined };
  }

  /** Ends the watch: what was not yet taken is dropped on an abort and delivered before a failure. */
  readonly #abort = (): void => this.#finish(undefined);

  close(reason: Error): void {
    this.#finish(reason);
  }

  async #open(): Promise<void> {
    // Not before: one that is never read would stay for ever.
    this.#siblings.add(this);
    this.#signal.addEventListener('abort', this.#abort);
    const late = `4 DEADLINE_EXCEEDED: the watch was not opened within ${DEFAULT_DEADLINE_MS} ms`;
    this.#openTimer = setTimeout(() => this.#fail(new Error(late)), DEFAULT_DEADLINE_MS);
    try {
      const { stream, endpoint, report } = await this.#connection.openWatch();
      stream.on('error', (error: Error) => this.#fail(error));
      if (this.#end) {
        stream.cancel();
        return;
      }
      this.#stream = stream;
      this.#endpoint = endpoint;
      this.#report = report;
      stream.on('data', (response: IWatchResponse) => this.#take(response));
      stream.on('end', () => this.#fail(new Error('14 UNAVAILABLE: the watch was ended by the server')));
      // From the last one delivered, which is dropped when it comes: from the one after it, etcd leaves progress unanswered until there is
      // one. And to etcd 0 means "from now on".
      const start = Math.max(this.#position, 1);
      stream.write({ create_request: { ...rangeOf(this.#prefix), start_revision: String(start), fragment: true } });
    } catch (error) {
      this.#finish(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take(response: IWatchResponse): void {
    if (this.#end) return;
    try {
      if (response.canceled) throw this.#reasonOfCancel(response);
      if (response.created) {
        this.#isCreated = true;
        clearTimeout(this.#openTimer);
        if (this.#wantsProgress) this.#askForProgress();
        return;
      }
      if (response.events.length > 0 || this.#partial) this.#deliverEvents(response);
      else this.#deliverProgress(parseRevision(response.header.revision));
    } catch (error) {
      this.#fail(error);
    }
  }

  #reasonOfCancel({ compact_revision, cancel_reason }: IWatchResponse): Error {
    const oldest = parseRevision(compact_revision);
    if (oldest > 0) {
      return new CompactedError(
        `etcd at ${this.#endpoint} keeps nothing before revision ${oldest}, and ${this.#position} was asked for; list again`,
        {
          details: { oldest },
        },
      );
    }
    if (cancel_reason.includes('permission denied')) {
      return new PermissionDeniedError(`etcd at ${this.#endpoint}: ${cancel_reason}; the user may not watch ${this.#prefix}`);
    }
    return new UnavailableError(`etcd at ${this.#endpoint} cancelled the watch: ${cancel_reason || 'without a reason'}`);
  }

  /** A fragment may end within a revision, whose changes then wait for the next one. */
  #deliverEvents({ events, fragment }: IWatchResponse): void {
    for (const event of events) {
      const revision = parseRevision(event.kv.mod_revision);
      // The one the watch starts from; a server that has it not yet may begin earlier still.
      if (revision <= this.#position) continue;
      if (this.#partial && revision !== this.#partial.revision) this.#deliverPartial();
      this.#partial ??= { revision, changes: [] };
      this.#partial.changes.push(toChange(event));
    }
    if (!fragment) this.#deliverPartial();
  }

  #deliverPartial(): void {
    const complete = this.#partial;
    this.#partial = undefined;
    if (complete) this.#push(complete);
  }

  #deliverProgress(revision: Revision): void {
    // A member that lags behind the one watched before.
    if (revision < this.#position) return;
    this.#wantsProgress = false;
    clearInterval(this.#progressTimer);
    this.#progressTimer = undefined;
    this.#push({ revision, changes: [] });
  }

  #push(batch: StoredBatch): void {
    this.#position = batch.revision;
    const reader = this.#readers.shift();
    if (reader) return reader.resolve({ done: false, value: batch });
    this.#waiting.push(batch);
    this.#waitingBytes += batchBytes(batch);
    if (this.#isFull) this.#stream?.pause();
  }

  get #isFull(): boolean {
    return this.#waiting.length >= MOST_WAITING || this.#waitingBytes >= MOST_WAITING_BYTES;
  }

  #askForProgress(): void {
    if (!this.#isCreated || this.#end) return;
    // Answers would only pile up before a reader that is behind.
    if (!this.#isFull) this.#stream?.write({ progress_request: {} });
    this.#progressTimer ??= setInterval(() => this.#askForProgress(), PROGRESS_AGAIN_MS);
  }

  #fail(error: unknown): void {
    if (this.#end) return;
    void this.#report?.(error);
    this.#finish(toAttuneError(error, this.#endpoint, false));
  }

  #finish(failure: Error | undefined): void {
    if (this.#end) return;
    this.#end = { failure };
    clearInterval(this.#progressTimer);
    clearTimeout(this.#openTimer);
    this.#signal.removeEventListener('abort', this.#abort);
    if (!failure) this.#waiting.length = 0;
    this.#stream?.cancel();
    this.#siblings.delete(this);
    const [first, ...others] = this.#readers.splice(0);
    if (first && failure) {
      this.#end = { failure: undefined };
      first.reject(failure);
    } else first?.resolve({ done: true, value: undefined });
    for (const reader of others) reader.resolve({ done: true, value: undefined });
  }
}
