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
