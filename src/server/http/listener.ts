import { createServer, IncomingMessage, ServerResponse, type RequestListener, type Server, type ServerOptions } from 'node:http';
import type { Express } from 'express';
import { createApp, type AppOptions } from './app.ts';
import { createHotPath, type HotPath } from './hot-path.ts';

/** Above the idle time of common load balancers (60 s), so that they close first and no request meets a closing connection. */
const KEEP_ALIVE_MS = 65_000;

/** A server, not yet listening: what `answerHot` does not answer is answered by Express, with the same bytes. */
export function createListener(options: AppOptions, answerHot: HotPath = createHotPath(options)): Server {
  const app = createApp(options);
  const timeouts = { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: KEEP_ALIVE_MS + 1_000 };
  const answer: RequestListener = (request, response) => {
    if (!answerHot(request, response)) app(request, response);
  };
  const server = createServer({ ...timeouts, ...expressClasses(app) }, (request, response) => inTurn(request, response, answer));
  return server.on('checkContinue', (request, response) =>
    inTurn(request, response, () => {
      response.writeContinue();
      answer(request, response);
    }),
  );
}

/**
 * Begins with a request when those before it on its connection are answered: one that was sent behind a write may count on it (RFC 9112, 9.3.2), and one
 * behind an answer that is the connection's last must not be carried out at all. Until then its answer has no socket.
 */
function inTurn(request: IncomingMessage, response: ServerResponse, answer: RequestListener): void {
  if (response.socket) answer(request, response);
  // Node.js is still about to send what the answer has said so far.
  else response.once('socket', () => process.nextTick(answer, request, response));
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
