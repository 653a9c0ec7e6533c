import { EventEmitter } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import ConsulOfLibrary from 'consul';
import { ClosedError, isAttuneError, OutcomeUnknownError, UnavailableError, type CallOptions, type Revision } from '../../core/provider.ts';
import { failureError, isDenied, readRefusal, refusalError, type Refusal } from './consul-error.ts';
import { decodeBody, encodeOperations, parseIndex, type ConsulOperation } from './consul-wire.ts';

export interface TransportOptions {
  /** `host:port`, tried in turn. */
  readonly hosts: readonly string[];
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly token?: string;
  readonly datacenter?: string;
}

/** What of npm `consul` is used: its own types leave out what makes a blocking query. */
interface ConsulLibrary {
  readonly kv: { get(options: object): Promise<unknown>; keys(options: object): Promise<unknown> };
  readonly transaction: { create(operations: readonly unknown[], options: object): Promise<unknown> };
  _ext(event: 'onRequest', hook: (request: PapiRequest, next: () => void) => void): void;
  destroy(): void;
}

/** A request of papi, the HTTP client below npm `consul`, before it is made. */
interface PapiRequest {
  ctx?: RequestContext;
  transport: { request(options: http.RequestOptions): http.ClientRequest };
}

/** papi puts the body beside what Node gives of an answer; an empty one is none. */
type Response = Pick<http.IncomingMessage, 'statusCode' | 'headers'> & { readonly body?: Uint8Array };

type ConsulConstructor = new (options: object) => ConsulLibrary;

/** papi looks for these by name. */
class RequestContext extends EventEmitter {
  readonly includeResponse = true;
  wasSent = false;
}

interface Host {
  readonly name: string;
  readonly library: ConsulLibrary;
  /** Asked to be left alone until then. Milliseconds of `performance.now()`. */
  restsUntil: number;
}

export interface GetQuery {
  readonly key: string;
  readonly recurse?: boolean;
  /** Names of the first level only. */
  readonly namesOnly?: boolean;
  readonly consistent?: boolean;
  readonly index?: Revision;
  readonly waitMs?: number;
}

export interface GetAnswer {
  readonly index: Revision;
  /** JSON as it came, which may be dear to decode; undefined for 404. */
  readonly body: Uint8Array | undefined;
}

export type TransactionAnswer = { readonly results: readonly unknown[] } | { readonly refusal: Refusal; readonly host: string };

interface Success {
  readonly host: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}

interface Refused {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly refusal: Refusal;
  readonly host: string;
}

interface Exchange {
  readonly host: Host;
  readonly isWrite: boolean;
  readonly send: (library: ConsulLibrary, ctx: RequestContext) => Promise<unknown>;
}

const NO_BYTES = new Uint8Array(0);
const Consul = ConsulOfLibrary as unknown as ConsulConstructor;

/**
 * Requests to the agents, with what npm `consul` leaves out: headers, deadlines, signals, several hosts, whether a request was sent, and an end
 * for an answer that is cut in the middle. Writes are sent once; only what was certainly not sent goes to the next host.
 */
export class ConsulTransport {
  readonly #hosts: readonly Host[];
  readonly #cancels = new Set<(reason: Error) => void>();
  #current = 0;
  #closed: ClosedError | undefined;

  constructor(options: TransportOptions) {
    this.#hosts = options.hosts.map((name) => ({ name, library: createLibrary(name, options), restsUntil: 0 }));
  }

  get closed(): ClosedError | undefined {
    return this.#closed;
  }

  /** One key, one prefix or its names. */
  async get(query: GetQuery, options: Required<Pick<CallOptions, 'deadlineMs'>> & CallOptions): Promise<GetAnswer> {
    const { key, recurse, namesOnly, consistent, index, waitMs } = query;
    const common = {
      key,
      ...(consistent === true && { consistent: true }),
      ...(index !== undefined && { index: String(index), wait: `${waitMs ?? 0}ms` }),
    };
    const answer = await this.#request(
      false,
      async (library, ctx) =>
        namesOnly === true
          ? library.kv.keys({ ...common, separator: '/', ctx })
          : library.kv.get({ ...common, ...(recurse === true && { recurse: true }), ctx }),
      options,
    );
    if ('refusal' in answer) {
      if (answer.refusal.status === 404) return { index: indexOf(answer), body: undefined };
      throw refusalError(answer.refusal, answer.host, false);
    }
    return { index: indexOf(answer), body: answer.body };
  }

  /** All or nothing; a refusal with 409 is an answer, for what it means depends on the operation that failed. */
  async transact(
    operations: readonly ConsulOperation[],
    options: Required<Pick<CallOptions, 'deadlineMs'>> & CallOptions,
  ): Promise<TransactionAnswer> {
    const isWrite = operations.some(({ verb }) => verb === 'set' || verb === 'cas' || verb === 'delete');
    const body = encodeOperations(operations);
    const answer = await this.#request(
      isWrite,
      async (library, ctx) => library.transaction.create([body], { ctx, ...(!isWrite && { consistent: true }) }),
      options,
    );
    if (!('refusal' in answer)) {
      const results = parseResults(answer.body);
      if (results) return { results };
      const say = `Consul at ${answer.host} answered a transaction with what is none; is this a Consul agent?`;
      throw isWrite ? new OutcomeUnknownError(say) : new UnavailableError(say);
    }
    if (answer.refusal.status !== 409 || isDenied(answer.refusal)) {
      throw refusalError(answer.refusal, answer.host, isWrite);
    }
    return { refusal: answer.refusal, host: answer.host };
  }

  close(): void {
    this.#closed ??= new ClosedError('the consul store is closed');
    for (const cancel of [...this.#cancels]) cancel(this.#closed);
    for (const { library } of this.#hosts) library.destroy();
  }

  async #request(
    isWrite: boolean,
    send: Exchange['send'],
    options: Required<Pick<CallOptions, 'deadlineMs'>> & CallOptions,
  ): Promise<Success | Refused> {
    const endsAt = performance.now() + options.deadlineMs;
    for (let attempt = 1; ; attempt++) {
      if (this.#closed) throw this.#closed;
      options.signal?.throwIfAborted();
      const host = this.#pick();
      const { outcome, wasSent } = await this.#exchange({ host, isWrite, send }, { ...options, deadlineMs: endsAt - performance.now() });
      if (!('error' in outcome)) {
        if ('refusal' in outcome && (outcome.refusal.status >= 500 || outcome.refusal.status === 429)) {
          host.restsUntil = performance.now() + (outcome.refusal.retryAfterMs ?? 0);
          this.#leave(host);
        }
        return outcome;
      }
      if (isAttuneError(outcome.error) || outcome.isAborted === true) throw outcome.error;
      this.#leave(host);
      const mayRetry = attempt < this.#hosts.length && (!isWrite || !wasSent) && performance.now() < endsAt;
      if (!mayRetry) throw failureError(outcome.error, host.name, { isWrite, wasSent });
    }
  }

  async #exchange(
    { host, isWrite, send }: Exchange,
    { signal, deadlineMs }: Required<Pick<CallOptions, 'deadlineMs'>> & CallOptions,
  ): Promise<{
    readonly wasSent: boolean;
    readonly outcome: Success | Refused | { readonly error: unknown; readonly isAborted?: boolean };
  }> {
    const ctx = new RequestContext();
    let reason: unknown;
    const cancel = (why: unknown): void => {
      reason ??= why;
      ctx.emit('cancel');
    };
    const onAbort = (): void => cancel(signal?.reason);
    const late = new UnavailableError(`Consul at ${host.name} did not answer within ${Math.max(0, Math.round(deadlineMs))} ms`);
    const timer = setTimeout(() => cancel(late), Math.max(1, deadlineMs));
    signal?.addEventListener('abort', onAbort);
    this.#cancels.add(cancel);
    try {
      const answer: unknown = await send(host.library, ctx);
      if (!Array.isArray(answer)) throw new Error('npm consul answered without a response');
      const [{ statusCode, headers, body = NO_BYTES }] = answer as unknown as readonly [Response];
      if (statusCode === 404) {
        return { wasSent: true, outcome: { headers, refusal: readRefusal(404, headers, ''), host: host.name } };
      }
      return { wasSent: true, outcome: { headers, body, host: host.name } };
    } catch (error) {
      const response = responseOf(error);
      if (response && reason === undefined) {
        const { statusCode = 0, headers, body } = response;
        const text = Buffer.from(body ?? []).toString('utf8');
        return { wasSent: true, outcome: { headers, refusal: readRefusal(statusCode, headers, text), host: host.name } };
      }
      const { wasSent } = ctx;
      if (reason === undefined) return { wasSent, outcome: { error } };
      // What hangs is left; the next call goes to the next host.
      if (reason === late) this.#leave(host);
      if (isWrite && wasSent)
        return { wasSent, outcome: { error: failureError(new Error(textOf(reason)), host.name, { isWrite, wasSent }) } };
      return { wasSent, outcome: { error: reason, isAborted: true } };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      this.#cancels.delete(cancel);
    }
  }

  /** The current host, or the next one that does not rest. */
  #pick(): Host {
    const now = performance.now();
    for (let step = 0; step < this.#hosts.length; step++) {
      const host = this.#hosts[(this.#current + step) % this.#hosts.length];
      if (host && host.restsUntil <= now) {
        this.#current = (this.#current + step) % this.#hosts.length;
        return host;
      }
    }
    const restMs = Math.round(Math.min(...this.#hosts.map(({ restsUntil }) => restsUntil)) - now);
    throw new UnavailableError(`Consul asks for ${restMs} ms of rest; try again then`, { details: { retryAfterMs: restMs } });
  }

  #leave(host: Host): void {
    if (this.#hosts[this.#current] === host) this.#current = (this.#current + 1) % this.#hosts.length;
  }
}

function createLibrary(host: string, { tls, token, datacenter }: TransportOptions): ConsulLibrary {
  const agentOptions = { keepAlive: true, maxSockets: 64 };
  const library = new Consul({
    baseUrl: `${tls ? 'https' : 'http'}://${host}/v1`,
    agent: tls ? new https.Agent(agentOptions) : new http.Agent(agentOptions),
    ...(tls?.ca !== undefined && { ca: tls.ca }),
    ...(tls?.cert !== undefined && { cert: tls.cert }),
    ...(tls?.key !== undefined && { key: tls.key }),
    defaults: { ...(token !== undefined && { token }), ...(datacenter !== undefined && { dc: datacenter }) },
    // Answers are decoded by who asked for them, and what does not say what it is may be JSON as well.
    decoders: { 'application/json': (body: Uint8Array) => body, 'text/plain': (body: Uint8Array) => body },
    // A transaction comes encoded, for its size was looked at: npm consul wants an array.
    encoders: { 'application/json': (body: readonly Buffer[]) => body[0] },
  });
  library._ext('onRequest', (request, next) => {
    const { ctx, transport } = request;
    request.transport = { request: (options) => observe(transport.request(options), ctx) };
    next();
  });
  return library;
}

/** Notes when a request may have left, and ends one whose answer is cut in the middle, which papi would wait for for ever. */
function observe(request: http.ClientRequest, ctx: RequestContext | undefined): http.ClientRequest {
  request.on('socket', (socket) => {
    const sent = (): void => {
      if (ctx) ctx.wasSent = true;
    };
    if (socket.connecting) socket.once('encrypted' in socket ? 'secureConnect' : 'connect', sent);
    else sent();
  });
  request.on('response', (response) => {
    const cut = (): void => {
      if (!response.complete) request.emit('error', new Error('the connection was cut within an answer'));
    };
    response.on('error', cut);
    response.on('close', cut);
  });
  return request;
}

function responseOf(error: unknown): Response | undefined {
  if (typeof error !== 'object' || error === null || !('response' in error)) return undefined;
  const response = error.response as Response | undefined;
  return response?.statusCode === undefined ? undefined : response;
}

/** What stands between may answer before there is an agent behind it: that heals. */
function indexOf({ headers, host }: Success | Refused): Revision {
  const header = headers['x-consul-index'];
  if (typeof header === 'string' && /^\d+$/.test(header)) return parseIndex(header);
  throw new UnavailableError(`Consul at ${host} answered without an X-Consul-Index; is this a Consul agent?`);
}

/** Undefined for what is no answer to a transaction, as a page of a proxy is. */
function parseResults(bytes: Uint8Array): readonly unknown[] | undefined {
  try {
    const body = decodeBody(bytes);
    const results = typeof body === 'object' && body !== null && 'Results' in body ? body.Results : undefined;
    // One that only deletes has none.
    return results === null ? [] : Array.isArray(results) ? results : undefined;
  } catch {
    return undefined;
  }
}

function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
