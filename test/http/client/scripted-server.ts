import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface ScriptedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** What the script does with a request that is no stream: an answer, or `'cut'` to break the connection after reading it. */
export type Script = (request: RecordedRequest) => ScriptedAnswer | 'cut' | Promise<ScriptedAnswer | 'cut'>;

/** A server on a real socket that says what the test tells it to say, byte for byte. */
export class ScriptedServer implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  script: Script = () => json({ code: 'ROUTE_NOT_FOUND', detail: 'not scripted' }, 404, 'application/problem+json');
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #streams: ScriptedStream[] = [];
  readonly #waiting: ((stream: ScriptedStream) => void)[] = [];
  #openStreams = 0;
  /** The most streams that were open at once. */
  maxOpenStreams = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(port = 0): Promise<ScriptedServer> {
    const server = createServer();
    const scripted = new ScriptedServer(server);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  /** The next stream that a client opens, or has opened. */
  stream(): Promise<ScriptedStream> {
    const stream = this.#streams.shift();
    return stream ? Promise.resolve(stream) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '';
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const recorded = { method: request.method ?? '', target, headers: request.headers, body: Buffer.concat(chunks).toString() };
    this.requests.push(recorded);
    if (target.startsWith('/api/v1/watch')) return this.#openStream(recorded, response);
    const answer = await this.script(recorded);
    if (answer === 'cut') request.socket.destroy();
    else response.writeHead(answer.status ?? 200, answer.headers).end(answer.body);
  }

  #openStream(request: RecordedRequest, response: ServerResponse): void {
    this.maxOpenStreams = Math.max(this.maxOpenStreams, ++this.#openStreams);
    response.on('close', () => this.#openStreams--);
    const stream = new ScriptedStream(request, response);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(stream);
    else this.#streams.push(stream);
  }
}

/** One connection to `/api/v1/watch`, answered by hand. */
export class ScriptedStream {
  readonly request: RecordedRequest;
  readonly #response: ServerResponse;
  #flushed: Promise<void> = Promise.resolve();
  /** Resolves when the client, or this server, has closed it. */
  readonly closed: Promise<void>;

  constructor(request: RecordedRequest, response: ServerResponse) {
    this.request = request;
    this.#response = response;
    this.closed = new Promise((resolve) => response.on('close', resolve));
  }

  get lastEventId(): string | undefined {
    const id = this.request.headers['last-event-id'];
    return Array.isArray(id) ? id[0] : id;
  }

  /** Begins the stream; called by the first {@link write} too. */
  open(): this {
    if (!this.#response.headersSent) {
      this.#response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      this.#response.flushHeaders();
    }
    return this;
  }

  write(bytes: string | Uint8Array): this {
    this.open();
    this.#flushed = new Promise((resolve) => this.#response.write(bytes, () => resolve()));
    return this;
  }

  frame(event: string, data: unknown, id?: string): this {
    return this.write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  snapshot(revision: number, items: readonly unknown[]): this {
    return this.frame('snapshot', { revision, items });
  }

  synced(revision: number, count = 0, epoch = 'e'): this {
    return this.frame('synced', { revision, count }, `${epoch}-${revision}`);
  }

  change(revision: number, ...changes: readonly unknown[]): this {
    return this.frame('change', { revision, changes }, `e-${revision}`);
  }

  /** A whole first state. */
  state(revision: number, ...items: readonly unknown[]): this {
    return (items.length === 0 ? this : this.snapshot(revision, items)).synced(revision, items.length);
  }

  /** Answers with a status instead of a stream. */
  refuse(status: number, code: string, detail = code): void {
    this.#response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ status, code, detail }));
  }

  /** Ends it as a server that has said all it wanted. */
  end(): void {
    this.open();
    this.#response.end();
  }

  /** Breaks the connection after what was written has left. */
  async cut(): Promise<void> {
    this.open();
    await this.#flushed;
    this.#response.destroy();
  }
}

export function json(
  body: unknown,
  status = 200,
  contentType = 'application/json',
  headers: Readonly<Record<string, string>> = {},
): ScriptedAnswer {
  return { status, headers: { 'content-type': contentType, ...headers }, body: `${JSON.stringify(body)}\n` };
}

export function problem(status: number, code: string, more: Readonly<Record<string, unknown>> = {}): ScriptedAnswer {
  return json(
    { type: `/docs/errors#${code}`, title: code, status, code, detail: `${code} it is`, requestId: 'r-1', ...more },
    status,
    'application/problem+json',
  );
}
