import { onWire, type Answer, type WireBody } from './answer.ts';
import { REQUEST_ID } from './observation.ts';

/** An answer as node:http sends it fastest: one flat list of headers, the body at once. */
export class PreparedAnswer {
  readonly status: number;
  readonly body: WireBody['body'] | undefined;
  readonly #own: readonly string[];
  /** Of the body. */
  readonly bytes: number = 0;
  #head: readonly string[] | undefined;
  #headers: string[] = [];

  constructor({ status, headers = {}, body }: Answer) {
    this.status = status;
    this.#own = Object.entries(headers).flat();
    if (body === undefined) return;
    const wire = onWire(body);
    this.bytes = wire.bytes;
    this.#own = [...this.#own, 'Content-Length', String(wire.bytes)];
    this.body = wire.body;
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
