import { JSON_TYPE } from '../../core/content.ts';
import { parseCursor } from '../../core/cursor.ts';
import { AttuneError, InvalidArgumentError, isAttuneError } from '../../core/errors.ts';
import type { ConfigChangeEvent, ConfigItem, JsonValue, ResetReason } from '../../core/item.ts';
import { parseKey } from '../../core/key.ts';
import { jsonProblem } from '../json-value.ts';
import { MemoryStore, type StoredWrite } from './memory-store.ts';
import { matches, MemoryStream, type StreamFilter } from './memory-stream.ts';
import { Outage } from './outage.ts';
import { problemAnswer } from './problem-answer.ts';
import { parsePutEnvelope } from './put-envelope.ts';
import { parseCondition } from './write-condition.ts';

/** No host has a name that ends so (RFC 6761). */
export const MEMORY_URL = 'http://attune.test';

const ITEMS_PATH = '/api/v1/configs/';
const STREAM_PATH = '/api/v1/watch';
const MAX_SNAPSHOT_ITEMS = 256;

type InitialValues = Readonly<Record<string, JsonValue | undefined>>;

interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: unknown;
  readonly signal: AbortSignal | undefined;
}

/** Attune's HTTP API behind a `fetch` of its own, with nothing but memory behind it: what {@link ConfigClient} asks for, by the server's rules. */
export class MemoryService {
  #store = new MemoryStore();
  readonly #streams = new Set<MemoryStream>();
  readonly #outage = new Outage();

  /** For any client. */
  readonly fetch: typeof fetch = (input, init) => this.#fetch(input, init, false);

  /** For a client by whose clock time stands still: its stream waits for the end of an outage, whatever the cause. */
  readonly patientFetch: typeof fetch = (input, init) => this.#fetch(input, init, true);

  /** @throws {AttuneError} values that a server refuses. */
  constructor(values: InitialValues) {
    putAll(this.#store, values);
  }

  /** Stores a value as another client does. @throws {AttuneError} what a server refuses. */
  set(key: string, value: JsonValue): StoredWrite {
    return this.#told(putValue(this.#store, key, value));
  }

  /** False if there was no such key. */
  delete(key: string): boolean {
    if (!this.#store.get(parseKey(key))) return false;
    this.#tell(this.#store.delete(key));
    return true;
  }

  /** Begins another history with these values, as a store does that is restored or replaced. */
  reset(values: InitialValues): void {
    const store = this.#store.successor();
    putAll(store, values);
    this.#store = store;
    for (const stream of this.#streams) this.#sendState(stream, 'epoch');
  }

  goOffline(cause: unknown): void {
    this.#outage.begin(cause);
    for (const stream of [...this.#streams]) stream.fail(new TypeError('terminated', { cause }));
  }

  goOnline(): void {
    this.#outage.end();
  }

  /** Resolves when every reader has dealt with everything it was sent. */
  async idle(): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.idle()));
  }

  /** Sends every client away. */
  close(cause: unknown): void {
    this.#outage.begin(cause);
    for (const stream of [...this.#streams]) {
      stream.write('goaway', { retryMs: 0 });
      stream.end();
    }
  }

  async #fetch(input: Parameters<typeof fetch>[0], init: RequestInit = {}, isPatient: boolean): Promise<Response> {
    const signal = init.signal ?? undefined;
    signal?.throwIfAborted();
    const url = new URL(typeof input === 'string' ? input : 'href' in input ? input.href : input.url);
    const exchange = { method: init.method ?? 'GET', url, headers: new Headers(init.headers), body: init.body, signal };
    const isStream = url.pathname === STREAM_PATH;
    if (isStream) await this.#outage.over(signal, isPatient);
    try {
      this.#outage.check();
      return isStream ? this.#openStream(exchange) : this.#answer(exchange);
    } catch (error) {
      if (isAttuneError(error)) return problemAnswer(error, this.#position());
      throw error;
    }
  }

  #answer(exchange: Exchange): Response {
    const { url, method, headers } = exchange;
    if (!url.pathname.startsWith(ITEMS_PATH)) {
      throw new AttuneError('ROUTE_NOT_FOUND', `${url.pathname} is not answered by attune-client/testing; start a service for that`);
    }
    const key = parseKey(decodeURIComponent(url.pathname.slice(ITEMS_PATH.length)));
    if (method === 'GET') {
      const item = this.#store.get(key);
      if (!item) throw new AttuneError('NOT_FOUND', `there is no key ${key}`, { details: { key } });
      const isKnown = headers.get('if-none-match') === `"${item.etag}"`;
      return isKnown ? this.#respond(304, undefined, item) : this.#respond(200, item, item);
    }
    const condition = parseCondition(url.searchParams, headers);
    if (method === 'PUT') {
      const envelope = parsePutEnvelope(textOf(exchange.body), headers.get('content-type'));
      const { item, created } = this.#told(this.#store.put(key, envelope, condition));
      return this.#respond(created ? 201 : 200, item, item);
    }
    if (method !== 'DELETE') throw new AttuneError('METHOD_NOT_ALLOWED', `${method} does not go with ${ITEMS_PATH}{key}`);
    this.#tell(this.#store.delete(key, condition));
    return this.#respond(204);
  }

  #respond(status: number, body?: ConfigItem, item?: ConfigItem): Response {
    const headers = { ...this.#position(), ...(body && { 'content-type': JSON_TYPE }), ...(item && { etag: `"${item.etag}"` }) };
    return new Response(body ? JSON.stringify(body) : null, { status, headers });
  }

  #openStream({ url, headers, signal }: Exchange): Response {
    const prefixes = url.searchParams.getAll('prefix');
    const keys = url.searchParams.getAll('key').map(parseKey);
    const filter: StreamFilter = { prefixes: prefixes.length + keys.length === 0 ? [''] : prefixes, keys };
    const since = url.searchParams.get('since');
    if (since !== null) parseCursor(since);
    const stream = new MemoryStream(filter, (ended) => {
      this.#streams.delete(ended);
      signal?.removeEventListener('abort', abort);
    });
    const abort = (): void => stream.fail(signal?.reason);
    signal?.addEventListener('abort', abort);
    this.#streams.add(stream);
    this.#begin(stream, headers.get('last-event-id') ?? since ?? undefined, url.searchParams.has('snapshot'));
    return new Response(stream.body, { status: 200, headers: { ...this.#position(), 'content-type': 'text/event-stream' } });
  }

  #begin(stream: MemoryStream, cursor: string | undefined, wantsSnapshot: boolean): void {
    const missed = cursor === undefined ? [] : this.#store.changesAfter(cursor);
    if (typeof missed === 'string') return this.#sendState(stream, missed);
    if (cursor === undefined && wantsSnapshot) return this.#sendState(stream);
    for (const change of missed) this.#send(stream, change);
    this.#sendSynced(stream, 0);
  }

  #sendState(stream: MemoryStream, reason?: ResetReason): void {
    if (reason !== undefined) stream.write('reset', { reason });
    const items = this.#store.items().filter(({ key }) => matches(stream.filter, key));
    for (let from = 0; from < items.length; from += MAX_SNAPSHOT_ITEMS) {
      stream.write('snapshot', { revision: this.#store.revision, items: items.slice(from, from + MAX_SNAPSHOT_ITEMS) });
    }
    this.#sendSynced(stream, items.length);
  }

  #sendSynced(stream: MemoryStream, count: number): void {
    stream.write('synced', { revision: this.#store.revision, count }, this.#store.cursor);
  }

  #send(stream: MemoryStream, change: ConfigChangeEvent): void {
    if (!matches(stream.filter, change.key)) return;
    stream.write('change', { revision: change.version, changes: [change] }, this.#store.cursorAt(change.version));
  }

  #told(write: StoredWrite): StoredWrite {
    if (write.change) this.#tell(write.change);
    return write;
  }

  #tell(change: ConfigChangeEvent): void {
    for (const stream of this.#streams) this.#send(stream, change);
  }

  #position(): Record<string, string> {
    return { 'attune-revision': String(this.#store.revision), 'attune-cursor': this.#store.cursor };
  }
}

function putAll(store: MemoryStore, values: InitialValues): void {
  for (const [key, value] of Object.entries(values)) if (value !== undefined) putValue(store, key, value);
}

function putValue(store: MemoryStore, key: string, value: JsonValue): StoredWrite {
  const problem = jsonProblem(value);
  if (problem !== undefined) throw new InvalidArgumentError(`cannot set '${key}': ${problem}`);
  return store.put(parseKey(key), parsePutEnvelope(`{"value":${JSON.stringify(value)}}`, JSON_TYPE));
}

function textOf(body: unknown): string {
  if (typeof body === 'string') return body;
  return body instanceof Uint8Array ? new TextDecoder().decode(body) : '';
}
