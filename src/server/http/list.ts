import { formatCursor, parseCursor, type Cursor } from '../../core/cursor.ts';
import { AttuneError } from '../../core/errors.ts';
import { prefixEnd } from '../../core/byte-order.ts';
import { quoteForMessage, type ConfigKey } from '../../core/key.ts';
import type { ResetReason } from '../../core/item.ts';
import type { Revision } from '../../core/revision.ts';
import type { MirrorView } from '../cache/mirror.ts';
import { firstVersionOf, selectChanges, type ConfigBatch, type ConfigService } from '../config-service.ts';
import { renderValue } from '../store/render-item.ts';
import { jsonAnswer, NO_STORE, REVALIDATE, type Answer } from './answer.ts';
import { ifNoneMatch } from './conditions.ts';
import { clientOf, send, sendJson, type Exchange } from './exchange.ts';
import { parseFilter, parsePrefix } from './filter.ts';
import type { LongPolls } from './long-poll.ts';
import { awaitPosition, cursorGone, locateForPoll } from './position.ts';
import { parseQuery, type Query } from './query.ts';

export const LIST_PATH = '/api/v1/configs';

const DEFAULT_LIMIT = 1_000;
const MAX_LIMIT = 10_000;
/** A page ends early once it holds this much, so that an answer is bounded whatever the values are. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
/** Changes in one answer of a long-poll; the cursor then tells how far it got. */
const MAX_POLL_CHANGES = 1_000;
const MAX_POLL_BYTES = 4 * 1024 * 1024;

const PARAMETERS = {
  prefix: 'many',
  key: 'many',
  watch: 'flag',
  since: 'single',
  wait: 'single',
  delimiter: 'single',
  limit: 'single',
  after: 'single',
  keysOnly: 'flag',
  raw: 'flag',
  consistency: 'single',
  minRevision: 'single',
  cursor: 'single',
} as const;

type ListQuery = Query<keyof typeof PARAMETERS>;

const ONLY_WATCH = ['key', 'since', 'wait'] as const;
/** Whoever gives one waits, or wants more than what is here. */
const NOT_PLAIN = [...ONLY_WATCH, 'consistency', 'minRevision', 'cursor'] as const;
const ONLY_LIST = ['delimiter', 'limit', 'after', 'keysOnly', 'raw', 'cursor'] as const;

/** `GET /configs`: a page of items, or a long-poll for the changes of many keys. */
export async function getItems(exchange: Exchange, polls: LongPolls): Promise<void> {
  const { service, request } = exchange;
  if (request.headers.accept?.toLowerCase().includes('text/event-stream')) {
    throw new AttuneError('NOT_ACCEPTABLE', 'event streams are at /api/v1/watch, with the same prefix and key parameters');
  }
  const query = parseQuery(request.url ?? '', PARAMETERS);
  const isWatch = query.flag('watch');
  for (const name of isWatch ? ONLY_LIST : ONLY_WATCH) {
    if (query.has(name))
      throw new AttuneError(
        'INVALID_ARGUMENT',
        isWatch ? `${name} does not go with watch` : `${name} goes with watch; write ?watch&${name}=...`,
      );
  }
  service.requireReadable();
  await awaitPosition(exchange, { minRevision: query.get('minRevision'), consistency: query.get('consistency') });
  const first = query.get('cursor');
  // Changes up to the first page's cursor are never told again: a node that is behind it must not serve the pages after.
  if (first !== undefined) await awaitPosition(exchange, { minRevision: formatCursor(parseCursor(first, 'cursor')) });
  return isWatch ? pollChanges(exchange, query, polls) : listItems(exchange, query);
}

function listItems(exchange: Exchange, query: ListQuery): void {
  const { service, request } = exchange;
  const { headers, text } = readList(service, query, (etag) => ifNoneMatch(request, etag) === true);
  if (text) sendJson(exchange, 200, text, headers);
  else send(exchange, { status: 304, headers });
}

/**
 * The answer to a list that is the same until the node moves on, a 304 if it `isKnown`; undefined for one that waits for something, or is to be
 * indented.
 * @throws {AttuneError} INVALID_ARGUMENT
 */
export function plainListAnswer(service: ConfigService, url: string, isKnown: boolean): Answer | undefined {
  const query = parseQuery(url, PARAMETERS);
  if (query.flag('watch') || NOT_PLAIN.some((name) => query.has(name)) || url.includes('pretty')) return undefined;
  const { headers, text } = readList(service, query, () => isKnown);
  return text ? jsonAnswer(200, Buffer.concat([text, LINE_FEED]), headers) : { status: 304, headers };
}

interface ListRead {
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: who asks has it. */
  readonly text: Buffer | undefined;
}

function readList(service: ConfigService, query: ListQuery, isKnown: (etag: string) => boolean): ListRead {
  const prefixes = query.all('prefix');
  if (prefixes.length > 1) throw new AttuneError('INVALID_ARGUMENT', 'a list has one prefix; for several use watch, or ask several times');
  const [isRaw, isKeysOnly] = [query.flag('raw'), query.flag('keysOnly')];
  const delimiter = query.get('delimiter');
  if (isRaw && (isKeysOnly || delimiter !== undefined)) {
    throw new AttuneError('INVALID_ARGUMENT', `raw and ${isKeysOnly ? 'keysOnly' : 'delimiter'} contradict each other`);
  }
  if (delimiter !== undefined && delimiter !== '/')
    throw new AttuneError('INVALID_ARGUMENT', `delimiter=${quoteForMessage(delimiter)} is not taken; keys are divided by '/'`);
  const limit = query.integer('limit', 1, MAX_LIMIT) ?? DEFAULT_LIMIT;
  const prefix = parsePrefix(prefixes[0] ?? '');
  const first = query.get('cursor');

  const etag = service.cursor;
  const caching = query.get('consistency') === 'strong' ? NO_STORE : REVALIDATE;
  const headers: Record<string, string> = { ETag: `"${etag}"`, 'Cache-Control': caching };
  if (isKnown(etag)) return { headers, text: undefined };

  const view = service.view();
  const page = collectPage(service, view, {
    prefix,
    after: query.get('after') ?? '',
    limit,
    isFolded: delimiter !== undefined,
    ...(isKeysOnly && { isKeysOnly }),
    isRaw,
  });
  const next = page.last === undefined ? undefined : nextUrl(query, prefix, limit, page.last, first ?? etag);
  if (next !== undefined) headers['Link'] = `<${next}>; rel="next"`;
  if (isRaw) return { headers, text: Buffer.concat([Buffer.from('{'), ...joined(page.items), Buffer.from('}')]) };
  const head = `{"revision":${view.revision},"cursor":${JSON.stringify(first ?? etag)},"items":[`;
  const folders = delimiter === undefined ? '' : `,"prefixes":${JSON.stringify(page.folders)}`;
  const tail = `]${folders}${next === undefined ? '' : `,"next":${JSON.stringify(next)}`}}`;
  return { headers, text: Buffer.concat([Buffer.from(head), ...joined(page.items), Buffer.from(tail)]) };
}

interface PageOptions {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
  readonly isFolded: boolean;
  readonly isKeysOnly?: boolean;
  readonly isRaw: boolean;
}

interface Page {
  readonly items: readonly Buffer[];
  readonly folders: readonly string[];
  /** The last key or folder of a page that was cut; undefined if nothing follows. */
  readonly last: string | undefined;
}

function collectPage(service: ConfigService, view: MirrorView, options: PageOptions): Page {
  const { prefix, after, limit, isFolded } = options;
  const items: Buffer[] = [];
  const folders: string[] = [];
  let bytes = 0;
  let last: string | undefined;
  // A folder ends in "/", which no key does: what lies in it has been told.
  let from: string | undefined = isFolded && after.endsWith('/') && after.length > prefix.length ? prefixEnd(after) : after;
  while (from !== undefined) {
    let folder: string | undefined;
    for (const key of service.keysFrom(view, prefix, from)) {
      if (key === after) continue;
      if (items.length + folders.length >= limit || bytes >= MAX_PAGE_BYTES) return { items, folders, last };
      const slash = isFolded ? key.indexOf('/', prefix.length) : -1;
      if (slash >= 0) {
        folder = key.slice(0, slash + 1);
        break;
      }
      const item = renderEntry(service, view, key, options);
      items.push(item);
      bytes += item.byteLength;
      last = key;
    }
    if (folder === undefined) return { items, folders, last: undefined };
    folders.push(folder);
    last = folder;
    from = prefixEnd(folder);
  }
  return { items, folders, last: undefined };
}

function renderEntry(service: ConfigService, view: MirrorView, key: ConfigKey, { isKeysOnly, isRaw }: PageOptions): Buffer {
  if (isKeysOnly) return Buffer.from(`{"key":${JSON.stringify(key)},"version":${view.get(service.layout.valueKey(key))?.revision ?? 0}}`);
  if (!isRaw) return service.renderedItem(key, view) ?? Buffer.alloc(0);
  const item = service.get(key, view);
  return Buffer.from(`${JSON.stringify(key)}:${item ? renderValue(item) : 'null'}`);
}

function nextUrl(query: ListQuery, prefix: string, limit: number, last: string, cursor: string): string {
  const next = new URLSearchParams();
  if (prefix !== '') next.set('prefix', prefix);
  if (query.has('delimiter')) next.set('delimiter', '/');
  next.set('limit', String(limit));
  if (query.flag('raw')) next.set('raw', 'true');
  if (query.flag('keysOnly')) next.set('keysOnly', 'true');
  next.set('after', last);
  next.set('cursor', cursor);
  return `/api/v1/configs?${next.toString()}`;
}

const COMMA = Buffer.from(',');
const LINE_FEED = Buffer.from('\n');
const joined = (parts: readonly Buffer[]): Buffer[] => parts.flatMap((part, index) => (index === 0 ? [part] : [COMMA, part]));

/** Long-poll for many: always 200, empty at the end, with a cursor that has advanced. */
async function pollChanges(exchange: Exchange, query: ListQuery, polls: LongPolls): Promise<void> {
  const { service, request, departure } = exchange;
  const filter = parseFilter(query.all('key'), query.all('prefix'));
  const waitMs = request.method === 'HEAD' ? 0 : query.wait('wait');
  const since = query.get('since');
  let at = service.cursorAt(since === undefined ? service.revision : await locateForPoll(exchange, parseCursor(since)));
  const gone = (reason: ResetReason): never => {
    throw cursorGone(service, reason);
  };
  const collect = (): CollectedChanges => {
    const located = service.locate(at);
    if ('reset' in located) return gone(located.reset);
    const collected = collectChanges(service, filter, located.position);
    at = collected.cursor;
    return collected;
  };
  let isCurrent = false;
  const evaluate = (batch: ConfigBatch | undefined): CollectedChanges | undefined => {
    // Once looked at, nothing of this filter lies between `at` and what comes, however far the window has moved on over others' changes.
    if (isCurrent) at = service.cursorAt(Math.max(at.revision, batch ? firstVersionOf(batch) - 1 : service.revision) as Revision);
    isCurrent = true;
    const collected = collect();
    return collected.changes.length > 0 ? collected : undefined;
  };
  const found = await polls.wait({ filter, waitMs, departure, client: clientOf(request), onReset: gone, evaluate });
  if (departure.isGone) return;
  // Between the end of the wait and here the mirror may have moved: what the cursor passes is told.
  const { changes, cursor, gap } = found ?? collect();
  sendJson(
    exchange,
    200,
    `{"revision":${cursor.revision},"cursor":${JSON.stringify(formatCursor(cursor))},"changes":[${changes.join(',')}]${gap ? ',"gap":true' : ''}}`,
  );
}

interface CollectedChanges {
  readonly changes: readonly string[];
  /** Everything up to here is told. */
  readonly cursor: Cursor;
  readonly gap: boolean;
}

function collectChanges(service: ConfigService, filter: ReturnType<typeof parseFilter>, after: Revision): CollectedChanges {
  const changes: string[] = [];
  let bytes = 0;
  let gap = false;
  let upTo = after;
  for (let batch = service.window.next(after); batch; batch = service.window.next(upTo)) {
    // Whole batches only: a cursor never stands inside one.
    if (changes.length >= MAX_POLL_CHANGES || bytes >= MAX_POLL_BYTES) return { changes, cursor: service.cursorAt(upTo), gap };
    for (const change of selectChanges(batch, filter, after)) {
      const text = service.renderedChange(change);
      changes.push(text);
      bytes += text.length;
      gap ||= batch.gap;
    }
    upTo = batch.revision;
  }
  return { changes, cursor: service.cursorAt(service.revision), gap };
}
