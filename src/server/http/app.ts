import cors from 'cors';
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express';
import type { Logger } from 'pino';
import { AttuneError } from '../../core/errors.ts';
import { quoteForMessage } from '../../core/key.ts';
import type { ConfigService } from '../config-service.ts';
import type { AdmissionLimits } from './admission.ts';
import { NO_STORE } from './answer.ts';
import { answerFailure, createExchange, send, sendJson, setCommonHeaders, type Exchange } from './exchange.ts';
import { deleteItem, getItem, ITEM_ROUTE, keyOfPath, writeItem } from './items.ts';
import { getItems, LIST_PATH } from './list.ts';
import type { LongPolls } from './long-poll.ts';
import type { Metrics } from './metrics.ts';
import { createRequestIds, recordWhenOver } from './observation.ts';
import { errorsPage, homePage, homeText } from './pages.ts';
import { maxBodyBytes } from './put-body.ts';
import { parseQuery } from './query.ts';
import { requireTrustedBrowser, type BrowserRules } from './security.ts';
import { LIVENESS, readinessHealth, statusOf, type Health } from './status.ts';
import type { Streams } from './streams.ts';

export interface AppOptions {
  readonly service: ConfigService;
  readonly streams: Streams;
  readonly polls: LongPolls;
  readonly metrics: Metrics;
  readonly admission: AdmissionLimits;
  readonly log: Logger;
  readonly rules: BrowserRules;
  readonly version: string;
  readonly storeHosts: readonly string[];
  readonly isDraining: () => boolean;
}

type Handler = (exchange: Exchange, request: Request) => void | Promise<void>;
type Handlers = Readonly<Partial<Record<'GET' | 'PUT' | 'DELETE', Handler>>>;

const EXPOSED_HEADERS = [
  'Attune-Revision',
  'Attune-Cursor',
  'Attune-Stale',
  'ETag',
  'Link',
  'Location',
  'Retry-After',
  'Preference-Applied',
  'X-Request-Id',
];

/** The HTTP API on Express: routing, limits, errors. What a route does is in the file of its noun. */
export function createApp(options: AppOptions): Express {
  const { service, streams, polls, metrics, rules, version } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.set('query parser', 'simple');

  app.use(observeAll(options));
  app.use((request, _response, next) => {
    requireTrustedBrowser(request, rules);
    next();
  });
  if (rules.corsOrigins.length > 0) {
    app.use(
      cors({ origin: [...rules.corsOrigins], exposedHeaders: EXPOSED_HEADERS, methods: ['GET', 'HEAD', 'PUT', 'DELETE'], maxAge: 600 }),
    );
  }

  const parseBody = express.raw({ type: () => true, limit: maxBodyBytes(service) });
  const readBody = async (request: Request, response: Response): Promise<void> =>
    new Promise((resolve, reject) => {
      parseBody(request, response, (error?: unknown) => (error ? reject(bodyError(error, service.limits.maxValueBytes)) : resolve()));
    });
  const route = (path: string | RegExp, name: string, handlers: Handlers): void => {
    app.all(path, async (request, response) => {
      response.locals['route'] = name;
      const handler = handlers[(request.method === 'HEAD' ? 'GET' : request.method) as keyof Handlers];
      if (!handler) {
        const allowed = Object.keys(handlers).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
        response.setHeader('Allow', allowed.join(', '));
        throw new AttuneError('METHOD_NOT_ALLOWED', `${request.method} does not go with ${name}; allowed: ${allowed.join(', ')}`);
      }
      if (request.method === 'PUT') await readBody(request, response);
      await handler(exchangeOf(options, request, response), request);
    });
  };

  const key = (request: Request) => keyOfPath(pathOf(request));
  route(/^\/api\/v1\/configs\/.*$/, ITEM_ROUTE, {
    GET: (exchange, request) => getItem(exchange, key(request), polls),
    PUT: async (exchange, request) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const { status, text, headers } = await writeItem(service, request, key(request), body);
      sendJson(exchange, status, text, headers);
    },
    DELETE: (exchange, request) => deleteItem(exchange, key(request)),
  });
  route(LIST_PATH, LIST_PATH, { GET: (exchange) => getItems(exchange, polls) });
  route('/api/v1/watch', '/api/v1/watch', { GET: (exchange) => streams.open(exchange) });
  const simple = (path: string, answer: (exchange: Exchange) => void | Promise<void>): void =>
    route(path, path, {
      GET: (exchange) => {
        parseQuery(exchange.request.url ?? '', {});
        return answer(exchange);
      },
    });
  simple('/api/v1/status', (exchange) =>
    sendJson(
      exchange,
      200,
      JSON.stringify(
        statusOf({
          service,
          version,
          storeHosts: options.storeHosts,
          streams: () => streams.size,
          polls: () => polls.size,
          admission: options.admission,
        }),
      ),
    ),
  );
  const health = (path: string, read: () => Health): void =>
    simple(path, (exchange) => {
      const { status, text, headers } = read();
      sendJson(exchange, status, text, headers);
    });
  health('/healthz', () => LIVENESS);
  health('/readyz', () => readinessHealth(service, options.isDraining()));
  simple('/metrics', async (exchange) => {
    const body = await metrics.read();
    send(exchange, { status: 200, headers: { 'Content-Type': metrics.contentType, 'Cache-Control': NO_STORE }, body });
  });
  simple('/docs/errors', (exchange) => sendPage(exchange, errorsPage()));
  simple('/', (exchange) => {
    const base = `http://${exchange.request.headers.host ?? 'localhost'}`;
    if (exchange.request.headers.accept?.includes('text/html')) sendPage(exchange, homePage(version, base));
    else
      send(exchange, {
        status: 200,
        headers: { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': NO_STORE, Vary: 'Accept' },
        body: homeText(version, base),
      });
  });

  app.use((request) => {
    throw new AttuneError('ROUTE_NOT_FOUND', `there is no path ${quoteForMessage(pathOf(request))}; see GET / for what there is`);
  });
  app.use(answerError(options));
  return app;
}

const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

function sendPage(exchange: Exchange, body: string): void {
  send(exchange, {
    status: 200,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Cache-Control': NO_STORE,
      Vary: 'Accept',
      'Content-Security-Policy': PAGE_POLICY,
    },
    body,
  });
}

/** The path as it was sent: decoding is the business of the one who knows what it means. */
function pathOf(request: Request): string {
  const [path = ''] = request.originalUrl.split('?', 1);
  // A proxy's absolute form names the host again.
  return path.replace(/^https?:\/\/[^/]+/i, '');
}

/** Gives every request an id, and counts and logs it when it is over. */
function observeAll(options: AppOptions) {
  const requestIdOf = createRequestIds();
  return (request: Request, response: Response, next: () => void): void => {
    const startedAt = performance.now();
    const requestId = requestIdOf(request.headers['x-request-id']);
    response.locals['requestId'] = requestId;
    setCommonHeaders(response, requestId);
    recordWhenOver(options, request, response, { requestId, startedAt, route: () => String(response.locals['route'] ?? 'none') });
    next();
  };
}

const exchangeOf = (options: AppOptions, request: Request, response: Response): Exchange =>
  createExchange(options, request, response, String(response.locals['requestId']));

/** What the body reader refuses, in this API's words. */
function bodyError(error: unknown, maxValueBytes: number): Error {
  if (!(error instanceof Error)) return new Error('the body could not be read', { cause: error });
  switch ('type' in error ? error.type : undefined) {
    case 'entity.too.large':
      return new AttuneError('VALUE_TOO_LARGE', `the body is too large: a value has at most ${maxValueBytes} bytes`, {
        details: { maxValueBytes },
      });
    case 'encoding.unsupported':
      return new AttuneError('UNSUPPORTED_MEDIA_TYPE', 'this Content-Encoding is not taken; send gzip, deflate, br or none');
    case 'request.size.invalid':
    case 'request.aborted':
      return new AttuneError('INVALID_BODY', 'the body is shorter than its Content-Length');
    default:
      // A decompressor's error has no type.
      return 'status' in error && typeof error.status === 'number' && error.status < 500
        ? new AttuneError('INVALID_BODY', 'the body cannot be read as its headers say')
        : error;
  }
}

/** Express calls it because it takes four parameters. */
function answerError(options: AppOptions): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const known = isBadPath(error) ? new AttuneError('INVALID_ARGUMENT', 'the path is not valid percent-encoded UTF-8') : error;
    answerFailure(exchangeOf(options, request, response), known, options.log);
  };
}

/** Express itself decodes paths of plain routes. */
const isBadPath = (error: unknown): boolean => error instanceof URIError;
