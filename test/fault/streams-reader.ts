import { connect, type Socket } from 'node:net';

/** One event of a stream; `data` is the text, unparsed. */
export interface ReadEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

export interface ReaderOptions {
  readonly query?: string;
  readonly lastEventId?: string;
  readonly onEvent: (event: ReadEvent) => void;
  /** The stream is over, whoever ended it. */
  readonly onEnd?: () => void;
}

const CRLF = Buffer.from('\r\n');

/** An event stream over a bare socket: quick enough for a thousand of them, and it can stop reading or vanish as a client library cannot. */
export class StreamReader {
  readonly #socket: Socket;
  readonly #options: ReaderOptions;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #waiting: Buffer[] = [];
  /** Bytes still to come of the chunk in progress. */
  #missing = 0;
  #text = '';
  #hasHead = false;
  #lastEventId: string | undefined;
  #isClosedHere = false;
  #isEnded = false;

  constructor(port: number, options: ReaderOptions) {
    this.#options = options;
    this.#lastEventId = options.lastEventId;
    this.#socket = connect(port, '127.0.0.1');
    const resume = options.lastEventId === undefined ? '' : `Last-Event-ID: ${options.lastEventId}\r\n`;
    this.#socket.write(
      `GET /api/v1/watch${options.query ?? ''} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n${resume}\r\n`,
    );
    this.#socket.on('data', (chunk: Buffer) => {
      if (this.#isEnded) return;
      this.#waiting.push(chunk);
      this.#missing -= chunk.byteLength;
      if (this.#missing > 0) return;
      this.#bytes = Buffer.concat([this.#bytes, ...this.#waiting]);
      this.#waiting.length = 0;
      this.#read();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#isEnded = true;
      options.onEnd?.();
    });
  }

  /** The position a client would resume from. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  /** True if this side ended it. */
  get isClosedHere(): boolean {
    return this.#isClosedHere;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Stops reading from the socket. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes the connection at once; what was not read is lost. */
  close(): void {
    this.#isClosedHere = true;
    this.#isEnded = true;
    this.#socket.destroy();
  }

  /** Vanishes: the server gets a reset, no orderly end. */
  reset(): void {
    this.#isClosedHere = true;
    this.#isEnded = true;
    this.#socket.resetAndDestroy();
  }

  #read(): void {
    if (!this.#hasHead) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      const status = this.#bytes.subarray(0, end).toString('latin1');
      if (!status.startsWith('HTTP/1.1 200 ')) throw new Error(`not a stream: ${status}`);
      this.#hasHead = true;
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    // Chunks of the transfer coding; a frame is one write and so one chunk, which no code point crosses.
    let at = 0;
    while (at < this.#bytes.byteLength) {
      const end = this.#bytes.indexOf(CRLF, at);
      if (end < 0) break;
      const size = Number.parseInt(this.#bytes.toString('latin1', at, end), 16);
      const next = end + 2 + size + 2;
      this.#missing = next - this.#bytes.byteLength;
      if (this.#missing > 0) break;
      this.#text += this.#bytes.toString('utf8', end + 2, end + 2 + size);
      at = next;
      if (size === 0) this.#socket.end();
    }
    this.#bytes = this.#bytes.subarray(at);
    for (let end = this.#text.indexOf('\n\n'); end >= 0 && !this.#isEnded; end = this.#text.indexOf('\n\n')) {
      const block = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#take(block);
    }
  }

  #take(block: string): void {
    const fields = new Map(
      block.split('\n').map((line) => {
        const colon = line.indexOf(': ');
        return [line.slice(0, colon), line.slice(colon + 2)] as const;
      }),
    );
    const event = fields.get('event');
    if (event === undefined) return;
    const id = fields.get('id');
    // As a browser does: the position moves with the event that carries it, before anybody is told.
    if (id !== undefined) this.#lastEventId = id;
    this.#options.onEvent({ event, id, data: fields.get('data') ?? '' });
  }
}
