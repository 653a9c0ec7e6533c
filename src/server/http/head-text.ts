import { IncomingMessage, ServerResponse, validateHeaderValue } from 'node:http';
import { Socket } from 'node:net';
import type { WireBody } from './answer.ts';

/*
 * node:http keeps the head of an answer as text until it is sent. Here more is put into it, where node:http would do the same work for every answer anew.
 */

interface Unsent {
  _header?: unknown;
}

/** False in a Node.js that keeps its heads elsewhere. */
const KEEPS_HEAD_TEXT = typeof (new ServerResponse(new IncomingMessage(new Socket())).writeHead(200) as Unsent)._header === 'string';

const CRLF = '\r\n';

/**
 * Headers that were looked at once, to be sent often. None of those that say how the answer is framed, for node:http does not see them: Connection,
 * Content-Length, Date, Transfer-Encoding and the like.
 */
export class HeaderLines {
  readonly text: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** @throws {TypeError} a value that cannot stand in a head. */
  constructor(headers: Readonly<Record<string, string>>) {
    let text = '';
    for (const [name, value] of Object.entries(headers)) {
      validateHeaderValue(name, value);
      text += `${name}: ${value}${CRLF}`;
    }
    this.text = text;
    this.#headers = headers;
  }

  /** Names and values by turns. */
  get list(): readonly string[] {
    return Object.entries(this.#headers).flat();
  }
}

/** Of one head: what node:http has to look at stands around what was looked at before. */
export interface HeadParts {
  readonly first: readonly [name: string, value: string];
  readonly lines: readonly HeaderLines[];
  /** Names and values by turns. */
  readonly rest: readonly string[];
}

/** Writes the head of an answer. */
export function writeHead(
  response: ServerResponse,
  status: number,
  { first, lines, rest }: HeadParts,
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

/**
 * Ends an answer whose head was written. A body that is given to `end` is a second piece of the write, for an empty third one follows it
 * (`OutgoingMessage.end`): what stands in the head goes out as one string, by a cheaper call of the system.
 */
export function endWith(response: ServerResponse, body: WireBody['body'], keepsHeadText = KEEPS_HEAD_TEXT): void {
  const unsent = response as Unsent;
  if (typeof body !== 'string' || !keepsHeadText || typeof unsent._header !== 'string') {
    response.end(body, 'latin1');
    return;
  }
  unsent._header += body;
  response.end();
}
