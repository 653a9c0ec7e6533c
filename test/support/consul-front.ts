import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What Consul, or a front instead of it, answers a request. */
export interface FrontAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One request that passed, as Consul was asked. */
export interface FrontRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Milliseconds of `performance.now()`. */
  readonly at: number;
}

/** An HTTP proxy before a real Consul, such as stands between in real sites: it may answer itself, hold an answer back or change it. */
export class ConsulFront implements AsyncDisposable {
  /** An answer instead of Consul's, which is not asked then. */
  instead: (request: FrontRequest) => FrontAnswer | undefined = () => undefined;
  /** What becomes of Consul's answer; it waits for it. */
  alter: (answer: FrontAnswer, request: FrontRequest) => FrontAnswer | Promise<FrontAnswer> = (answer) => answer;
  readonly requests: FrontRequest[] = [];
  readonly #server: Server;
  readonly #targetPort: () => number;

  private constructor(targetPort: () => number) {
    this.#targetPort = targetPort;
    this.#server = createServer((incoming, outgoing) => this.#handle(incoming, outgoing));
  }

  static async start(targetPort: () => number): Promise<ConsulFront> {
    const front = new ConsulFront(targetPort);
    await new Promise<void>((resolve) => front.#server.listen(0, '127.0.0.1', resolve));
    return front;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { pathname: path, searchParams: query } = new URL(incoming.url ?? '/', 'http://front');
    const asked: FrontRequest = { method: incoming.method ?? 'GET', path, query, at: performance.now() };
    this.requests.push(asked);
    const send = ({ status, headers, body }: FrontAnswer): void => {
      outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
      outgoing.end(body);
    };
    const own = this.instead(asked);
    if (own) {
      incoming.resume().on('end', () => send(own));
      return;
    }
    const { method, url, headers } = incoming;
    const passed = request({ port: this.#targetPort(), host: '127.0.0.1', method, path: url, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', () => outgoing.destroy());
      answer.on('end', () => {
        const { statusCode: status = 0, headers: received } = answer;
        const original = { status, headers: received, body: Buffer.concat(chunks).toString('utf8') };
        void Promise.resolve(this.alter(original, asked)).then(send);
      });
    });
    passed.on('error', () => outgoing.destroy());
    outgoing.on('close', () => passed.destroy());
    incoming.pipe(passed);
  }
}
