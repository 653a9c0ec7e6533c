import { IncomingMessage, ServerResponse, validateHeaderValue } from 'node:http';
import { Socket } from 'node:net';
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

/** What node:http keeps of an answer until it is sent: its head, as text. */
interface Unsent {
  _header?: unknown;
}

/** False in a Node.js that keeps its heads elsewhere. */
const KEEPS_HEAD_TEXT = typeof (new ServerResponse(new IncomingMessage(new Socket())).writeHead(200) as Unsent)._header === 'string';

/** Headers that were looked at once, to be sent often. */
export class HeaderLines {
  /** Names and values by turns. */
  readonly list: readonly string[];
  readonly text: string;

  /** @throws {TypeError} a value that cannot stand in a head. */
  constructor(headers: Readonly<Record<string, string>>) {
    const entries = Object.entries(headers);
    for (const [name, value] of entries) validateHeaderValue(name, value);
    this.list = entries.flat();
    this.text = entries.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  }
}

/**
 * Writes the head of an answer: `first`, `lines` and `rest`. What node:http would look at one by one, for every answer anew, is put into the head that
 * it made of the others.
 */
export function writeHead(
  response: ServerResponse,
  status: number,
  {
    first,
    lines,
    rest,
  }: { readonly first: readonly [name: string, value: string]; readonly lines: readonly HeaderLines[]; readonly rest: readonly string[] },
  keepsHeadText = KEEPS_HEAD_TEXT,
): void {
  if (!keepsHeadText) {
    response.writeHead(status, [...first, ...lines.flatMap(({ list }) => list), ...rest]);
    return;
  }
  const unsent = response.writeHead(status, [...first, ...rest]) as Unsent;
  const head = String(unsent._header);
  const end = head.indexOf(CRLF, head.indexOf(CRLF) + CRLF.length) + CRLF.length;
  let text = head.slice(0, end);
  for (const line of lines) text += line.text;
  unsent._header = text + head.slice(end);
}

const CRLF = '\r\n';

/**
 * Ends an answer whose head was written. A body that is given to `end` is a second piece of the write, for an empty third one follows it (node:http,
 * `OutgoingMessage.end`): what stands in the head goes out as one string, by a cheaper call of the system.
 */
export function endWith(response: ServerResponse, body: WireBody['body'], keepsHeadText = KEEPS_HEAD_TEXT): void {
  if (typeof body !== 'string' || !keepsHeadText) {
    response.end(body, 'latin1');
    return;
  }
  (response as Unsent)._header = `${String((response as Unsent)._header)}${body}`;
  response.end();
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
