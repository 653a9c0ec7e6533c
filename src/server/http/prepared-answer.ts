import type { Answer } from './answer.ts';
import { REQUEST_ID } from './observation.ts';

/** Up to this length a body is kept as a string, one character a byte, which goes out in one piece with its head. */
const MAX_STRING_BYTES = 1_024;

/** An answer as node:http sends it fastest: one flat list of headers, the body at once. */
export class PreparedAnswer {
  readonly status: number;
  readonly body: string | Buffer | undefined;
  readonly #own: readonly string[];
  /** Of the body. */
  readonly bytes: number = 0;
  #head: readonly string[] | undefined;
  #headers: string[] = [];

  constructor({ status, headers = {}, body }: Answer) {
    this.status = status;
    this.#own = Object.entries(headers).flat();
    if (body === undefined) return;
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
    this.bytes = bytes.byteLength;
    this.#own = [...this.#own, 'Content-Length', String(bytes.byteLength)];
    this.body = bytes.byteLength <= MAX_STRING_BYTES ? bytes.toString('latin1') : bytes;
  }

  /** All headers: valid until the next call, which writes the next id over this one. */
  headersAfter(head: readonly string[], requestId: string): string[] {
    if (this.#head !== head) {
      this.#head = head;
      this.#headers = [REQUEST_ID, '', ...head, ...this.#own];
    }
    this.#headers[1] = requestId;
    return this.#headers;
  }
}
