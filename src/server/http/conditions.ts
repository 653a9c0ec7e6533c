import type { IncomingMessage } from 'node:http';
import { AttuneError } from '../../core/errors.ts';
import { quoteForMessage } from '../../core/key.ts';
import type { Revision } from '../../core/revision.ts';
import type { WriteCondition } from '../store/condition.ts';

/** One entity tag of a list: `W/` marks a weak one (RFC 9110, 8.8.3). */
const ENTITY_TAG = /^\s*(W\/)?"([\u0021\u0023-\u007e\u0080-\u00ff]*)"\s*(?:,|$)/;

interface EntityTag {
  readonly isWeak: boolean;
  readonly tag: string;
}

/** @throws {AttuneError} INVALID_ARGUMENT if `text` is neither `*` nor a list of entity tags. */
function parseEntityTags(name: string, text: string): readonly EntityTag[] | '*' {
  if (text.trim() === '*') return '*';
  const tags: EntityTag[] = [];
  for (let rest = text; rest.trim() !== '';) {
    const match = ENTITY_TAG.exec(rest);
    if (!match) throw malformed(name, text);
    tags.push({ isWeak: match[1] !== undefined, tag: match[2] ?? '' });
    rest = rest.slice(match[0].length);
  }
  if (tags.length === 0) throw malformed(name, text);
  return tags;
}

function malformed(name: string, text: string): AttuneError {
  return new AttuneError(
    'INVALID_ARGUMENT',
    `${name}: ${quoteForMessage(text)} is not * or a list of entity tags in double quotes, such as "3f2a-41"`,
  );
}

/** True if an If-None-Match header names `etag`: the reader has that very state. Undefined if there is no such header. */
export function ifNoneMatch(request: IncomingMessage, etag: string | undefined): boolean | undefined {
  const header = request.headers['if-none-match'];
  return header === undefined ? undefined : matchesEtag(header, etag);
}

/**
 * True if the If-None-Match header `text` names `etag`.
 * @throws {AttuneError} INVALID_ARGUMENT if it is malformed.
 */
export function matchesEtag(text: string, etag: string | undefined): boolean {
  const tags = parseEntityTags('If-None-Match', text);
  if (etag === undefined) return false;
  // Weak comparison: a proxy may have weakened the tag of the same bytes (RFC 9110, 13.1.2).
  return tags === '*' || tags.some(({ tag }) => tag === etag);
}

/**
 * The condition of a write: headers, or `ifVersion` for shells.
 * @throws {AttuneError} INVALID_ARGUMENT if one is malformed or both forms are given; never ignored.
 */
export function parseWriteCondition(request: IncomingMessage, ifVersion: number | undefined): WriteCondition {
  const match = request.headers['if-match'];
  const noneMatch = request.headers['if-none-match'];
  if (ifVersion !== undefined && (match !== undefined || noneMatch !== undefined)) {
    throw new AttuneError('INVALID_ARGUMENT', 'ifVersion and If-Match or If-None-Match are two forms of one condition; send one of them');
  }
  if (noneMatch !== undefined && noneMatch.trim() !== '*') {
    throw new AttuneError(
      'INVALID_ARGUMENT',
      `If-None-Match: ${quoteForMessage(noneMatch)} cannot be asked of a write; send * to create only`,
    );
  }
  for (const name of ['if-modified-since', 'if-unmodified-since', 'if-range'] as const) {
    if (request.headers[name] !== undefined) {
      throw new AttuneError(
        'INVALID_ARGUMENT',
        `${name} cannot be asked of a write: dates are not exact; send If-Match with the item's etag`,
      );
    }
  }
  return {
    ...(match !== undefined && { ifMatch: strongTags(parseEntityTags('If-Match', match), match) }),
    ...(noneMatch !== undefined && { ifAbsent: true as const }),
    ...(ifVersion !== undefined && { ifVersion: ifVersion as Revision }),
  };
}

function strongTags(tags: readonly EntityTag[] | '*', header: string): readonly string[] | '*' {
  if (tags === '*') return '*';
  const weak = tags.find(({ isWeak }) => isWeak);
  if (weak)
    throw new AttuneError(
      'INVALID_ARGUMENT',
      `If-Match: ${quoteForMessage(header)} holds a weak entity tag; conditions of a write need strong ones`,
    );
  return tags.map(({ tag }) => tag);
}
