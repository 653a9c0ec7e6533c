import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { BoundedConnection } from '../../src/server/http/bounded-connection.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Frames on both sides of the length up to which one is copied, told apart by their bytes. */
const FRAMES = [10, 70_000, 1, 65_536, 65_537, 200, 300_000, 3].map((length, index) => Buffer.alloc(length, 97 + index));
const ALL = Buffer.concat(FRAMES).toString();

/** Writes them all: some in one turn of the event loop, the rest each in its own. */
async function writeAll(response: ServerResponse): Promise<void> {
  const connection = new BoundedConnection(response);
  connection.sendHead();
  for (const frame of FRAMES.slice(0, 5)) connection.write(frame);
  for (const frame of FRAMES.slice(5)) {
    await new Promise((resolve) => setImmediate(resolve));
    connection.write(frame);
  }
  connection.end(5_000);
}

async function sendRaw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
  await once(socket, 'close');
  return answer;
}

/** RFC 9112, 7.1. */
function unchunk(text: string): string {
  const end = text.indexOf('\r\n');
  const length = Number.parseInt(text.slice(0, end), 16);
  const begin = end + 2;
  return length === 0 ? '' : text.slice(begin, begin + length) + unchunk(text.slice(begin + length + 2));
}

describe('the frames of a stream arrive whole and in order', () => {
  test('in chunks', async () => {
    const port = await serve((_request, response) => void writeAll(response));
    const [response] = (await once(get({ port, host: '127.0.0.1' }), 'response')) as [IncomingMessage];
    let body = '';
    for await (const text of response.setEncoding('latin1')) body += text as string;
    expect(response.headers['transfer-encoding']).toBe('chunked');
    expect(body === ALL).toBe(true);
  });

  test('bare, for a client of HTTP/1.0', async () => {
    const port = await serve((_request, response) => void writeAll(response));
    const answer = await sendRaw(port, 'GET / HTTP/1.0\r\n\r\n');
    expect(answer.includes('Transfer-Encoding')).toBe(false);
    expect(answer.slice(answer.indexOf('\r\n\r\n') + 4) === ALL).toBe(true);
  });

  test('after the answers to the requests before it on the same connection', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/stream') void writeAll(response).then(() => response.socket?.end());
      else setTimeout(() => response.end('first'), 50);
    });
    const answer = await sendRaw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const stream = answer.slice(answer.indexOf('first') + 5);
    expect(stream.startsWith('HTTP/1.1 200 OK')).toBe(true);
    expect(unchunk(stream.slice(stream.indexOf('\r\n\r\n') + 4)) === ALL).toBe(true);
  });
});
