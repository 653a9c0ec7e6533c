import { connect, type Socket } from 'node:net';
import { encodeRequest, type RawRequest } from './http-exchange.ts';

/** One block of an event stream, as it stood between two empty lines. */
export interface StreamBlock {
  /** The bytes, without the empty line. */
  readonly raw: string;
  readonly comment?: string;
  readonly retry?: number;
  readonly event?: string;
  readonly id?: string;
  readonly data?: any; // oxlint-disable-line typescript/no-explicit-any
}

const BLOCK_MS = 5_000;

/** An event stream read block by block over a socket of its own, without any client library between. */
export class HttpStream {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly #socket: Socket;
  readonly #blocks: StreamBlock[] = [];
  #wake: (() => void) | undefined;
  #text = '';
  #isEnded = false;
  #bytes: Buffer;

  private constructor(socket: Socket, status: number, headers: ReadonlyMap<string, string>, rest: Buffer) {
    this.#socket = socket;
    this.status = status;
    this.headers = headers;
    this.#bytes = rest;
    this.#read();
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#read();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isEnded = true;
      this.#wake?.();
    });
  }

  /** Resolves once the head of the answer is there. */
  static async open(port: number, request: RawRequest): Promise<HttpStream> {
    const socket = connect(port, '127.0.0.1');
    socket.write(encodeRequest(port, { ...request, headers: { Accept: 'text/event-stream', ...request.headers } }));
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0);
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new Error('no head of a stream within 5 s'));
      }, BLOCK_MS);
      socket.once('error', reject);
      socket.on('data', function onHead(chunk: Buffer) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        clearTimeout(timer);
        socket.off('data', onHead);
        socket.off('error', reject);
        const [statusLine = '', ...lines] = head.subarray(0, end).toString('latin1').split('\r\n');
        const headers = new Map(
          lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
        );
        resolve(new HttpStream(socket, Number(statusLine.split(' ')[1]), headers, head.subarray(end + 4)));
      });
    });
  }

  /** The next block of any kind; undefined at the end of the stream. Fails after 5 s of silence. */
  async next(): Promise<StreamBlock | undefined> {
    for (;;) {
      const block = this.#blocks.shift();
      if (block) return block;
      if (this.#isEnded) return undefined;
      await this.#more();
    }
  }

  /** The next event, comments and retry skipped. Fails if the stream ends before. */
  async event(): Promise<StreamBlock & { readonly event: string }> {
    for (;;) {
      const block = await this.next();
      if (!block) throw new Error('the stream ended before the next event');
      if (block.event !== undefined) return { ...block, event: block.event };
    }
  }

  /** Events up to and with the first one called `name`. */
  async until(name: string): Promise<readonly (StreamBlock & { readonly event: string })[]> {
    const events: (StreamBlock & { readonly event: string })[] = [];
    for (;;) {
      const event = await this.event();
      events.push(event);
      if (event.event === name) return events;
    }
  }

  /** Everything until the server ends the stream. */
  async rest(): Promise<readonly StreamBlock[]> {
    const blocks: StreamBlock[] = [];
    for (let block = await this.next(); block; block = await this.next()) blocks.push(block);
    return blocks;
  }

  /** Stops reading from the socket: the reader that stalls. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What came of the block in progress. */
  get unfinished(): string {
    return this.#text;
  }

  async #more(): Promise<void> {
    // Made here, so that its stack names who waits.
    const silence = new Error(`nothing came for ${BLOCK_MS} ms`);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(silence), BLOCK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #read(): void {
    if (this.headers.get('transfer-encoding') === 'chunked') this.#unchunk();
    else {
      this.#text += this.#bytes.toString('utf8');
      this.#bytes = Buffer.alloc(0);
    }
    for (let end = this.#text.indexOf('\n\n'); end >= 0; end = this.#text.indexOf('\n\n')) {
      this.#blocks.push(parseBlock(this.#text.slice(0, end)));
      this.#text = this.#text.slice(end + 2);
      this.#wake?.();
    }
  }

  #unchunk(): void {
    for (;;) {
      const end = this.#bytes.indexOf('\r\n');
      if (end < 0) return;
      const size = Number.parseInt(this.#bytes.subarray(0, end).toString('latin1'), 16);
      if (this.#bytes.byteLength < end + 2 + size + 2) return;
      // A frame is one write and so one chunk: no code point is cut.
      this.#text += this.#bytes.subarray(end + 2, end + 2 + size).toString('utf8');
      this.#bytes = this.#bytes.subarray(end + 2 + size + 2);
      if (size === 0) return;
    }
  }
}

function parseBlock(raw: string): StreamBlock {
  const block: { raw: string; comment?: string; retry?: number; event?: string; id?: string; data?: unknown } = { raw };
  for (const line of raw.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*): ?(.*)$/s.exec(line) ?? [];
    if (name === '' && line.startsWith(':')) block.comment = value;
    else if (name === 'retry') block.retry = Number(value);
    else if (name === 'event' && block.event === undefined) block.event = value;
    else if (name === 'id' && block.id === undefined) block.id = value;
    else if (name === 'data' && block.data === undefined) block.data = JSON.parse(value);
    else throw new Error(`not a line of one event: ${JSON.stringify(line)} in ${JSON.stringify(raw)}`);
  }
  return block;
}
