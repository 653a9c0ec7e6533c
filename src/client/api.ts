import { InvalidArgumentError, isAttuneError, OutcomeUnknownError } from '../core/errors.ts';
import {
  metaOf,
  parseItemAnswer,
  parseKeyPage,
  parseListPage,
  parsePollAnswer,
  parseRawAnswer,
  parseStatusAnswer,
  type AnswerMeta,
  type ItemAnswer,
  type KeyPage,
  type ListPage,
  type PollAnswer,
  type RawAnswer,
  type StatusAnswer,
  type WriteAnswer,
} from './answers.ts';
import { systemClock, type Clock } from './clock.ts';
import { readEventStream, type StreamFrame } from './event-stream.ts';
import { putRequestOf, type PutBody } from './put-body.ts';
import { formatQuery, keyPath, type QueryValue } from './request-path.ts';
import { parseServerUrls } from './server-urls.ts';
import { sendRequest } from './requests.ts';
import { Transport, type Incoming } from './transport.ts';

export interface ApiOptions {
  /** One server or several of the same service; `http://host:8080`. */
  readonly url: string | readonly string[];
  /** Sent as a bearer token. A function is asked for each request. */
  readonly token?: string | (() => string | Promise<string>);
  readonly fetch?: typeof fetch;
  readonly userAgent?: string;
  /** For each server asked. Default 10 000 ms. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** For each server asked, until its answer has arrived in full. Default: the one given to {@link createApi}. */
  readonly timeoutMs?: number;
}

export interface ReadOptions extends RequestOptions {
  /** A cursor or a revision: nothing older is answered. */
  readonly minRevision?: string | number;
  /** `strong`: not older than the store itself at the time of asking. */
  readonly consistency?: 'strong';
}

export interface ListOptions extends RequestOptions {
  /** Default: everything. */
  readonly prefix?: string;
  /** Folds deeper keys into `prefixes`; usually `/`. */
  readonly delimiter?: string;
  /** Items a page. The server's default is 1 000, at most 10 000. */
  readonly limit?: number;
  /** Only keys after this one. */
  readonly after?: string;
}

export interface WriteConditions {
  /** The key is at this version; 0: it does not exist. */
  readonly ifVersion?: number;
  /** The item has this entity tag (without quotes); `*`: it exists. */
  readonly ifMatch?: string;
}

export interface Selection {
  /** Prefixes and keys are a union; both empty or left out mean everything. */
  readonly prefixes?: readonly string[];
  readonly keys?: readonly string[];
}

export interface PollOptions extends Selection, RequestOptions {
  readonly since: string;
  /** Default 30 000, at most 120 000. `timeoutMs` counts on top of it. */
  readonly waitMs?: number;
}

export interface StreamOptions extends Selection {
  /** Begin after this cursor; left out: now. */
  readonly since?: string | undefined;
  /** The same as the `Last-Event-ID` header, which a server prefers. */
  readonly lastEventId?: string | undefined;
  /** Ask the next of several servers: for coming back after a connection was lost. */
  readonly elsewhere?: boolean;
  /** Begin with the state, where there is no position to resume from. */
  readonly snapshot?: boolean;
  readonly signal?: AbortSignal;
  /** Until the answer begins. Default 10 000 ms. */
  readonly connectTimeoutMs?: number;
  /** Without a single byte, pings included, the connection counts as dead. Default 45 000 ms: three missed pings. */
  readonly silenceMs?: number;
  /** Default 64 Mi characters; a longer frame is a ProtocolError. */
  readonly maxFrameChars?: number;
  readonly onOpen?: (server: string) => void;
  /** The server's `retry:` field. */
  readonly onRetry?: (retryMs: number) => void;
}

/**
 * The HTTP API, typed: one method a request, nothing kept between them but which server answered last.
 *
 * Every failure is an AttuneError: what a problem document says, with its `code` and `details` (status, requestId, errors, retryAfterMs
 * and the document's other members); UNAVAILABLE, naming the URL, when no server can be reached; PROTOCOL when what answers is no Attune
 * server; INVALID_KEY without asking. An aborted read rejects with the signal's reason. Reads go on to the next server when one is not
 * reached; a write is sent at most once: OUTCOME_UNKNOWN if it may have been applied, UNAVAILABLE if it certainly was not.
 */
export interface Api {
  /** @throws {AttuneError} NOT_FOUND */
  get(key: string, options?: ReadOptions): Promise<ItemAnswer>;
  /** The bare value. @throws {AttuneError} NOT_FOUND */
  getRaw(key: string, options?: ReadOptions): Promise<RawAnswer>;
  /** Page after page. The pages may be of different revisions: watch from `cursor`, or stream a snapshot, to see one state. */
  list(options?: ListOptions): AsyncGenerator<ListPage, void, undefined>;
  /** The same without values. */
  listKeys(options?: ListOptions): AsyncGenerator<KeyPage, void, undefined>;
  /** @throws {AttuneError} CONFLICT with `details.current`, and what else the server refuses. */
  put(key: string, body: PutBody, options?: WriteConditions & RequestOptions): Promise<WriteAnswer>;
  /** @throws {AttuneError} NOT_FOUND; CONFLICT */
  delete(key: string, options?: WriteConditions & RequestOptions): Promise<AnswerMeta>;
  status(options?: RequestOptions): Promise<StatusAnswer>;
  /** Waits for changes after `since`; empty, with an advanced cursor, if there are none. @throws {AttuneError} CURSOR_GONE */
  poll(options: PollOptions): Promise<PollAnswer>;
  /** One connection's frames: see {@link readEventStream}. Ends quietly when `signal` aborts. Reconnecting is the caller's. */
  openStream(options?: StreamOptions): AsyncGenerator<StreamFrame, void, undefined>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_WAIT_MS = 30_000;
const DEFAULT_SILENCE_MS = 45_000;
const DEFAULT_MAX_FRAME_CHARS = 64 * 1024 * 1024;

/** @throws {InvalidArgumentError} a URL that cannot be one. */
export function createApi(options: ApiOptions): Api {
  const { clock = systemClock, timeoutMs } = options;
  const transport = new Transport({
    urls: parseServerUrls(options.url),
    token: options.token,
    userAgent: options.userAgent,
    // Called as a plain function: browsers refuse a fetch whose `this` is another object.
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    clock,
  });
  return createApiOver(transport, timeoutMs);
}

/** The API over a transport there is. */
export function createApiOver(transport: Transport, defaultTimeoutMs = DEFAULT_TIMEOUT_MS): Api {
  const timing = (given: RequestOptions, extraMs = 0) => ({
    signal: given.signal,
    timeoutMs: (given.timeoutMs ?? defaultTimeoutMs) + extraMs,
  });
  const read = (target: string, accept: string, given: RequestOptions, extraMs = 0): Promise<Incoming> =>
    sendRequest(transport, { method: 'GET', target, accept, ...timing(given, extraMs) });
  const readItem = (key: string, given: ReadOptions, accept: string, raw: boolean): Promise<Incoming> =>
    read(`${keyPath(key)}${formatQuery({ raw, minRevision: given.minRevision, consistency: given.consistency })}`, accept, given);

  async function* pages<P extends { readonly cursor: string; readonly next: string | undefined }>(
    given: ListOptions,
    keysOnly: boolean,
    parse: (answer: Incoming) => P,
  ): AsyncGenerator<P, void, undefined> {
    let query: string | undefined = formatQuery({
      prefix: given.prefix,
      delimiter: given.delimiter,
      limit: given.limit,
      after: given.after,
      keysOnly,
    });
    let cursor: string | undefined;
    while (query !== undefined) {
      const page = parse(await read(`/api/v1/configs${query}`, 'application/json', given));
      cursor ??= page.cursor;
      yield { ...page, cursor };
      // Only its query is taken: a token must never follow a URL to another host.
      query = page.next === undefined ? undefined : new URL(page.next, 'http://next.invalid/').search;
    }
  }

  return {
    get: async (key, given = {}) => parseItemAnswer(await readItem(key, given, 'application/json', false)),
    getRaw: async (key, given = {}) => parseRawAnswer(await readItem(key, given, '*/*', true)),
    list: (given = {}) => pages(given, false, parseListPage),
    listKeys: (given = {}) => pages(given, true, parseKeyPage),
    put: async (key, body, given = {}) => {
      const { query, headers, content } = putRequestOf(body);
      const answer = await sendRequest(transport, {
        method: 'PUT',
        target: `${keyPath(key)}${formatQuery({ ...query, ifVersion: given.ifVersion })}`,
        accept: 'application/json',
        headers: { ...headers, 'if-match': formatIfMatch(given.ifMatch) },
        body: content,
        ...timing(given),
      });
      return { ...sentAndAnswered(() => parseItemAnswer(answer)), created: answer.status === 201 };
    },
    delete: async (key, given = {}) => {
      const answer = await sendRequest(transport, {
        method: 'DELETE',
        target: `${keyPath(key)}${formatQuery({ ifVersion: given.ifVersion })}`,
        accept: 'application/json',
        headers: { 'if-match': formatIfMatch(given.ifMatch) },
        ...timing(given),
      });
      return sentAndAnswered(() => metaOf(answer));
    },
    status: async (given = {}) => parseStatusAnswer(await read('/api/v1/status', 'application/json', given)),
    poll: async (given) => {
      const waitMs = given.waitMs ?? DEFAULT_WAIT_MS;
      const query: Record<string, QueryValue> = {
        prefix: given.prefixes,
        key: given.keys,
        watch: true,
        since: given.since,
        wait: `${waitMs}ms`,
      };
      return parsePollAnswer(await read(`/api/v1/configs${formatQuery(query)}`, 'application/json', given, waitMs));
    },
    openStream: (given = {}) =>
      readEventStream(transport, {
        target: `/api/v1/watch${formatQuery({ prefix: given.prefixes, key: given.keys, since: given.since, snapshot: given.snapshot ?? false })}`,
        lastEventId: given.lastEventId,
        elsewhere: given.elsewhere ?? false,
        signal: given.signal,
        connectTimeoutMs: given.connectTimeoutMs ?? DEFAULT_TIMEOUT_MS,
        silenceMs: given.silenceMs ?? DEFAULT_SILENCE_MS,
        maxFrameChars: given.maxFrameChars ?? DEFAULT_MAX_FRAME_CHARS,
        onOpen: given.onOpen,
        onRetry: given.onRetry,
      }),
  };
}

function formatIfMatch(tag: string | undefined): string | undefined {
  if (tag === undefined || tag === '*') return tag;
  if (!/^[\w-]+$/.test(tag))
    throw new InvalidArgumentError(`ifMatch '${tag}' is not an entity tag; give an item's etag as it is, without quotes`);
  return `"${tag}"`;
}

/** A write was sent: an answer that makes no sense does not tell whether it was applied. */
function sentAndAnswered<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isAttuneError(cause, 'PROTOCOL')) throw cause;
    throw new OutcomeUnknownError(`the write may have been applied, but its answer makes no sense: ${cause.message}`, { cause });
  }
}
