import { JSON_TYPE } from '../../core/content.ts';
import { AttuneError } from '../../core/errors.ts';
import { MAX_COMMENT_BYTES, METADATA_LIMITS, type Metadata } from '../../core/item.ts';
import { checkJson } from '../../core/json-text.ts';
import { quoteForMessage } from '../../core/key.ts';

/** What a PUT carries; what is left out is kept. */
export interface PutEnvelope {
  /** The value's JSON, as written. */
  readonly valueText?: string;
  readonly metadata?: Metadata;
}

const MEMBERS: readonly string[] = ['value', 'metadata', 'contentType', 'comment'];

const bytes = (text: string): number => new TextEncoder().encode(text).length;

/**
 * Parses the body of a PUT by the server's rules.
 * @throws {AttuneError} INVALID_BODY; UNSUPPORTED_MEDIA_TYPE for what is not JSON, which a server would store as text.
 */
export function parsePutEnvelope(text: string, contentType: string | null): PutEnvelope {
  if (contentType?.split(';', 1)[0] !== JSON_TYPE) throw unsupported(String(contentType));
  const check = checkJson(text);
  if (!check.ok) throw invalid(check.problem.pointer, check.problem.detail);
  if (!check.members) throw invalid('', 'an object such as {"value":20} is expected');
  for (const name of check.members.keys()) {
    if (!MEMBERS.includes(name)) throw invalid('', `unknown field ${quoteForMessage(name)}; known are ${MEMBERS.join(', ')}`);
  }
  const { metadata, comment, contentType: stored } = JSON.parse(text) as Readonly<Record<string, unknown>>;
  if (stored !== undefined && stored !== JSON_TYPE) throw unsupported(JSON.stringify(stored));
  if (comment !== undefined && (typeof comment !== 'string' || bytes(comment) > MAX_COMMENT_BYTES)) {
    throw invalid('/comment', `at most ${MAX_COMMENT_BYTES} bytes`);
  }
  const valueText = check.members.get('value');
  return {
    ...(valueText !== undefined && { valueText }),
    ...(metadata !== undefined && { metadata: parseMetadata(metadata) }),
  };
}

function parseMetadata(metadata: unknown): Metadata {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) throw invalid('/metadata', 'an object is expected');
  const entries = Object.entries(metadata as Readonly<Record<string, unknown>>);
  for (const [name, value] of entries) {
    if (name === '') throw invalid('/metadata/', 'a metadata name has at least one character');
    if (name === '__proto__') throw invalid('/metadata/__proto__', 'this name cannot be kept');
    if (typeof value !== 'string') throw invalid(`/metadata/${name}`, 'a string is expected');
  }
  const { maxEntries, maxBytes } = METADATA_LIMITS;
  if (entries.length > maxEntries) throw invalid('/metadata', `at most ${maxEntries} entries`);
  if (bytes(JSON.stringify(metadata)) > maxBytes) throw invalid('/metadata', `at most ${maxBytes} bytes`);
  return metadata as Metadata;
}

function invalid(pointer: string, detail: string): AttuneError {
  return new AttuneError('INVALID_BODY', `invalid body${pointer === '' ? '' : ` at ${pointer}`}: ${detail}`, {
    details: { errors: [{ pointer, detail }] },
  });
}

function unsupported(contentType: string): AttuneError {
  return new AttuneError(
    'UNSUPPORTED_MEDIA_TYPE',
    `${quoteForMessage(contentType)} is not stored by attune-client/testing, only ${JSON_TYPE}`,
  );
}
