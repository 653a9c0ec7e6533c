import { ProtocolError } from '../core/errors.ts';
import { JSON_TYPE } from '../core/content.ts';
import type { ConfigChangeEvent, ConfigItem } from '../core/item.ts';
import type { Revision } from '../core/revision.ts';
import { sliceJson } from './json-slices.ts';
import { mediaTypeOf } from './media-type.ts';
import type { Incoming } from './transport.ts';
import { expectKind, expectMembers, parseChanges, parseItem, parseJsonObject, type WireObject } from './wire.ts';

/** What every answer tells beside its body. A header that did not come through (a proxy, CORS) is undefined. */
export interface AnswerMeta {
  /** The server that answered. */
  readonly server: string;
  readonly status: number;
  /** `Attune-Revision`: the revision the answer was made at. */
  readonly revision: Revision | undefined;
  /** `Attune-Cursor`: send it as `minRevision` to read nothing older, on any node. */
  readonly cursor: string | undefined;
  /** `Attune-Stale`: for how long the store has been unreachable. */
  readonly staleMs: number | undefined;
}

/** An item. `item.value` went through JavaScript's numbers; `valueText` is exactly what is stored. */
export interface ItemAnswer extends AnswerMeta {
  readonly item: ConfigItem;
  /** JSON as it was written, text bare, other bytes in base64. */
  readonly valueText: string;
  /** The body as the server sent it. */
  readonly bodyText: string;
}

export interface WriteAnswer extends ItemAnswer {
  /** True if the key was absent before. */
  readonly created: boolean;
}

/** The bare value, as stored. */
export interface RawAnswer extends AnswerMeta {
  readonly bytes: Uint8Array;
  /** The media type with its parameters, if any. */
  readonly contentType: string;
  /** Without quotes, as `ifMatch` takes it. */
  readonly etag: string | undefined;
}

export interface ListPage extends AnswerMeta {
  /** The first page's, on every page: the only position from which watching misses nothing. */
  readonly cursor: string;
  /** The revision of this page. */
  readonly revision: Revision;
  readonly items: readonly ConfigItem[];
  /** Folders, where a delimiter was given. */
  readonly prefixes: readonly string[];
  readonly hasNext: boolean;
  /** The body as the server sent it. */
  readonly bodyText: string;
  /** Each item's value exactly as stored, by key: see {@link ItemAnswer.valueText}. */
  valueTexts(): ReadonlyMap<string, string>;
}

/** A key without its value, as a list of keys gives it. */
export interface KeyEntry {
  readonly key: string;
  readonly version: Revision;
}

export interface KeyPage extends AnswerMeta {
  readonly cursor: string;
  readonly revision: Revision;
  readonly keys: readonly KeyEntry[];
  readonly prefixes: readonly string[];
  readonly hasNext: boolean;
}

export interface PollAnswer extends AnswerMeta {
  readonly revision: Revision;
  /** Where the next poll goes on. */
  readonly cursor: string;
  readonly changes: readonly ConfigChangeEvent[];
}

/** `GET /status`. Members a server adds later are passed on. */
export interface StatusAnswer extends AnswerMeta {
  readonly body: WireObject & { readonly version: string; readonly state: string };
  readonly bodyText: string;
}

export function metaOf(answer: Incoming): AnswerMeta {
  const revision = answer.headers.get('attune-revision');
  const stale = answer.headers.get('attune-stale');
  return {
    server: answer.server,
    status: answer.status,
    revision: revision === null ? undefined : expectKind(Number(revision), 'a revision', 'Attune-Revision'),
    cursor: answer.headers.get('attune-cursor') ?? undefined,
    staleMs: stale === null || !/^\d+(\.\d+)?$/.test(stale) ? undefined : Number(stale) * 1_000,
  };
}

/** The body of an answer that must be JSON. @throws {ProtocolError} */
function jsonTextOf(answer: Incoming): string {
  const type = mediaTypeOf(answer.headers);
  if (type !== JSON_TYPE) {
    throw new ProtocolError(
      `${answer.server} answered ${type === '' ? 'without a content type' : type} where JSON was asked for; is this its URL?`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(answer.bytes);
  } catch (cause) {
    throw new ProtocolError(`${answer.server} sent bytes that are not UTF-8`, { cause });
  }
}

export function parseItemAnswer(answer: Incoming): ItemAnswer {
  const bodyText = jsonTextOf(answer);
  const item = parseItem(parseJsonObject(bodyText, 'the answer'));
  return { ...metaOf(answer), item, bodyText, valueText: valueTextOf(item, bodyText) };
}

export function parseRawAnswer(answer: Incoming): RawAnswer {
  const etag = /^"([^"]*)"$/.exec(answer.headers.get('etag') ?? '')?.[1];
  return { ...metaOf(answer), bytes: answer.bytes, contentType: answer.headers.get('content-type') ?? 'application/octet-stream', etag };
}

export function parseListPage(answer: Incoming): ListPage & { readonly next: string | undefined } {
  const bodyText = jsonTextOf(answer);
  const body = parseJsonObject(bodyText, 'the answer');
  const items = expectKind(body['items'], 'a list', "the answer's items").map(parseItem);
  return {
    ...parsePagePosition(answer, body),
    items,
    bodyText,
    valueTexts: () => {
      const texts = sliceJson(sliceJson(bodyText).get('items') ?? '[]');
      return new Map(items.map((item, index) => [item.key, valueTextOf(item, texts.get(String(index)) ?? '{}')]));
    },
  };
}

export function parseKeyPage(answer: Incoming): KeyPage & { readonly next: string | undefined } {
  const body = parseJsonObject(jsonTextOf(answer), 'the answer');
  const keys = expectKind(body['items'], 'a list', "the answer's items").map((value) => {
    const { key, version } = expectMembers(value, { key: 'a string', version: 'a revision' }, 'the entry');
    return { key, version };
  });
  return { ...parsePagePosition(answer, body), keys };
}

const POSITION = { cursor: 'a string', revision: 'a revision' } as const;

function parsePagePosition(answer: Incoming, body: WireObject) {
  const next = body['next'] === undefined ? undefined : expectKind(body['next'], 'a string', "the answer's next");
  const { cursor, revision } = expectMembers(body, POSITION, 'the answer');
  return {
    ...metaOf(answer),
    cursor,
    revision,
    prefixes: expectKind(body['prefixes'] ?? [], 'a list', "the answer's prefixes").map((prefix) =>
      expectKind(prefix, 'a string', 'a prefix'),
    ),
    next,
    hasNext: next !== undefined,
  };
}

export function parsePollAnswer(answer: Incoming): PollAnswer {
  const body = parseJsonObject(jsonTextOf(answer), 'the answer');
  const { cursor, revision } = expectMembers(body, POSITION, 'the answer');
  return { ...metaOf(answer), cursor, revision, changes: parseChanges(body) };
}

export function parseStatusAnswer(answer: Incoming): StatusAnswer {
  const bodyText = jsonTextOf(answer);
  const body = expectMembers(parseJsonObject(bodyText, 'the answer'), { version: 'a string', state: 'a string' }, 'the answer');
  return { ...metaOf(answer), body, bodyText };
}

/** Only JSON has a text of its own; of all else the string is the value. */
function valueTextOf(item: ConfigItem, itemText: string): string {
  const isJson = item.contentType === JSON_TYPE || item.contentType.endsWith('+json');
  if (typeof item.value === 'string' && !isJson) return item.value;
  return sliceJson(itemText).get('value') ?? JSON.stringify(item.value);
}
