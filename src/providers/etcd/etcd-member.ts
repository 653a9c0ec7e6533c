import type { Duplex } from 'node:stream';
import type { Etcd3, IOptions, KVClient } from 'etcd3';
import { ClosedError } from '../../core/provider.ts';
import { readFailure } from './etcd-error.ts';

export interface EtcdMemberOptions {
  /** `host:port` */
  readonly endpoint: string;
  /** Given, the connection is encrypted. Everything as PEM text; without `ca` the system's authorities count. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly credentials?: { readonly username: string; readonly password: string };
}

/** A gRPC stream, with those methods of it that the library's type leaves out. */
export type WatchStream = Awaited<ReturnType<Etcd3['watchClient']['watch']>> & Pick<Duplex, 'pause' | 'resume'>;

type GrpcOptions = NonNullable<Parameters<Etcd3['watchClient']['watch']>[0]>;
type Interceptor = NonNullable<GrpcOptions['interceptors']>[number];

/** What a call is sent with; to be passed on as it is. */
export type CallSettings = Pick<GrpcOptions, 'deadline' | 'interceptors'>;

/** One call of the KV service. */
export type SendCall<Reply> = (kv: KVClient, settings: CallSettings) => Promise<Reply>;

/** Until a token must be there. Milliseconds. */
const TOKEN_DEADLINE_MS = 5_000;
/** gRPC's number for a call that was cancelled. */
const CANCELLED = 1;

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

const NEVER = new AbortController().signal;

/** The library would send a write again whose reply was lost, and refuse every call for five seconds after three failures. */
const WITHOUT_RETRY = {
  execute: async (call: (context: { readonly signal: AbortSignal }) => unknown) => call({ signal: NEVER }),
} as unknown as NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/**
 * One member of a cluster: its connection, and the token it gave. The library is not let do the latter: it asks for tokens over a
 * connection of its own, which is never closed and, once lost, stays so for up to two minutes.
 */
export class EtcdMember {
  readonly #options: EtcdMemberOptions;
  readonly #closing = new AbortController();
  #client: Promise<Etcd3> | undefined;
  #token: Promise<string | undefined> | undefined;

  constructor(options: EtcdMemberOptions) {
    this.#options = options;
  }

  get endpoint(): string {
    return this.#options.endpoint;
  }

  /** The token to call with; undefined where none is needed. Asked for once and kept. @throws whatever gRPC fails of */
  async token(): Promise<string | undefined> {
    const { credentials } = this.#options;
    if (!credentials) return undefined;
    const asked = (this.#token ??= this.#authenticate(credentials));
    asked.catch(() => {
      if (this.#token === asked) this.#token = undefined;
    });
    return asked;
  }

  /** The next {@link token} is another one than `refused`. */
  async forgetToken(refused: string | undefined): Promise<void> {
    const known = this.#token;
    const token = await known?.catch(() => undefined);
    // Many calls may have been refused with it: only the first of them asks for another.
    if (token === refused && known === this.#token) this.#token = undefined;
  }

  /** Sends one call, once; `signal` takes it back. @throws whatever gRPC fails of */
  async send<Reply>(send: SendCall<Reply>, token: string | undefined, deadline: number, signal: AbortSignal): Promise<Reply> {
    const { kv } = await this.#open();
    signal.throwIfAborted();
    return send(kv, { deadline, interceptors: [intercept(withToken(token), signal)] });
  }

  /** Opens a stream of watches that ends, rather than being silent, where this member has lost the others. */
  async openWatch(token: string | undefined): Promise<WatchStream> {
    const { watchClient } = await this.#open();
    const stream = await watchClient.watch({ interceptors: [intercept({ ...withToken(token), hasleader: 'true' })] });
    return stream as WatchStream;
  }

  /** Final. Calls and streams that are open go on until they are taken back. */
  close(): void {
    this.#closing.abort(new ClosedError(`the connection to etcd at ${this.endpoint} is closed`));
    void this.#client?.then((client) => client.close());
  }

  async #authenticate({ username, password }: { readonly username: string; readonly password: string }): Promise<string | undefined> {
    const { auth } = await this.#open();
    const settings = { deadline: Date.now() + TOKEN_DEADLINE_MS, interceptors: [intercept({}, this.#closing.signal)] };
    try {
      return (await auth.authenticate({ name: username, password }, settings)).token;
    } catch (error) {
      // As etcd's own client does: users can be told of before they are asked for.
      if (readFailure(error).details.includes('authentication is not enabled')) return undefined;
      throw error;
    }
  }

  async #open(): Promise<Etcd3> {
    this.#client ??= this.#create();
    const client = await this.#client;
    this.#closing.signal.throwIfAborted();
    return client;
  }

  async #create(): Promise<Etcd3> {
    const { endpoint, tls } = this.#options;
    // 100 ms that only who uses etcd pays.
    const { Etcd3: Client } = await import('etcd3');
    const pem = (text: string | undefined): Buffer | undefined => (text === undefined ? undefined : Buffer.from(text));
    const certificates = tls && { rootCertificate: pem(tls.ca), privateKey: pem(tls.key), certChain: pem(tls.cert) };
    return new Client({
      hosts: tls ? `https://${endpoint}` : endpoint,
      // The library's type wants an authority; without one gRPC takes the system's.
      ...(certificates && { credentials: certificates as NonNullable<IOptions['credentials']> }),
      grpcOptions: CHANNEL_OPTIONS,
      faultHandling: { global: WITHOUT_RETRY, host: () => WITHOUT_RETRY },
    });
  }
}

const withToken = (token: string | undefined): Readonly<Record<string, string>> => (token === undefined ? {} : { token });

/** Adds `entries` to what is sent ahead of a call, and lets `signal` take the call back, for which the library has no word. */
function intercept(entries: Readonly<Record<string, string>>, signal?: AbortSignal): Interceptor {
  return (options, nextCall) => {
    const call = nextCall(options);
    const start = call.start.bind(call);
    const cancel = (): void => call.cancelWithStatus(CANCELLED, 'given up');
    call.start = (metadata, listener) => {
      const own = metadata.clone();
      for (const [name, value] of Object.entries(entries)) own.set(name, value);
      signal?.addEventListener('abort', cancel);
      start(own, {
        ...listener,
        onReceiveStatus: (status) => {
          signal?.removeEventListener('abort', cancel);
          // Told these words, the library would send the call again, with the same token, for ever.
          const details = status.details.replace('etcdserver: invalid auth token', 'the token was refused: invalid auth token');
          listener?.onReceiveStatus?.({ ...status, details });
        },
      });
    };
    return call as ReturnType<Interceptor>;
  };
}
