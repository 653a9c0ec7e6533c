import { JSON_TYPE } from '../core/content.ts';
import { InvalidArgumentError } from '../core/errors.ts';
import type { JsonValue, Metadata } from '../core/item.ts';
import type { QueryValue } from './request-path.ts';

/** What to store: one of `value`, `jsonText` and `raw`, or none of them to change what travels beside the value only. */
export interface PutBody {
  /** Stored as JSON; a string stays bare text where the item is text. */
  readonly value?: JsonValue;
  /** The same as JSON text, which is stored exactly as it is written. */
  readonly jsonText?: string;
  /** The value as bytes of `contentType`; without one the item's own type, else inference. Metadata and comment need `contentType` and a string. */
  readonly raw?: string | Uint8Array;
  readonly contentType?: string;
  /** Left out: kept. `{}` clears. */
  readonly metadata?: Metadata;
  readonly comment?: string;
}

interface PutRequest {
  readonly query: Readonly<Record<string, QueryValue>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly content: string | Uint8Array;
}

/**
 * Chooses the form of a PUT: the bare value where nothing travels beside it, else the envelope.
 * @throws {InvalidArgumentError} more than one value, or a bare value with metadata that the envelope could not carry.
 */
export function putRequestOf(body: PutBody): PutRequest {
  const given = (['value', 'jsonText', 'raw'] as const).filter((name) => body[name] !== undefined);
  if (given.length > 1) throw new InvalidArgumentError(`${given.join(' and ')} are both given; give one of them`);
  const { raw, contentType } = body;
  const hasExtras = body.metadata !== undefined || body.comment !== undefined;
  if (raw === undefined) return envelope(body, body.jsonText ?? JSON.stringify(body.value));
  if (hasExtras) {
    if (contentType === undefined || typeof raw !== 'string') {
      throw new InvalidArgumentError(
        'metadata and comment travel in an envelope: with them, raw must be a string and contentType be given',
      );
    }
    return envelope(body, isJson(contentType) ? raw : JSON.stringify(raw));
  }
  if (contentType !== undefined && isJson(contentType))
    return { query: { raw: true }, headers: { 'content-type': JSON_TYPE }, content: raw };
  return {
    query: {},
    headers: contentType === undefined ? {} : { 'content-type': contentType },
    // As bytes: for a string fetch would add a content type of its own.
    content: typeof raw === 'string' ? new TextEncoder().encode(raw) : raw,
  };
}

function envelope(body: PutBody, valueText: string | undefined): PutRequest {
  const members = Object.entries({ metadata: body.metadata, contentType: body.contentType, comment: body.comment })
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${JSON.stringify(member)}`);
  if (valueText !== undefined) members.unshift(`"value":${checkedJson(valueText)}`);
  return { query: {}, headers: { 'content-type': JSON_TYPE }, content: `{${members.join(',')}}` };
}

/** Spliced into the envelope, so text that does not parse could become members of it. */
function checkedJson(text: string): string {
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new InvalidArgumentError(`the value is not JSON: ${(cause as Error).message}`, { cause });
  }
  return text;
}

const isJson = (contentType: string): boolean => contentType.split(';', 1)[0]?.trim().toLowerCase() === JSON_TYPE;
