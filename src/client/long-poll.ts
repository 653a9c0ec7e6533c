import { isAttuneError, ProtocolError, UnavailableError } from '../core/errors.ts';
import type { ConfigItem } from '../core/item.ts';
import type { Revision } from '../core/revision.ts';
import { sleep } from './clock.ts';
import { expectCursor, type ServerFrame } from './frames.ts';
import { mediaTypeOf } from './media-type.ts';
import { formatQuery } from './request-path.ts';
import { sendRequest } from './requests.ts';
import type { Incoming, Transport } from './transport.ts';
import { expectKind, parseChanges, parseItem, parseJsonObject, type WireChange, type WireObject } from './wire.ts';

export interface LongPollOptions {
  readonly transport: Transport;
  readonly prefixes: readonly string[];
  /** Where to go on; undefined: begin with the state. */
  readonly cursor: string | undefined;
  readonly signal: AbortSignal;
  /** For an answer, on top of the time it may wait. */
  readonly timeoutMs: number;
}

const WAIT_MS = 30_000;
/** Answers that come sooner, and are empty, were not held: something in between does not wait. */
const HELD_MS = 1_000;
/** Positions refused so soon after each other are no reason to list again, but to wait. */
const RESETS_APART_MS = 5_000;

/**
 * Long-polls, told as the frames that a stream would have had: the state or the changes since, `synced`, then each answer. Throws as
 * requests do; a position that is of no use is told as `reset`, and the state follows.
 */
export async function* longPoll(options: LongPollOptions): AsyncGenerator<ServerFrame, void, undefined> {
  const { cursor, signal, transport } = options;
  const { clock } = transport;
  let isStale = false;
  const statusOf = function* ({ staleMs }: Answer): Generator<ServerFrame> {
    if (staleMs === undefined && !isStale) return;
    isStale = staleMs !== undefined;
    yield { kind: 'status', state: isStale ? 'stale' : 'live', since: clock.now() - (staleMs ?? 0) };
  };
  try {
    let since = cursor;
    let isSynced = false;
    let resetAt = Number.NEGATIVE_INFINITY;
    for (;;) {
      if (since === undefined) {
        const { items, cursor: reached, revision, answer } = await readState(options);
        yield* statusOf(answer);
        yield { kind: 'snapshot', revision, items };
        yield { kind: 'synced', cursor: reached, revision, count: items.length };
        since = reached;
        isSynced = true;
      }
      const askedAt = clock.now();
      // At once the first time: only an answer proves that the position is still good.
      const answer: PollAnswer | Reset = await poll(options, since, isSynced ? WAIT_MS : 0).catch(resetOf);
      if ('kind' in answer) {
        if (clock.now() - resetAt < RESETS_APART_MS)
          throw new UnavailableError(`the servers refuse each other's positions (${answer.reason})`);
        resetAt = clock.now();
        yield answer;
        since = undefined;
        continue;
      }
      const { changes, cursor: reached, revision } = answer;
      const position = { cursor: reached, revision };
      yield* statusOf(answer);
      if (changes.length > 0) yield { kind: 'change', ...position, changes };
      if (!isSynced) yield { kind: 'synced', ...position, count: 0 };
      else if (changes.length === 0) {
        yield { kind: 'bookmark', ...position };
        if (clock.now() - askedAt < HELD_MS) await sleep(clock, HELD_MS, signal);
      }
      isSynced = true;
      since = reached;
    }
  } catch (error) {
    // To stop is not to fail.
    if (!signal.aborted) throw error;
  }
}

type Reset = Extract<ServerFrame, { readonly kind: 'reset' }>;

interface Answer {
  readonly body: WireObject;
  /** For how long the server has been without its store. */
  readonly staleMs: number | undefined;
}

async function ask({ transport, signal, timeoutMs }: LongPollOptions, query: string, waitMs = 0): Promise<Answer> {
  const answer = await sendRequest(transport, {
    method: 'GET',
    target: `/api/v1/configs${query}`,
    accept: 'application/json',
    signal,
    timeoutMs: timeoutMs + waitMs,
  });
  const stale = Number(answer.headers.get('attune-stale') ?? Number.NaN);
  return { body: parseBody(answer), staleMs: Number.isNaN(stale) ? undefined : stale * 1_000 };
}

function parseBody({ server, headers, bytes }: Incoming): WireObject {
  const type = mediaTypeOf(headers);
  if (type !== 'application/json') throw new ProtocolError(`${server} answered ${type} where JSON was asked for; is this its URL?`);
  return parseJsonObject(new TextDecoder().decode(bytes), 'the answer');
}

interface PollAnswer extends Answer {
  readonly cursor: string;
  readonly revision: Revision;
  readonly changes: readonly WireChange[];
}

async function poll(options: LongPollOptions, since: string, waitMs: number): Promise<PollAnswer> {
  const answer = await ask(options, formatQuery({ prefix: options.prefixes, watch: true, since, wait: `${waitMs}ms` }), waitMs);
  return {
    ...answer,
    ...positionOf(answer),
    changes: parseChanges(answer.body),
  };
}

function positionOf({ body }: Answer): { readonly cursor: string; readonly revision: Revision } {
  return { cursor: expectCursor(body['cursor'], 'the answer'), revision: expectKind(body['revision'], 'a revision', 'the revision') };
}

/**
 * The state as of one revision. Lists come page after page, prefix after prefix, none older than the first page; what changed meanwhile is
 * told by a poll from there.
 */
async function readState(
  options: LongPollOptions,
): Promise<{ readonly cursor: string; readonly revision: Revision; readonly items: readonly ConfigItem[]; readonly answer: Answer }> {
  const items = new Map<string, ConfigItem>();
  let first: string | undefined;
  for (const prefix of options.prefixes) {
    let query: string | undefined = formatQuery({ prefix, minRevision: first });
    while (query !== undefined) {
      const answer = await ask(options, query);
      first ??= positionOf(answer).cursor;
      for (const item of expectKind(answer.body['items'], 'a list', 'items').map(parseItem)) items.set(item.key, item);
      // Only its query is taken: a token must never follow a URL to another host.
      const { next } = answer.body;
      query = next === undefined ? undefined : new URL(expectKind(next, 'a string', 'next'), 'http://next.invalid/').search;
    }
  }
  if (first === undefined) throw new ProtocolError('there is no prefix to ask for');
  const answer = await poll(options, first, 0);
  for (const { type, key, newValue: value, version, timestamp: lastUpdated, contentType, metadata } of answer.changes) {
    const createdVersion = items.get(key)?.createdVersion ?? version;
    if (type === 'deleted') items.delete(key);
    else items.set(key, { key, value, version, lastUpdated, contentType, metadata, createdVersion, etag: '' });
  }
  return { cursor: answer.cursor, revision: answer.revision, items: [...items.values()], answer };
}

/** @throws whatever is not the refusal of a position. */
function resetOf(error: unknown): Reset {
  if (!isAttuneError(error, 'CURSOR_GONE')) throw error;
  const { reason } = error.details;
  return { kind: 'reset', reason: typeof reason === 'string' ? reason : 'epoch' };
}
