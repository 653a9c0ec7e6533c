import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { AttuneError, isAttuneError } from '../../core/errors.ts';
import { prettyJson } from '../../core/json-text.ts';
import type { ConfigService } from '../config-service.ts';
import { EVERY_ANSWER, jsonAnswer, NO_STORE, onWire, positionHeaders, type Answer } from './answer.ts';
import { departureOf, type Departure } from './departure.ts';
import { endWith } from './head-text.ts';
import { REQUEST_ID } from './observation.ts';
import { problemOf, type ProblemDocument } from './problem.ts';

/** One request and its answer, with what every answer carries. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly service: ConfigService;
  readonly requestId: string;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  /** The same, for who is held. */
  readonly departure: Departure;
  /** `?pretty`: indent JSON. */
  readonly pretty: boolean;
  /** True once the node is shutting down. */
  readonly isDraining: () => boolean;
}

/** What exchanges of one server share. */
export interface ExchangeOptions {
  readonly service: ConfigService;
  readonly isDraining: () => boolean;
}

/** The exchange that `request` begins. */
export function createExchange(
  { service, isDraining }: ExchangeOptions,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): Exchange {
  let gone: AbortController | undefined;
  let departure: Departure | undefined;
  return {
    request,
    response,
    service,
    requestId,
    // Made when it is first asked for: most answers wait for nothing.
    get signal() {
      return (gone ??= abortWhenGone(response)).signal;
    },
    get departure() {
      return (departure ??= departureOf(response));
    },
    pretty: isPretty(request.url ?? ''),
    isDraining,
  };
}

function abortWhenGone(response: ServerResponse): AbortController {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.once('close', () => {
    // Nobody waits for what is answered already, and an abort is not cheap.
    if (!response.writableFinished) gone.abort();
  });
  return gone;
}

const isPretty = (url: string): boolean => /[?&]pretty(?:=(?:true|1)?)?(?:&|$)/.test(url);

/** Sets what every answer carries, whatever becomes of its request. */
export function setCommonHeaders(response: ServerResponse, requestId: string): void {
  response.setHeader(REQUEST_ID, requestId);
  for (const [name, value] of Object.entries(EVERY_ANSWER)) response.setHeader(name, value);
}

/** Sends `answer` with the position of this node. JSON ends with a line feed. */
export function send(exchange: Exchange, answer: Answer): void {
  const { request, response } = exchange;
  if (response.headersSent || response.destroyed) return;
  announcePosition(exchange);
  // The client's next request belongs to another node.
  if (exchange.isDraining()) response.setHeader('Connection', 'close');
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    // What was said to vary already, by origin, varies still.
    if (name === 'Vary') response.appendHeader(name, value);
    else response.setHeader(name, value);
  }
  response.statusCode = answer.status;
  if (answer.body === undefined) {
    response.end();
    return;
  }
  const { bytes, body } = onWire(answer.body);
  response.setHeader('Content-Length', bytes);
  if (request.method === 'HEAD') response.end();
  else endWith(response.writeHead(answer.status), body);
}

/** Sends JSON text as an object of its own. */
export function sendJson(exchange: Exchange, status: number, text: string | Buffer, headers: Readonly<Record<string, string>> = {}): void {
  const shown = exchange.pretty ? prettyJson(text.toString()) : text;
  const line = Buffer.isBuffer(shown) ? Buffer.concat([shown, LINE_FEED]) : `${shown}\n`;
  send(exchange, jsonAnswer(status, line, headers));
}

const LINE_FEED = Buffer.from('\n');

/** Sends `error` as a problem document; returns it. Anything that is not Attune's own is told as INTERNAL and nothing of it is shown. */
function sendProblem(exchange: Exchange, error: unknown): ProblemDocument {
  const problem = problemOf(isAttuneError(error) ? error : undefined, exchange.requestId);
  const { retryAfter: seconds = 1 } = isAttuneError(error) ? error.details : {};
  const retryAfter = problem.status === 503 || problem.status === 429 ? { 'Retry-After': String(seconds) } : {};
  const shown = exchange.pretty ? prettyJson(problem.text) : problem.text;
  send(exchange, {
    status: problem.status,
    headers: { 'Content-Type': 'application/problem+json', 'Cache-Control': NO_STORE, ...retryAfter },
    body: `${shown}\n`,
  });
  return problem;
}

/** The one place where a failed request is answered. */
export function answerFailure(exchange: Exchange, error: unknown, log: Logger): void {
  const { response, requestId } = exchange;
  // The client is gone: what waited for it was aborted.
  if (response.destroyed) return;
  if (response.headersSent) {
    log.warn({ err: error, requestId }, 'a request failed after its answer had begun');
    response.destroy();
    return;
  }
  let problem: ProblemDocument;
  try {
    problem = sendProblem(exchange, error);
  } catch (fault) {
    log.error({ err: fault, requestId }, 'what went wrong with a request could not be told');
    response.destroy();
    return;
  }
  const { code, status } = problem;
  if (code === 'INTERNAL') log.error({ err: error, requestId }, 'a request failed by a fault of this service');
  else if (status >= 500) log.info({ requestId, code, err: error }, 'a request was not served');
}

/** Who asks, as far as limits go: the address the connection comes from. A forwarded one is not believed. */
export function clientOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? '';
}

/** Sets the headers that tell where this node stands. */
export function announcePosition({ response, service }: Exchange): void {
  for (const [name, value] of Object.entries(positionHeaders(service))) response.setHeader(name, value);
}

/** The value of a header that may stand once. @throws {AttuneError} INVALID_ARGUMENT if it stands several times. */
export function singleHeader(request: IncomingMessage, name: string): string | undefined {
  const values = request.headersDistinct[name];
  if (!values || values.length === 0) return undefined;
  if (values.length > 1) throw new AttuneError('INVALID_ARGUMENT', `the header ${name} stands ${values.length} times; send it once`);
  return values[0];
}
