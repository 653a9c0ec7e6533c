import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** One kept-alive connection over a bare socket; one request at a time. */
export class Requester {
  readonly #socket: Socket;
  readonly #host: string;
  #bytes: Buffer = Buffer.alloc(0);
  #pending: Pending | undefined;

  constructor(port: number) {
    this.#host = `127.0.0.1:${port}`;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#bytes = this.#bytes.byteLength === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      this.#read();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#settle()?.reject(new Error('the connection ended before the answer')));
  }

  async send(path: string, { method = 'GET', headers = {}, body }: RequestOptions = {}): Promise<Answer> {
    const all = { Host: this.#host, ...(body !== undefined && { 'Content-Length': String(Buffer.byteLength(body)) }), ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection has ended'));
      this.#pending = { resolve, reject };
      this.#socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Vanishes: the server gets a reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  #read(): void {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return;
    const [statusLine = '', ...lines] = this.#bytes.toString('latin1', 0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const next = end + 4 + Number(headers.get('content-length') ?? 0);
    if (this.#bytes.byteLength < next) return;
    const text = this.#bytes.toString('utf8', end + 4, next);
    this.#bytes = this.#bytes.subarray(next);
    this.#settle()?.resolve({ status: Number(statusLine.split(' ')[1]), headers, text });
  }

  #settle(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }
}
