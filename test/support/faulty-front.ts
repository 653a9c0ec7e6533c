import { createServer, request as sendRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { freePort } from './free-ports.ts';
import type { ReadLedger, ReadRequest } from './read-ledger.ts';

/** What happens to one frame, the next one that fits. */
export type FrameFault =
  /** It comes twice. */
  | 'twice'
  /** It comes once more after the one that follows it. */
  | 'late again'
  /** Half of it comes, as a frame. */
  | 'mangled'
  /** Half of it comes, then the end of the answer. */
  | 'truncated'
  /** Half of it comes, then a reset. */
  | 'torn'
  /** One of a name nobody knows comes before it. */
  | 'after an unknown one';

/** Of a frame with one of these not enough comes to be understood. */
const HALVING: ReadonlySet<FrameFault> = new Set(['mangled', 'truncated', 'torn']);

/** An HTTP proxy between one client and a node that understands event streams well enough to spoil them. */
export class FaultyFront implements AsyncDisposable {
  readonly #server: Server;
  readonly #ledger: ReadLedger;
  readonly #sockets = new Set<Socket>();
  readonly #frameFaults: FrameFault[] = [];
  /** Streams are kept back as a whole, and told when they are complete: never. */
  isBuffering = false;
  /** The next snapshot is cut off before the frame that completes it. */
  cutsSnapshot = false;
  #isStalled = false;
  #target: string;
  readonly #port: number;

  private constructor(port: number, target: string, ledger: ReadLedger) {
    this.#port = port;
    this.#target = target;
    this.#ledger = ledger;
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => this.#pass(request, response));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
    });
  }

  static async start(target: string, ledger: ReadLedger): Promise<FaultyFront> {
    const front = new FaultyFront(await freePort(), target, ledger);
    await front.up();
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** For the requests from now on. */
  aimAt(target: string): void {
    this.#target = target;
  }

  /** What stood at `before` has moved to `after`. */
  replace(before: string, after: string): void {
    if (this.#target === before) this.#target = after;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Not a byte passes to the client, and no connection ends; until {@link resume}. */
  stall(): void {
    this.#isStalled = true;
  }

  /** What was half-open is reset. */
  resume(): void {
    if (this.#isStalled) this.cut();
    this.#isStalled = false;
  }

  spoil(fault: FrameFault): void {
    this.#frameFaults.push(fault);
  }

  /** Refuses connections, on a port that stays its own. */
  async down(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
  }

  async up(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
  }

  async heal(): Promise<void> {
    this.resume();
    if (this.isBuffering) this.cut();
    this.isBuffering = false;
    this.cutsSnapshot = false;
    this.#frameFaults.length = 0;
    await this.up();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const read = readRequestOf(request);
    const end = read && this.#ledger.begin(read);
    const upstream = sendRequest(`${this.#target}${request.url ?? ''}`, {
      method: request.method,
      headers: { ...request.headers, host: new URL(this.#target).host },
      agent: false,
    });
    response.on('close', () => {
      end?.();
      upstream.destroy();
    });
    upstream.on('error', () => response.destroy());
    upstream.on('response', (answer) => {
      answer.on('error', () => response.destroy());
      if (answer.headers['content-type']?.startsWith('text/event-stream')) this.#stream(answer, response, read?.cursor);
      else void this.#answer(answer, response, read);
    });
    request.pipe(upstream);
  }

  async #answer(answer: IncomingMessage, response: ServerResponse, read: ReadRequest | undefined): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      response.destroy();
      return;
    }
    if (this.#isStalled || response.destroyed) return;
    const body = Buffer.concat(chunks);
    if (read?.kind === 'poll' && answer.statusCode === 200) this.#ledger.addPoll(read, String(answer.headers['attune-cursor']));
    if (read?.kind === 'poll' && answer.statusCode === 410) this.#ledger.addRefusal(read);
    const { 'transfer-encoding': _encoding, connection: _connection, ...headers } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': body.byteLength }).end(body);
  }

  #stream(answer: IncomingMessage, response: ServerResponse, cursor: string | undefined): void {
    if (!this.isBuffering) {
      response.writeHead(200, { 'content-type': answer.headers['content-type'] });
      if (!this.#isStalled) response.flushHeaders();
    }
    let isSnapshot = cursor === undefined;
    let again: string | undefined;
    let rest = '';
    const send = (text: string): void => void response.write(text);
    const take = (frame: string): void => {
      if (response.destroyed || response.writableEnded) return;
      if (this.isBuffering || this.#isStalled) {
        this.#ledger.count(this.isBuffering ? 'buffered' : 'stalled');
        return;
      }
      const event = /^event: (\w+)/m.exec(frame)?.[1];
      if (event === 'reset') {
        this.#ledger.count('reset');
        isSnapshot = true;
      }
      if (event === 'snapshot' && this.cutsSnapshot) {
        this.cutsSnapshot = false;
        this.#ledger.count('snapshot cut');
        response.write(frame, () => response.socket?.resetAndDestroy());
        return;
      }
      const fault = event === undefined ? undefined : this.#frameFaults.shift();
      if (event === 'synced' && isSnapshot) {
        isSnapshot = false;
        if (fault === undefined || !HALVING.has(fault)) this.#ledger.addState(/^id: (\S+)/m.exec(frame)?.[1] ?? '');
      }
      const half = frame.slice(0, frame.indexOf('data: ') + Math.ceil((frame.length - frame.indexOf('data: ')) / 2));
      if (fault !== undefined) this.#ledger.count(fault);
      if (fault === 'mangled') send(`${half}\n\n`);
      else if (fault === 'truncated') response.end(half);
      else if (fault === 'torn') response.write(half, () => response.socket?.resetAndDestroy());
      else {
        if (fault === 'after an unknown one') send('event: novelty\nid: x-9999\ndata: {"revision":9999}\n\n');
        send(frame);
        if (fault === 'twice') send(frame);
        if (again !== undefined) send(again);
        again = fault === 'late again' ? frame : undefined;
      }
    };
    answer.setEncoding('utf8').on('data', (chunk: string) => {
      const frames = `${rest}${chunk}`.split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) take(`${frame}\n\n`);
    });
    answer.on('end', () => {
      if (!this.#isStalled && !this.isBuffering && !response.writableEnded) response.end();
    });
  }
}

function readRequestOf({ method, url = '', headers }: IncomingMessage): ReadRequest | undefined {
  const { pathname, searchParams } = new URL(url, 'http://front.invalid');
  if (method !== 'GET') return undefined;
  if (pathname === '/api/v1/watch') {
    const id = headers['last-event-id'];
    return { kind: 'stream', cursor: typeof id === 'string' ? id : undefined };
  }
  if (pathname !== '/api/v1/configs') return undefined;
  if (!searchParams.has('watch')) return { kind: 'list', cursor: undefined };
  return { kind: 'poll', cursor: searchParams.get('since') ?? undefined, isImmediate: searchParams.get('wait') === '0ms' };
}
