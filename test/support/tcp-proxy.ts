import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

type Direction = 'toServer' | 'toClient';

/** A TCP proxy on a loopback port of its own, between clients and `target`, that does what networks do. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #targetPort: () => number;
  readonly #pairs = new Set<{ readonly client: Socket; readonly target: Socket }>();
  readonly #paused = new Set<Direction>();
  /** Bytes that clients may still be sent before their connection is reset. */
  #budget = Infinity;
  #port = 0;
  #sent = 0;
  /** When each connection was accepted, by `performance.now`. */
  readonly acceptedAt: number[] = [];

  private constructor(targetPort: () => number) {
    this.#targetPort = targetPort;
    this.#server = createServer((client) => this.#accept(client));
  }

  /** `targetPort` is asked for each connection: what stands behind the proxy may move. */
  static async start(targetPort: () => number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    proxy.#port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Bytes passed on to clients until now. */
  get sentToClients(): number {
    return this.#sent;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Resets every connection, at once. */
  reset(): void {
    for (const { client, target } of [...this.#pairs]) {
      client.resetAndDestroy();
      target.resetAndDestroy();
    }
  }

  /** Clients are sent `bytes` more, all connections together, then every connection is reset, in the middle of whatever it is. */
  resetAfter(bytes: number): void {
    this.#budget = bytes;
  }

  /** Stops one direction without a word: a half-open connection. */
  pause(direction: Direction): void {
    this.#paused.add(direction);
    for (const pair of this.#pairs) this.#source(direction, pair).pause();
  }

  resume(direction: Direction): void {
    this.#paused.delete(direction);
    for (const pair of this.#pairs) this.#source(direction, pair).resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reset();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #source(direction: Direction, { client, target }: { readonly client: Socket; readonly target: Socket }): Socket {
    return direction === 'toServer' ? client : target;
  }

  #accept(client: Socket): void {
    this.acceptedAt.push(performance.now());
    const target = connect(this.#targetPort(), '127.0.0.1');
    const pair = { client, target };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
      from.on('end', () => to.end());
    }
    client.on('data', (chunk) => target.write(chunk));
    target.on('data', (chunk) => {
      const part = chunk.subarray(0, this.#budget);
      this.#budget -= part.byteLength;
      this.#sent += part.byteLength;
      // What was allowed arrives; the reset follows it.
      const isTaken = client.write(part, () => {
        if (part.byteLength < chunk.byteLength) this.#endBudget();
      });
      if (isTaken) return;
      // A slow client slows the server down, as it would without a proxy.
      target.pause();
      client.once('drain', () => {
        if (!this.#paused.has('toClient')) target.resume();
      });
    });
    for (const direction of this.#paused) this.#source(direction, pair).pause();
  }

  #endBudget(): void {
    this.#budget = Infinity;
    this.reset();
  }
}
