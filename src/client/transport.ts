import {
  type AttuneError,
  isAttuneError,
  OutcomeUnknownError,
  ProtocolError,
  UnauthenticatedError,
  UnavailableError,
} from '../core/errors.ts';
import { linkAbort, type AbortLink } from './abort-link.ts';
import type { Clock } from './clock.ts';
import { describeNetworkFailure } from './network-failure.ts';
import { parseProblem } from './problem.ts';
import type { ServerUrls } from './server-urls.ts';

export interface Outgoing {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** Path and query, below a server's base URL. */
  readonly target: string;
  readonly accept: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** For each server asked, until its answer has arrived in full. */
  readonly timeoutMs: number;
}

/** An answer of status 2xx, read in full. */
export interface Incoming {
  /** The base URL of the server that answered. */
  readonly server: string;
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

export interface TransportOptions {
  readonly urls: ServerUrls;
  readonly token: string | (() => string | Promise<string>) | undefined;
  readonly userAgent: string | undefined;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
}

export interface Transport {
  /**
   * Sends a request and reads its answer. A read asks the next server when one cannot be reached or does not answer; a write leaves at most
   * once: the next server is asked only if the connection was refused.
   * @throws {UnavailableError} no server could be asked; a write was certainly not applied.
   * @throws {OutcomeUnknownError} a write was sent and nothing sensible came back.
   * @throws {ProtocolError} a read was answered with something that is neither Attune's answer nor its problem document.
   * @throws {AttuneError} what the server's problem document says.
   * @throws the reason of `signal`, for a read.
   */
  send(request: Outgoing): Promise<Incoming>;
  /** Asks one server, the one used last or, if `elsewhere`, the next one, and hands over the response with its body unread. The same errors. */
  open(
    request: Omit<Outgoing, 'body'>,
    elsewhere: boolean,
    link: AbortLink,
  ): Promise<{ readonly server: string; readonly response: Response }>;
}

export function createTransport(options: TransportOptions): Transport {
  let current = 0;
  const server = (): string => options.urls[current % options.urls.length] ?? options.urls[0];
  const rotate = (): void => {
    current = (current + 1) % options.urls.length;
  };

  // Apart from fetch: whatever fails here was certainly not sent.
  const resolveHeaders = async (request: Outgoing): Promise<Headers> => {
    const headers = new Headers({ accept: request.accept });
    for (const [name, value] of Object.entries(request.headers ?? {})) if (value !== undefined) headers.set(name, value);
    const token = await resolveToken(options.token);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    if (options.userAgent !== undefined) headers.set('user-agent', options.userAgent);
    request.signal?.throwIfAborted();
    return headers;
  };

  const callFetch = (base: string, request: Outgoing, headers: Headers, signal: AbortSignal): Promise<Response> =>
    options.fetch(`${base}${request.target}`, {
      method: request.method,
      headers,
      signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });

  const attempt = async (base: string, request: Outgoing, headers: Headers): Promise<Incoming> => {
    const link = linkAbort(request.signal, options.clock);
    link.expireAfter(request.timeoutMs);
    try {
      const response = await callFetch(base, request, headers, link.signal);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return { server: base, status: response.status, headers: response.headers, bytes };
    } catch (error) {
      throw failureOf(error, base, request, link);
    } finally {
      link.release();
    }
  };

  return {
    send: async (request) => {
      request.signal?.throwIfAborted();
      const headers = await resolveHeaders(request);
      for (let tried = 1; ; tried++) {
        const base = server();
        try {
          const answer = await attempt(base, request, headers);
          if (answer.status >= 200 && answer.status < 300) return answer;
          throw refusalOf(answer, request, options.clock.now());
        } catch (error) {
          if (!(error instanceof NotReached)) throw error;
          rotate();
          if (tried >= options.urls.length) throw error.translated;
        }
      }
    },
    open: async (request, elsewhere, link) => {
      if (elsewhere) rotate();
      const headers = await resolveHeaders(request);
      const base = server();
      try {
        const response = await callFetch(base, request, headers, link.signal);
        if (response.status === 200) return { server: base, response };
        const bytes = new Uint8Array(await response.arrayBuffer());
        throw refusalOf({ server: base, status: response.status, headers: response.headers, bytes }, request, options.clock.now());
      } catch (error) {
        const failure = failureOf(error, base, request, link);
        throw failure instanceof NotReached ? failure.translated : failure;
      }
    },
  };
}

async function resolveToken(token: TransportOptions['token']): Promise<string | undefined> {
  let resolved: string | undefined;
  try {
    resolved = typeof token === 'function' ? await token() : token;
  } catch (cause) {
    throw new UnauthenticatedError("the 'token' function failed, so nothing was sent", { cause });
  }
  // Checked here because the runtime's message for a bad header would show the token.
  if (resolved !== undefined && !/^[\u0021-\u007e]+$/.test(resolved)) {
    throw new UnauthenticatedError("the 'token' is empty or has a character no token has (a line feed at its end?), so nothing was sent");
  }
  return resolved;
}

/** Within this file: this server was not reached, another may be. */
class NotReached extends Error {
  readonly translated: AttuneError;

  constructor(translated: AttuneError) {
    super(translated.message);
    this.translated = translated;
  }
}

function failureOf(error: unknown, base: string, request: Outgoing, link: AbortLink): unknown {
  if (isAttuneError(error) || error instanceof NotReached) return error;
  const isWrite = request.method !== 'GET';
  if (link.signal.aborted && !link.expired) {
    return isWrite
      ? new OutcomeUnknownError(`${request.method} to ${base} was aborted after sending; it may have been applied`, { cause: error })
      : link.signal.reason;
  }
  const { reason, unsent } = link.expired
    ? { reason: `no answer within ${request.timeoutMs} ms`, unsent: false }
    : describeNetworkFailure(error);
  if (isWrite && !unsent) {
    return new OutcomeUnknownError(
      `sent to ${base}, but no answer came back (${reason}); it may have been applied: read the key before trying again`,
      {
        cause: error,
        details: { url: base },
      },
    );
  }
  return new NotReached(new UnavailableError(`cannot reach ${base}: ${reason}`, { cause: error, details: { url: base } }));
}

/** What an answer other than 2xx means. */
function refusalOf(answer: Incoming, request: Outgoing, now: number): Error {
  const type = mediaTypeOf(answer.headers);
  const body = type === 'application/problem+json' || type === 'application/json' ? tryParseJson(answer.bytes) : undefined;
  const problem = parseProblem(body, answer.status, answer.headers, now);
  if (problem) return problem;
  const said = `${answer.server} answered ${answer.status} ${type === '' ? 'without a content type' : type}, not as an Attune server does`;
  const details = { url: answer.server, status: answer.status };
  if (answer.status < 500) return new ProtocolError(`${said}; is this its URL?`, { details });
  // A proxy between us and the server: it may have passed the write on before it gave up.
  if (request.method !== 'GET') return new OutcomeUnknownError(`${said}; the write may have been applied`, { details });
  const gone = answer.status === 502 || answer.status === 503 || answer.status === 504;
  return gone
    ? new NotReached(new UnavailableError(`cannot reach ${answer.server}: ${said}`, { details }))
    : new ProtocolError(said, { details });
}

export function mediaTypeOf(headers: Headers): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function tryParseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
