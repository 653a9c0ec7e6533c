import { createServer, type Server } from 'node:http';
import { createApp, type AppOptions } from './app.ts';
import { createHotPath, type HotPath } from './hot-path.ts';

/** Above the idle time of common load balancers (60 s), so that they close first and no request meets a closing connection. */
const KEEP_ALIVE_MS = 65_000;

/** A server, not yet listening: what `answerHot` does not answer is answered by Express, with the same bytes. */
export function createListener(options: AppOptions, answerHot: HotPath = createHotPath(options)): Server {
  const app = createApp(options);
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: KEEP_ALIVE_MS + 1_000 }, (request, response) => {
    if (!answerHot(request, response)) app(request, response);
  });
  return server.on('checkContinue', (request, response) => {
    // Behind an answer that is not sent yet, Node.js would put it between the head of this answer and its body. Nobody has to wait for it.
    if (response.socket) response.writeContinue();
    server.emit('request', request, response);
  });
}
