import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

const PAGE = '<!doctype html><meta charset="utf-8"><title>page</title><body></body>';

/**
 * A port at which `/page` is a page of somebody's and everything else is the service: what a browser sees whose name server said one address
 * when the page was loaded and another one afterwards. The browser's own guards see nothing but loopback, so that what holds is the service's.
 */
export class BrowserDoor implements AsyncDisposable {
  readonly port: number;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  static async open(servicePort: number): Promise<BrowserDoor> {
    const sockets = new Set<Socket>();
    const track = (socket: Socket): Socket => {
      sockets.add(socket);
      return socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    };
    const server = createServer((client) => {
      track(client).once('data', (first: Buffer) => {
        const [, path = ''] = first.toString('latin1').split(' ', 2);
        if (path.startsWith('/page')) {
          const policy = path === '/page?sandbox' ? 'Content-Security-Policy: sandbox allow-scripts allow-forms\r\n' : '';
          client.end(
            `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${PAGE.length}\r\nConnection: close\r\n${policy}\r\n${PAGE}`,
          );
          return;
        }
        const service = track(connect(servicePort, '127.0.0.1'));
        service.write(first);
        client.pipe(service).pipe(client);
        client.on('close', () => service.destroy());
        service.on('close', () => client.destroy());
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new BrowserDoor((server.address() as AddressInfo).port, async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
