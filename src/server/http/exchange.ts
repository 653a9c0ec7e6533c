import type { IncomingMessage, ServerResponse } from 'node:http';
import { AttuneError, isAttuneError } from '../../core/errors.ts';
import { prettyJson } from '../../core/json-text.ts';
import type { ConfigService } from '../config-service.ts';
import { endWith, jsonAnswer, NO_STORE, onWire, positionHeaders, type Answer } from './answer.ts';
import type { Departure } from './departure.ts';
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
export function sendProblem(exchange: Exchange, error: unknown): ProblemDocument {
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
