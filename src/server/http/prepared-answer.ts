import type { ServerResponse } from 'node:http';
import type { ConfigService } from '../config-service.ts';
import { EVERY_ANSWER, onWire, positionHeaders, type Answer, type WireBody } from './answer.ts';
import { endWith, HeaderLines, writeHead } from './head-text.ts';
import { REQUEST_ID } from './observation.ts';

/** An answer as node:http sends it fastest: headers that were looked at before, and the body at once. */
export class PreparedAnswer {
  readonly status: number;
  /** Of the body. */
  readonly bytes: number = 0;
  readonly #body: WireBody['body'] | undefined;
  readonly #own: HeaderLines;
  readonly #length: readonly string[] = [];

  /** @throws {TypeError} a header that cannot be sent. */
  constructor({ status, headers = {}, body }: Answer) {
    this.status = status;
    this.#own = new HeaderLines(headers);
    if (body === undefined) return;
    const wire = onWire(body);
    this.bytes = wire.bytes;
    this.#length = ['Content-Length', String(wire.bytes)];
    this.#body = wire.body;
  }

  /** True if it is small enough to go to the socket as a whole. */
  get isSmall(): boolean {
    return !Buffer.isBuffer(this.#body);
  }

  /** Answers with `everyAnswer`, its own headers and `requestId`; without its body if `isHead`. */
  send(response: ServerResponse, everyAnswer: HeaderLines, requestId: string, isHead: boolean): void {
    writeHead(response, this.status, { first: [REQUEST_ID, requestId], lines: [everyAnswer, this.#own], rest: this.#length });
    if (this.#body === undefined || isHead) response.end();
    else endWith(response, this.#body);
  }
}

/** What every answer carries, save for its request id: one object for as long as it is the same. */
export class EveryAnswer {
  readonly #service: ConfigService;
  #cursor: string | undefined;
  #headers = new HeaderLines({});

  constructor(service: ConfigService) {
    this.#service = service;
  }

  get headers(): HeaderLines {
    const { state, cursor } = this.#service;
    if (state === 'live' && this.#cursor === cursor) return this.#headers;
    this.#cursor = state === 'live' ? cursor : undefined;
    this.#headers = new HeaderLines({ ...EVERY_ANSWER, ...positionHeaders(this.#service) });
    return this.#headers;
  }
}
