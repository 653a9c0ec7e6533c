import { createServer, IncomingMessage, ServerResponse, type Server, type ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { Express } from 'express';
import { createApp, type AppOptions } from './app.ts';
import { createHotPath, type HotPath } from './hot-path.ts';

/** Above the idle time of common load balancers (60 s), so that they close first and no request meets a closing connection. */
const KEEP_ALIVE_MS = 65_000;

/** A server, not yet listening: what `answerHot` does not answer is answered by Express, with the same bytes. */
export function createListener(options: AppOptions, answerHot: HotPath = createHotPath(options)): Server {
  const app = createApp(options);
  const timeouts = { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: KEEP_ALIVE_MS + 1_000 };
  const server = createServer({ ...timeouts, ...expressClasses(app) }, (request, response) => {
    if (!response.socket) closeWithConnection(request, response);
    if (!answerHot(request, response)) app(request, response);
  });
  return server.on('checkContinue', (request, response) => {
    // Behind an answer that is not sent yet, Node.js would put it between the head of this answer and its body. Nobody has to wait for it.
    if (response.socket) response.writeContinue();
    server.emit('request', request, response);
  });
}

const queued = new WeakMap<Socket, Set<ServerResponse>>();

/** An answer that waits for those before it on its connection is not told by Node.js when that ends: it would be held for ever. */
function closeWithConnection({ socket }: IncomingMessage, response: ServerResponse): void {
  const known = queued.get(socket);
  const waiting = known ?? new Set<ServerResponse>();
  waiting.add(response);
  response.once('socket', () => waiting.delete(response));
  if (known) return;
  queued.set(socket, waiting);
  socket.once('close', () => {
    for (const one of waiting) {
      one.destroyed = true;
      one.emit('close');
    }
  });
}

/**
 * Classes whose instances have Express's prototypes from the start. It gives every request its own, and before Node.js 24 a changed prototype
 * makes all later work with an object slow: two thirds of the time of a small answer. From 24 on it costs little, and this would cost more.
 */
function expressClasses(app: Express): Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  if (Number.parseInt(process.versions.node) >= 24) return {};
  class ExpressRequest extends IncomingMessage {}
  class ExpressResponse<Request extends IncomingMessage> extends ServerResponse<Request> {}
  for (const [name, { prototype }] of [
    ['request', ExpressRequest],
    ['response', ExpressResponse],
  ] as const) {
    Object.setPrototypeOf(prototype, Reflect.get(app, name) as object);
    Reflect.set(app, name, prototype);
  }
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse };
}
