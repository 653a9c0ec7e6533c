import { UnauthenticatedError } from '../core/errors.ts';
import { linkAbort, type AbortLink } from './abort-link.ts';
import type { Clock } from './clock.ts';
import type { ServerUrls } from './server-urls.ts';
import { failureOf, isFailure, refusalOf, type Failure } from './transport-failure.ts';

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
   * Sends a request and reads its answer. A read asks the next server when one cannot be reached or does not answer, and a single server
   * once more when the connection broke; a write leaves at most once: the next server is asked only if the connection was refused.
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
  const { urls } = options;
  /** Where the server that answered last stands among `urls`. */
  let current = 0;
  const urlAt = (index: number): string => urls[index % urls.length] ?? urls[0];

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

  const receive = async (base: string, request: Outgoing, headers: Headers): Promise<Incoming | Failure> => {
    const link = linkAbort(request.signal, options.clock);
    link.expireAfter(request.timeoutMs);
    try {
      const response = await callFetch(base, request, headers, link.signal);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return { server: base, status: response.status, headers: response.headers, bytes };
    } catch (error) {
      return failureOf(error, base, request, link);
    } finally {
      link.release();
    }
  };

  return {
    send: async (request) => {
      request.signal?.throwIfAborted();
      const headers = await resolveHeaders(request);
      // Counted from where it began: calls at the same time must not push each other past a server.
      const first = current;
      let end = first + urls.length;
      for (let index = first; ; index++) {
        const received = await receive(urlAt(index), request, headers);
        const outcome = isFailure(received) || isSuccess(received) ? received : refusalOf(received, request, options.clock.now());
        if (isFailure(outcome) && outcome.isBroken && urls.length === 1) end = first + 2;
        if (isFailure(outcome) && outcome.mayAskAnother && index + 1 < end) continue;
        current = index % urls.length;
        if (isFailure(outcome)) throw outcome.error;
        return outcome;
      }
    },
    open: async (request, elsewhere, link) => {
      if (elsewhere) current = (current + 1) % urls.length;
      const base = urlAt(current);
      const headers = await resolveHeaders(request);
      const opened = await callFetch(base, request, headers, link.signal)
        .then(async (response) => ({ response, bytes: response.status === 200 ? undefined : new Uint8Array(await response.arrayBuffer()) }))
        .catch((error: unknown) => failureOf(error, base, request, link));
      if (isFailure(opened)) throw opened.error;
      const { response, bytes } = opened;
      if (bytes === undefined) return { server: base, response };
      throw refusalOf({ server: base, status: response.status, headers: response.headers, bytes }, request, options.clock.now()).error;
    },
  };
}

const isSuccess = ({ status }: Incoming): boolean => status >= 200 && status < 300;

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
