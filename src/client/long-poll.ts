import { isAttuneError, ProtocolError } from '../core/errors.ts';
import type { ConfigItem } from '../core/item.ts';
import { expectCursor, type ServerFrame } from './frames.ts';
import { mediaTypeOf } from './media-type.ts';
import { formatQuery } from './request-path.ts';
import { sendRequest } from './requests.ts';
import type { Incoming, Transport } from './transport.ts';
import { expectList, expectRevision, expectString, parseChange, parseItem, parseJsonObject, type WireObject } from './wire.ts';

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

/**
 * Long-polls, told as the frames that a stream would have had: the state or the changes since, `synced`, then each answer. Throws as
 * requests do; a position that is of no use is told as `reset`, and the state follows.
 */
export async function* longPoll(options: LongPollOptions): AsyncGenerator<ServerFrame, void, undefined> {
  const { cursor, signal } = options;
  try {
    let since = cursor;
    // At once: only an answer proves that the position is still good.
    let wait = 0;
    let isSynced = false;
    let isStale = false;
    for (;;) {
      if (since === undefined) {
        const state = await readState(options);
        yield { kind: 'snapshot', revision: state.revision, items: state.items };
        yield { kind: 'synced', cursor: state.cursor, revision: state.revision, count: state.items.length };
        since = state.cursor;
        isSynced = true;
      }
      const answer = await ask(options, formatQuery({ prefix: options.prefixes, watch: true, since, wait: `${wait}ms` }), wait).catch(
        resetOf,
      );
      if ('kind' in answer) {
        yield answer;
        since = undefined;
        continue;
      }
      const { body, staleMs } = answer;
      const changes = expectList(body['changes'], 'changes').map((change) => parseChange(change));
      const position = { cursor: expectCursor(body['cursor'], 'poll'), revision: expectRevision(body['revision'], 'the revision') };
      if (changes.length > 0) yield { kind: 'change', ...position, changes };
      else if (isSynced) yield { kind: 'bookmark', ...position };
      if (!isSynced) yield { kind: 'synced', ...position, count: 0 };
      if (staleMs !== undefined || isStale) {
        isStale = staleMs !== undefined;
        yield { kind: 'status', state: isStale ? 'stale' : 'live', since: options.transport.clock.now() - (staleMs ?? 0) };
      }
      isSynced = true;
      since = position.cursor;
      wait = WAIT_MS;
    }
  } catch (error) {
    // To stop is not to fail.
    if (!signal.aborted) throw error;
  }
}

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

/**
 * Page after page, prefix after prefix. They may be of different revisions: what changed meanwhile is told again by the polls that follow,
 * which begin where the first page was.
 */
async function readState(options: LongPollOptions) {
  const items = new Map<string, ConfigItem>();
  let first: { readonly cursor: string; readonly revision: ReturnType<typeof expectRevision> } | undefined;
  for (const prefix of options.prefixes) {
    let query: string | undefined = formatQuery({ prefix });
    while (query !== undefined) {
      const { body } = await ask(options, query);
      first ??= { cursor: expectCursor(body['cursor'], 'list'), revision: expectRevision(body['revision'], 'the revision') };
      for (const item of expectList(body['items'], 'the items').map((one) => parseItem(one))) items.set(item.key, item);
      // Only its query is taken: a token must never follow a URL to another host.
      query = body['next'] === undefined ? undefined : new URL(expectString(body['next'], 'next'), 'http://next.invalid/').search;
    }
  }
  if (!first) throw new ProtocolError('there is no prefix to ask for');
  return { ...first, items: [...items.values()] };
}

/** @throws whatever is not the refusal of a position. */
function resetOf(error: unknown): Extract<ServerFrame, { readonly kind: 'reset' }> {
  if (!isAttuneError(error, 'CURSOR_GONE')) throw error;
  const { reason } = error.details;
  return { kind: 'reset', reason: typeof reason === 'string' ? reason : 'epoch' };
}
