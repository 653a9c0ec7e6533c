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
import type { EtcdConnection, WatchStream } from './etcd-connection.ts';
import { toAttuneError } from './etcd-error.ts';
import { rangeOf, toChange } from './etcd-wire.ts';

/** etcd leaves a request for progress unanswered while the watch has to catch up; then it is asked again. Milliseconds. */
const PROGRESS_AGAIN_MS = 100;
/** Batches that wait for the reader; then the stream is not read on until it has taken them. */
const MOST_WAITING = 64;

/**
 * One watch on a stream of its own. Resumes after the last revision that was delivered, never at a header's: while a watch catches up,
 * headers carry the store's current revision, and the library's own watcher, which believes them, loses what lies between.
 */
export class EtcdWatch implements StoreWatch, AsyncIterator<StoredBatch, void, undefined> {
  readonly #connection: EtcdConnection;
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  readonly #onEnd: (watch: EtcdWatch) => void;
  readonly #waiting: StoredBatch[] = [];
  readonly #readers: { readonly resolve: (result: IteratorResult<StoredBatch, void>) => void; readonly reject: (error: Error) => void }[] =
    [];
  /** Everything up to here was handed to the reader, or is waiting for it. */
  #position: Revision;
  #fragments: IWatchResponse['events'] = [];
  #stream: WatchStream | undefined;
  #endpoint = '';
  #isOpening = false;
  #isCreated = false;
  #wantsProgress = false;
  #progressTimer: NodeJS.Timeout | undefined;
  #end: { readonly failure: Error | undefined } | undefined;

  constructor(connection: EtcdConnection, prefix: string, options: WatchOptions, onEnd: (watch: EtcdWatch) => void) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#position = options.after;
    this.#signal = options.signal;
    this.#onEnd = onEnd;
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
      if (this.#waiting.length === 0) this.#stream?.resume();
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
    this.#signal.addEventListener('abort', this.#abort);
    try {
      const { stream, endpoint } = await this.#connection.openWatch();
      stream.on('error', (error: Error) => this.#fail(error));
      if (this.#end) {
        stream.cancel();
        return;
      }
      this.#stream = stream;
      this.#endpoint = endpoint;
      stream.on('data', (response: IWatchResponse) => this.#take(response));
      stream.on('end', () => this.#fail(new UnavailableError(`etcd at ${endpoint} ended the watch`)));
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
        if (this.#wantsProgress) this.#askForProgress();
        return;
      }
      if (response.events.length > 0 || this.#fragments.length > 0) this.#deliverEvents(response);
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

  #deliverEvents({ events, fragment }: IWatchResponse): void {
    this.#fragments = this.#fragments.length === 0 ? events : [...this.#fragments, ...events];
    if (fragment) return;
    const complete = this.#fragments;
    this.#fragments = [];
    let revision: Revision | undefined;
    let changes: StoredChange[] = [];
    const deliver = (): void => {
      if (revision !== undefined && changes.length > 0) this.#push({ revision, changes });
    };
    for (const event of complete) {
      const at = parseRevision(event.kv.mod_revision);
      if (at !== revision) {
        deliver();
        changes = [];
        revision = at;
      }
      // A server may begin before the revision asked for.
      if (at > this.#position) changes.push(toChange(event));
    }
    deliver();
  }

  #deliverProgress(revision: Revision): void {
    this.#wantsProgress = false;
    clearTimeout(this.#progressTimer);
    this.#progressTimer = undefined;
    if (revision >= this.#position) this.#push({ revision, changes: [] });
  }

  #push(batch: StoredBatch): void {
    this.#position = batch.revision;
    const reader = this.#readers.shift();
    if (reader) return reader.resolve({ done: false, value: batch });
    this.#waiting.push(batch);
    if (this.#waiting.length >= MOST_WAITING) this.#stream?.pause();
  }

  #askForProgress(): void {
    if (!this.#isCreated || this.#end) return;
    this.#stream?.write({ progress_request: {} });
    this.#progressTimer ??= setInterval(() => this.#askForProgress(), PROGRESS_AGAIN_MS);
  }

  #fail(error: unknown): void {
    if (this.#end) return;
    this.#connection.report(error, this.#endpoint);
    this.#finish(toAttuneError(error, this.#endpoint, false));
  }

  #finish(failure: Error | undefined): void {
    if (this.#end) return;
    this.#end = { failure };
    clearInterval(this.#progressTimer);
    this.#signal.removeEventListener('abort', this.#abort);
    if (!failure) this.#waiting.length = 0;
    this.#stream?.cancel();
    this.#onEnd(this);
    const [first, ...others] = this.#readers.splice(0);
    if (first && failure) {
      this.#end = { failure: undefined };
      first.reject(failure);
    } else first?.resolve({ done: true, value: undefined });
    for (const reader of others) reader.resolve({ done: true, value: undefined });
  }
}
