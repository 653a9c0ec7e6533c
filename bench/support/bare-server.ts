import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/*
 * The bare counterpart of the service, as little as node:http allows. As a process of its own:
 *   GET /stream      an event stream that is held
 *   PUT /broadcast   writes its body to every stream, in one loop
 *   PUT /answer      sets what every other request is answered with: JSON {status, headers, body}
 */

interface Answer {
  readonly status: number;
  /** Names and values in turn, as they go over the wire. */
  readonly headers: string[];
  readonly body: string;
}

let answer: Answer = { status: 200, headers: ['Content-Length', '0'], body: '' };
let body = Buffer.alloc(0);
const streams = new Set<ServerResponse>();

const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  if (request.method === 'PUT') {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      take(request.url, Buffer.concat(chunks));
      response.writeHead(204).end();
    });
  } else if (request.url === '/stream') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' }).write('event: synced\ndata: {}\n\n');
    streams.add(response);
    response.on('close', () => streams.delete(response));
  } else response.writeHead(answer.status, answer.headers).end(body);
});

function take(url: string | undefined, bytes: Buffer): void {
  if (url === '/broadcast') {
    for (const stream of streams) stream.write(bytes);
    return;
  }
  answer = JSON.parse(bytes.toString()) as Answer;
  body = Buffer.from(answer.body);
}

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(`listening on http://127.0.0.1:${port}`);
});
