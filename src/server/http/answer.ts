import type { ConfigService } from '../config-service.ts';

const JSON_CONTENT_TYPE = 'application/json; charset=utf-8';
export const NO_STORE = 'no-store';
/** Stored by the one who asked, used only after asking again whether it still holds. */
export const REVALIDATE = 'private, no-cache';

/** What is answered, whoever sends it. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON text or bytes; absent for an answer without a body. */
  readonly body?: string | Buffer;
}

/** Up to this length a body goes out in one piece with its head. */
const MAX_STRING_BYTES = 1_024;

/** A body as it is sent: a short one as a string, one character a byte. */
export interface WireBody {
  readonly bytes: number;
  readonly body: string | Buffer;
}

export function onWire(body: string | Buffer): WireBody {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  return { bytes: bytes.byteLength, body: bytes.byteLength <= MAX_STRING_BYTES ? bytes.toString('latin1') : bytes };
}

/** Headers of every answer, beside its request id. */
export const EVERY_ANSWER: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  // A value may be a script or a style sheet, which pages of every origin could load, and so read, without asking.
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** An answer of JSON that ends with a line feed already. */
export function jsonAnswer(status: number, line: string | Buffer, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { 'Content-Type': JSON_CONTENT_TYPE, 'Cache-Control': NO_STORE, ...headers }, body: line };
}

/** Where this node stands, and how long it has not heard the store. */
export function positionHeaders(service: ConfigService): Readonly<Record<string, string>> {
  if (service.state !== 'live' && service.state !== 'stale') return {};
  return {
    'Attune-Revision': String(service.revision),
    'Attune-Cursor': service.cursor,
    ...(service.state === 'stale' && { 'Attune-Stale': String(Math.round(service.lagMs / 1_000)) }),
  };
}
