import { isUtf8 } from 'node:buffer';
import { BYTES_TYPE, inferContentType, JSON_TYPE, TEXT_TYPE, type ContentKind } from '../../core/content.ts';
import type { Metadata } from '../../core/item.ts';
import type { ConfigKey } from '../../core/key.ts';
import type { Revision, StoredEntry } from '../../core/provider.ts';
import { parseSidecar } from './sidecar.ts';

/** An item read from what the store holds: its value entry and its sidecar. */
export interface ItemState {
  readonly key: ConfigKey;
  readonly kind: ContentKind;
  /** JSON text verbatim, text as it is, or base64 of bytes that are not UTF-8. */
  readonly text: string;
  readonly contentType: string;
  readonly metadata: Metadata;
  readonly version: Revision;
  readonly createdVersion: Revision;
  /** Null for a value written by another tool. */
  readonly lastUpdated: string | null;
  readonly updatedBy?: string | undefined;
}

const NO_METADATA: Metadata = Object.freeze({});

/**
 * What an item is. A sidecar of the value's own revision describes it; an older one lends its metadata and content type to a value
 * that another tool wrote over it; a tombstone lends nothing.
 */
export function readItem(key: ConfigKey, value: StoredEntry, sidecarEntry: StoredEntry | undefined): ItemState {
  const sidecar = parseSidecar(sidecarEntry);
  const lent = sidecar?.deleted ? undefined : sidecar;
  const isOwn = lent !== undefined && sidecarEntry?.revision === value.revision;
  return {
    key,
    ...readContent(value.value, lent?.contentType, isOwn),
    metadata: lent?.metadata ?? NO_METADATA,
    version: value.revision,
    createdVersion: value.createdRevision,
    lastUpdated: isOwn ? lent.lastUpdated : null,
    ...(isOwn && lent.updatedBy !== undefined && { updatedBy: lent.updatedBy }),
  };
}

function readContent(value: Uint8Array, declared: string | undefined, isOwn: boolean): Pick<ItemState, 'kind' | 'text' | 'contentType'> {
  const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (!isUtf8(buffer)) return { kind: 'bytes', text: buffer.toString('base64'), contentType: BYTES_TYPE };
  const text = buffer.toString('utf8');
  const contentType = declared === undefined || declared === BYTES_TYPE ? inferContentType(text) : declared;
  if (contentType !== JSON_TYPE) return { kind: 'text', text, contentType };
  // Only this service's own writes are known to parse.
  if (isOwn || parses(text)) return { kind: 'json', text, contentType };
  return { kind: 'text', text, contentType: TEXT_TYPE };
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
