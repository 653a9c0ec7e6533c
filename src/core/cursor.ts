import { AttuneError } from './errors.ts';
import { quoteForMessage } from './key.ts';
import { parseRevision, type Revision } from './revision.ts';

/**
 * A position that can be resumed from, on any node: `<epoch>-<revision>`, opaque to clients. Everything up to and with
 * `revision` has been seen.
 */
export interface Cursor {
  readonly epoch: string;
  readonly revision: Revision;
}

/** Epoch ids are ASCII so that a cursor is safe as an SSE id, a header and a URL parameter (Latin-1 breaks EventSource). */
const CURSOR = /^([A-Za-z0-9_]{1,32})-(0|[1-9]\d{0,15})$/;

export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}-${cursor.revision}`;
}

/** The cursor in `text`; undefined if it is none. */
export function tryParseCursor(text: string): Cursor | undefined {
  const match = CURSOR.exec(text);
  if (!match?.[1] || !match[2] || !Number.isSafeInteger(Number(match[2]))) return undefined;
  return { epoch: match[1], revision: parseRevision(match[2]) };
}

/** @throws {AttuneError} INVALID_ARGUMENT if `text` is no cursor. */
export function parseCursor(text: string, name = 'since'): Cursor {
  const cursor = tryParseCursor(text);
  if (cursor) return cursor;
  throw new AttuneError(
    'INVALID_ARGUMENT',
    `${name}=${quoteForMessage(text)} is not a cursor; send one back exactly as an answer's Attune-Cursor header or an event's id gave it`,
  );
}
