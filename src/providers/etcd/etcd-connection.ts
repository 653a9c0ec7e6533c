import type { Duplex } from 'node:stream';
import type { Etcd3, IOptions, KVClient } from 'etcd3';
import type { CallOptions } from '../../core/provider.ts';
import { ClosedError, OutcomeUnknownError, UnavailableError } from '../../core/provider.ts';
import { isEndpointFailure, needsNewToken, readFailure, toAttuneError, wasNotSent } from './etcd-error.ts';

export interface EtcdOptions {
  /** `host:port` of members of one cluster. The first is used until it fails, then the next, in turn. */
  readonly hosts: readonly string[];
  /** Where the configuration lies: `app/config`, or `/app/config` for keys that begin with a slash. `open` proves it may be written. */
  readonly namespace: string;
  /** Given, the connection is encrypted. Everything as PEM text; without `ca` the system's authorities count. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly credentials?: { readonly username: string; readonly password: string };
}

/** A gRPC stream, with those methods of it that the library's type leaves out. */
export type WatchStream = Awaited<ReturnType<Etcd3['watchClient']['watch']>> & Pick<Duplex, 'pause' | 'resume'>;

/** One call of the KV service, to be given the deadline of {@link CallOptions} by whoever sends it. */
export type SendCall<Reply> = (kv: KVClient, options: { readonly deadline: number }) => Promise<Reply>;

export interface EtcdCall extends CallOptions {
  /** A commit: its outcome is unknown once it may have been sent. */
  readonly isWrite?: boolean;
}

/** For a call that states none. Milliseconds. */
export const DEFAULT_DEADLINE_MS = 5_000;

/**
 * Where a connection is gone without a word it is noticed within ten seconds; etcd allows a ping every five. A lost connection is tried
 * again soon, and calls fail meanwhile instead of waiting.
 */
const CHANNEL_OPTIONS = {
  'grpc.keepalive_time_ms': 6_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.enable_retries': 0,
  // By default a list of 4 MiB fails, and a watch drops what is larger and goes on as if nothing had been.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
};

/** The library would send a write again whose reply was lost, and refuse every call for five seconds after three failures. */
const WITHOUT_RETRY = {
  execute: async (call: (context: { readonly signal: AbortSignal }) => unknown) => call({ signal: NEVER }),
} as unknown as NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

const NEVER = new AbortController().signal;

type Interceptor = NonNullable<NonNullable<Parameters<Etcd3['watchClient']['watch']>[0]>['interceptors']>[number];

const requireLeader: Interceptor = (options, nextCall) => {
  const call = nextCall(options);
  const start = call.start.bind(call);
  call.start = (metadata, listener) => {
    const own = metadata.clone();
    own.set('hasleader', 'true');
    start(own, listener);
  };
  return call as ReturnType<Interceptor>;
};

interface PendingCall {
  readonly fail: (reason: Error) => void;
}

/**
 * The members of one etcd cluster, one of them at a time. etcd3 is the transport only: it neither retries nor holds a watch of its own.
 */
export class EtcdConnection {
  readonly #options: EtcdOptions;
  readonly #pending = new Set<PendingCall>();
  #clients: (Etcd3 | undefined)[];
  #current = 0;
  #closed: ClosedError | undefined;

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#clients = options.hosts.map(() => undefined);
  }

  /** The endpoint the next call goes to. */
  get endpoint(): string {
    return this.#options.hosts[this.#current] ?? '';
  }

  get closed(): ClosedError | undefined {
    return this.#closed;
  }

  /**
   * Sends one call, to the next endpoint where it could not be sent at all, and never twice otherwise.
   * @throws what {@link toAttuneError} makes of a failure; the signal's reason if it was aborted before the call was sent.
   */
  async call<Reply>(send: SendCall<Reply>, { signal, deadlineMs = DEFAULT_DEADLINE_MS, isWrite = false }: EtcdCall = {}): Promise<Reply> {
    if (this.#closed) throw this.#closed;
    signal?.throwIfAborted();
    const deadline = Date.now() + deadlineMs;
    return new Promise<Reply>((resolve, reject) => {
      const settle = (finish: () => void): void => {
        if (!this.#pending.delete(pending)) return;
        signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const onAbort = (): void => pending.fail(signal?.reason instanceof Error ? signal.reason : new ClosedError('aborted'));
      const pending: PendingCall = {
        fail: (reason) =>
          settle(() =>
            reject(isWrite ? new OutcomeUnknownError(`the write to etcd was given up: ${reason.message}`, { cause: reason }) : reason),
          ),
      };
      this.#pending.add(pending);
      signal?.addEventListener('abort', onAbort);
      this.#send(send, deadline, isWrite).then(
        (reply) => settle(() => resolve(reply)),
        (error: unknown) => settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  /** Opens a stream of watches that ends, rather than being silent, where its member has lost the others. */
  async openWatch(): Promise<{ readonly stream: WatchStream; readonly endpoint: string }> {
    if (this.#closed) throw this.#closed;
    const index = this.#current;
    const endpoint = this.endpoint;
    try {
      const { watchClient } = await this.#client(index);
      const stream = await watchClient.watch({ interceptors: [requireLeader] });
      return { stream: stream as WatchStream, endpoint };
    } catch (error) {
      this.report(error, endpoint);
      throw toAttuneError(error, endpoint, false);
    }
  }

  /** What a call or watch at `endpoint` failed of: the next one goes elsewhere, or takes a new token first. */
  report(error: unknown, endpoint: string): void {
    const index = this.#options.hosts.indexOf(endpoint);
    if (needsNewToken(error)) this.#drop(index);
    if (index === this.#current && isEndpointFailure(readFailure(error))) this.#current = (index + 1) % this.#options.hosts.length;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = new ClosedError(`the connection to etcd at ${this.#options.hosts.join(', ')} is closed`);
    for (const pending of [...this.#pending]) pending.fail(this.#closed);
    for (const index of this.#clients.keys()) this.#drop(index);
  }

  async #send<Reply>(send: SendCall<Reply>, deadline: number, isWrite: boolean): Promise<Reply> {
    let hasNewToken = false;
    for (let tried = 1; ; tried++) {
      const index = this.#current;
      const endpoint = this.endpoint;
      try {
        const client = await this.#client(index);
        return await send(client.kv, { deadline });
      } catch (error) {
        if (this.#closed) throw isWrite ? toAttuneError(error, endpoint, true) : this.#closed;
        this.report(error, endpoint);
        // Refused for its token it was not looked at; not sent it was seen by nobody.
        if (needsNewToken(error) && !hasNewToken) {
          hasNewToken = true;
          tried--;
          continue;
        }
        if (wasNotSent(readFailure(error)) && tried < this.#options.hosts.length && Date.now() < deadline) continue;
        throw toAttuneError(error, endpoint, isWrite);
      }
    }
  }

  async #client(index: number): Promise<Etcd3> {
    const { hosts, tls, credentials } = this.#options;
    const host = hosts[index];
    if (host === undefined) throw new UnavailableError('no endpoint of etcd is given');
    // 100 ms that only who uses etcd pays.
    const { Etcd3: Client } = await import('etcd3');
    if (this.#closed) throw this.#closed;
    const pem = (text: string | undefined): Buffer | undefined => (text === undefined ? undefined : Buffer.from(text));
    const certificates = tls && { rootCertificate: pem(tls.ca), privateKey: pem(tls.key), certChain: pem(tls.cert) };
    return (this.#clients[index] ??= new Client({
      hosts: tls ? `https://${host}` : host,
      // The library's type wants an authority; without one gRPC takes the system's.
      ...(certificates && { credentials: certificates as NonNullable<IOptions['credentials']> }),
      ...(credentials && {
        auth: { ...credentials, callOptions: () => ({ deadline: Date.now() + DEFAULT_DEADLINE_MS }) },
      }),
      grpcOptions: CHANNEL_OPTIONS,
      faultHandling: { global: WITHOUT_RETRY, host: () => WITHOUT_RETRY },
    }));
  }

  #drop(index: number): void {
    this.#clients[index]?.close();
    this.#clients[index] = undefined;
  }
}
