import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';

const FOLDER = 'test/support/certificates';

/** Paths of PEM files. */
export const CERTIFICATES = Object.freeze({
  ca: `${FOLDER}/ca.pem`,
  server: `${FOLDER}/server.pem`,
  serverKey: `${FOLDER}/server-key.pem`,
  client: `${FOLDER}/client.pem`,
  clientKey: `${FOLDER}/client-key.pem`,
});

/** The encrypted door of a store: asks for a client certificate and passes on what comes through. */
export class TlsProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  private constructor(target: number) {
    const [ca, cert, key] = [CERTIFICATES.ca, CERTIFICATES.server, CERTIFICATES.serverKey].map((path) => readFileSync(path));
    this.#server = createServer(
      { ca, cert, key, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2', 'http/1.1'] },
      (socket) => {
        this.#sockets.add(socket);
        const inner = connect(target, '127.0.0.1');
        const end = (): void => {
          this.#sockets.delete(socket);
          socket.destroy();
          inner.destroy();
        };
        for (const each of [socket, inner]) each.on('error', end).on('close', end);
        socket.pipe(inner).pipe(socket);
      },
    );
    // A client without a certificate: its own affair.
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(target: number): Promise<TlsProxy> {
    const proxy = new TlsProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** `localhost:PORT`, a name its certificate holds. */
  get host(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
