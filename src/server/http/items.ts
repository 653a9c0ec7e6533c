import type { IncomingMessage } from 'node:http';
import { assertNever } from '../../core/assert-never.ts';
import { BYTES_TYPE, JSON_TYPE } from '../../core/content.ts';
import { AttuneError } from '../../core/errors.ts';
import { parseKey, quoteForMessage, type ConfigKey } from '../../core/key.ts';
import type { Revision } from '../../core/revision.ts';
import type { ConfigService } from '../config-service.ts';
import { renderChange, renderItem } from '../store/render-item.ts';
import type { RenderedItem } from '../store/rendered-items.ts';
import { jsonAnswer, NO_STORE, REVALIDATE, type Answer } from './answer.ts';
import { ifNoneMatch, parseWriteCondition } from './conditions.ts';
import { clientOf, send, sendJson, type Exchange } from './exchange.ts';
import type { LongPolls } from './long-poll.ts';
import { awaitPosition } from './position.ts';
import { parsePutBody } from './put-body.ts';
import { parseQuery, type Query } from './query.ts';

const READ_PARAMETERS = {
  raw: 'flag',
  consistency: 'single',
  minRevision: 'single',
  watch: 'flag',
  version: 'single',
  wait: 'single',
} as const;

type ReadQuery = Query<keyof typeof READ_PARAMETERS>;

export const ITEMS_PATH = '/api/v1/configs/';
export const ITEM_ROUTE = `${ITEMS_PATH}{key}`;

/**
 * The key named by the path after {@link ITEMS_PATH}, percent-decoded once; slashes may be written plain or as `%2F`.
 * @throws {AttuneError} INVALID_KEY
 */
export function keyOfPath(rawPath: string): ConfigKey {
  const text = rawPath.slice(ITEMS_PATH.length);
  if (!text.includes('%')) return parseKey(text);
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw new AttuneError('INVALID_KEY', `invalid key ${quoteForMessage(text)}: not valid percent-encoded UTF-8; write "%" as %25`);
  }
  return parseKey(decoded);
}

/** `GET /configs/{key}`: the item, its bare value, or a long-poll for its next change. */
export async function getItem(exchange: Exchange, key: ConfigKey, polls: LongPolls): Promise<void> {
  const { service, request, response } = exchange;
  const query = parseQuery(request.url ?? '', READ_PARAMETERS);
  const isWatch = query.flag('watch');
  for (const [name, isMisplaced] of [
    ['version', !isWatch && query.has('version')],
    ['wait', !isWatch && query.has('wait')],
  ] as const) {
    if (isMisplaced) throw new AttuneError('INVALID_ARGUMENT', `${name} goes with watch; write ?watch&${name}=...`);
  }
  if (isWatch && query.flag('raw'))
    throw new AttuneError('INVALID_ARGUMENT', 'raw and watch contradict each other: a watch answers an event');
  service.requireReadable();
  await awaitPosition(exchange, { minRevision: query.get('minRevision'), consistency: query.get('consistency') });
  if (isWatch) return watchItem(exchange, key, query, polls);
  const preferredMs = request.method === 'HEAD' ? 0 : preferredWaitMs(request);
  const isHeld = preferredMs > 0 && request.headers['if-none-match'] !== undefined;
  if (isHeld) {
    const differs = (): true | undefined => (ifNoneMatch(request, etagOf(service, key)) === true ? undefined : true);
    const { departure } = exchange;
    const filter = { keys: [key], prefixes: [] };
    const client = clientOf(request);
    await polls.wait({ filter, waitMs: preferredMs, departure, client, evaluate: differs, onReset: () => true });
  }
  const isStrong = query.get('consistency') === 'strong';
  // A 404 was held for too.
  if (isHeld) response.setHeader('Preference-Applied', `wait=${preferredMs / 1_000}`);
  const headers = isHeld || isStrong ? { ...READ_HEADERS, 'Cache-Control': NO_STORE } : READ_HEADERS;
  const item = service.rendered(key);
  if (!item) throw notFound(key);
  if (ifNoneMatch(request, item.etag)) return send(exchange, itemAnswer(item, 'unchanged', headers));
  if (query.flag('raw')) return send(exchange, itemAnswer(item, 'raw', headers));
  if (exchange.pretty) return sendJson(exchange, 200, item.json, { ...headers, ETag: item.entityTag });
  send(exchange, itemAnswer(item, 'json', headers));
}

/** Of an answer that holds until it is asked for again. */
const READ_HEADERS = { 'Cache-Control': REVALIDATE, Vary: 'Prefer' };

/** What a read of `item` answers. */
export function itemAnswer(
  item: RenderedItem,
  form: 'json' | 'raw' | 'unchanged',
  headers: Readonly<Record<string, string>> = READ_HEADERS,
): Answer {
  const tagged = { ...headers, ETag: item.entityTag };
  switch (form) {
    case 'unchanged':
      return { status: 304, headers: tagged };
    case 'json':
      return jsonAnswer(200, item.jsonLine, tagged);
    case 'raw':
      return { status: 200, headers: { ...tagged, ...rawHeaders(item) }, body: item.raw };
    default:
      return assertNever(form);
  }
}

/** A stored value is data, whatever type it claims: a browser must not run it. */
function rawHeaders({ kind, contentType }: RenderedItem): Record<string, string> {
  const type = kind === 'json' ? JSON_TYPE : kind === 'bytes' ? BYTES_TYPE : `${contentType}; charset=utf-8`;
  return { 'Content-Type': type, 'Content-Security-Policy': "default-src 'none'; sandbox" };
}

/** Long-poll as an event: 200 as soon as the version differs from the one sent, 304 at the end. */
async function watchItem(exchange: Exchange, key: ConfigKey, query: ReadQuery, polls: LongPolls): Promise<void> {
  const { service, request, departure } = exchange;
  const known = query.integer('version', 0, Number.MAX_SAFE_INTEGER) as Revision | undefined;
  const waitMs = request.method === 'HEAD' ? 0 : query.wait('wait');
  const event = await polls.wait({
    filter: { keys: [key], prefixes: [] },
    waitMs,
    departure,
    client: clientOf(request),
    evaluate: (batch) => {
      if (known !== undefined) return eventSince(service, key, known);
      const change = batch?.derived.findLast((candidate) => candidate.key === key);
      return change && service.renderedChange(change);
    },
    onReset: () => eventSince(service, key, known ?? (0 as Revision)),
  });
  if (departure.isGone) return;
  if (event !== undefined) return sendJson(exchange, 200, event);
  const etag = etagOf(service, key);
  send(exchange, { status: 304, headers: { 'Cache-Control': NO_STORE, ...(etag !== undefined && { ETag: `"${etag}"` }) } });
}

/** The event that tells a reader of version `known` (0: of no such key) what is true now; undefined if it knows. */
function eventSince(service: ConfigService, key: ConfigKey, known: Revision): string | undefined {
  const version = service.versionOf(key);
  if (version === known) return undefined;
  if (version === undefined) {
    const deletion = service.deletionSince(key, known);
    return deletion && service.renderedChange(deletion);
  }
  const change = service.changeAt(key, version);
  if (change) return service.renderedChange(change);
  const item = service.get(key);
  if (!item) return undefined;
  // The window no longer tells what the value was before.
  const type = item.createdVersion > known ? 'created' : 'updated';
  return renderChange({
    type,
    key,
    version,
    before: undefined,
    after: item,
    timestamp: item.lastUpdated,
    updatedBy: item.updatedBy,
    described: item,
  });
}

/** What a write is answered with, in case of success. */
export interface WrittenAnswer {
  readonly status: 200 | 201;
  /** JSON. */
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Carries out `PUT /configs/{key}`. */
export async function writeItem(service: ConfigService, request: IncomingMessage, key: ConfigKey, body: Buffer): Promise<WrittenAnswer> {
  const query = parseQuery(request.url ?? '', { raw: 'flag', ifVersion: 'single' });
  const condition = parseWriteCondition(request, query.integer('ifVersion', 0, Number.MAX_SAFE_INTEGER));
  const result = await service.write({ type: 'put', key, condition, body: parsePutBody(request, body, query.flag('raw')) });
  if (result.type === 'deleted') throw new Error('a put was answered as a deletion');
  const etag = service.etagOf(result.item.version);
  return {
    status: result.type === 'created' ? 201 : 200,
    text: renderItem(result.item, etag),
    headers: { ETag: `"${etag}"`, Location: pathOf(key) },
  };
}

/** `DELETE /configs/{key}` */
export async function deleteItem(exchange: Exchange, key: ConfigKey): Promise<void> {
  const { service, request } = exchange;
  const query = parseQuery(request.url ?? '', { ifVersion: 'single' });
  const condition = parseWriteCondition(request, query.integer('ifVersion', 0, Number.MAX_SAFE_INTEGER));
  await service.write({ type: 'delete', key, condition });
  send(exchange, { status: 204, headers: { 'Cache-Control': NO_STORE } });
}

function etagOf(service: ConfigService, key: ConfigKey): string | undefined {
  const version = service.versionOf(key);
  return version === undefined ? undefined : service.etagOf(version);
}

const pathOf = (key: ConfigKey): string => ITEMS_PATH + key.split('/').map(encodeURIComponent).join('/');

function notFound(key: ConfigKey): AttuneError {
  return new AttuneError('NOT_FOUND', `there is no key ${key}`, { details: { key } });
}

/** `Prefer: wait=30` in milliseconds (RFC 7240, 4.3); 0 if not asked for. Preferences that are not understood are ignored, as the RFC says. */
function preferredWaitMs(request: IncomingMessage): number {
  const header = request.headers['prefer'];
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  const seconds = /(?:^|,)\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:[,;]|$)/i.exec(text)?.[1];
  return seconds === undefined ? 0 : Math.min(Number(seconds), 120) * 1_000;
}
