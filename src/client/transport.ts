import { UnauthenticatedError } from '../core/errors.ts';
import type { Clock } from './clock.ts';
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

/** An answer, read in full. */
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

/** The servers of one client, and how they are asked. Streams and requests share it. */
export class Transport {
  readonly clock: Clock;
  readonly urls: ServerUrls;
  /** Where the server that answered last stands among `urls`, which are counted round and round. */
  current = 0;
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.clock = options.clock;
    this.urls = options.urls;
    this.#options = options;
  }

  urlAt(index: number): string {
    return this.urls[index % this.urls.length] ?? this.urls[0];
  }

  /**
   * The headers of a request; whatever fails here was certainly not sent.
   * @throws {UnauthenticatedError} the token function failed, or what it gave cannot be one. @throws the reason of the request's signal.
   */
  async headersOf({ accept, headers, signal }: Outgoing): Promise<Headers> {
    const { token, userAgent } = this.#options;
    const all = new Headers({ accept });
    for (const [name, value] of Object.entries(headers ?? {})) if (value !== undefined) all.set(name, value);
    const resolved = await resolveToken(token);
    if (resolved !== undefined) all.set('authorization', `Bearer ${resolved}`);
    if (userAgent !== undefined) all.set('user-agent', userAgent);
    signal?.throwIfAborted();
    return all;
  }

  fetch(base: string, { method, target, body }: Outgoing, headers: Headers, signal: AbortSignal): Promise<Response> {
    return this.#options.fetch(base + target, { method, headers, signal, ...(body !== undefined && { body }) });
  }
}

async function resolveToken(token: TransportOptions['token']): Promise<string | undefined> {
  let resolved: string | undefined;
  try {
    // Null too, which callers without types give for none.
    resolved = (typeof token === 'function' ? await token() : token) ?? undefined;
  } catch (cause) {
    throw new UnauthenticatedError("the 'token' function failed, so nothing was sent", { cause });
  }
  // Checked here because the runtime's message for a bad header would show the token.
  if (resolved !== undefined && !/^[\u0021-\u007e]+$/.test(resolved)) {
    throw new UnauthenticatedError("the 'token' is empty or has a character no token has (a line feed at its end?), so nothing was sent");
  }
  return resolved;
}

/** What a failure of `fetch` is caused by, which it hides behind "fetch failed". */
export function causeOf(error: unknown): { readonly code?: string; readonly message?: string; readonly syscall?: string } {
  return (error instanceof Error && error.cause) || error || {};
}

/** For people: `connection refused`, `other side closed`. */
export function reasonOf(error: unknown): string {
  const { code, message } = causeOf(error);
  return code === 'ECONNREFUSED' ? 'connection refused' : message || code || 'unknown network failure';
}
