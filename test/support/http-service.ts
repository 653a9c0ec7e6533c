import { createLayout } from '../../src/server/store/layout.ts';
import { startHttpServer, type HttpServer, type HttpServerOptions } from '../../src/server/http-server.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import type { ConfigKey } from '../../src/core/key.ts';
import type { ConfigProvider, Operation, Revision, StoredSnapshot } from '../../src/core/provider.ts';
import { exchange, type Answer, type RawRequest } from './http-exchange.ts';
import { HttpStream } from './http-stream.ts';

const NAMESPACE = 'app/config';
const layout = createLayout(NAMESPACE);

export interface HttpServiceOptions extends Omit<Partial<HttpServerOptions>, 'namespace'> {
  /** The store behind `provider`, for what is done to it by others; default `provider` itself. */
  readonly store?: ConfigProvider;
}

/** A service on a free port over a memory store, with a door to the store beside it. */
export class HttpService implements AsyncDisposable {
  readonly server: HttpServer;
  /** The store, reached as another tool reaches it. */
  readonly store: ConfigProvider;
  readonly #provider: ConfigProvider;
  readonly #streams: HttpStream[] = [];

  private constructor(server: HttpServer, provider: ConfigProvider, store: ConfigProvider) {
    this.server = server;
    this.#provider = provider;
    this.store = store;
  }

  static async start(options: HttpServiceOptions = {}): Promise<HttpService> {
    const { store, ...rest } = options;
    const provider = options.provider ?? store ?? new MemoryProvider();
    await provider.open();
    return new HttpService(await startHttpServer({ ...rest, provider, namespace: NAMESPACE }), provider, store ?? provider);
  }

  get port(): number {
    return this.server.port;
  }

  get url(): string {
    return this.server.url;
  }

  send(request: RawRequest): Promise<Answer> {
    return exchange(this.port, request);
  }

  get(path: string, headers: RawRequest['headers'] = {}): Promise<Answer> {
    return this.send({ path, headers });
  }

  head(path: string, headers: RawRequest['headers'] = {}): Promise<Answer> {
    return this.send({ method: 'HEAD', path, headers });
  }

  /** The item of a plain key. */
  async item(key: string): Promise<any> /* oxlint-disable-line typescript/no-explicit-any */ {
    return (await this.get(`/api/v1/configs/${key}`)).json();
  }

  /** Writes an envelope to a plain key and fails unless it was taken. */
  async put(key: string, envelope: unknown, headers: RawRequest['headers'] = {}): Promise<Answer> {
    const answer = await this.send({
      method: 'PUT',
      path: `/api/v1/configs/${key}`,
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(envelope),
    });
    if (answer.status !== 200 && answer.status !== 201) throw new Error(`PUT ${key}: ${answer.status} ${answer.text}`);
    return answer;
  }

  /** Writes the value of a plain key; resolves with its version. */
  async set(key: string, value: unknown): Promise<number> {
    return (await this.put(key, { value })).json().version;
  }

  async delete(key: string): Promise<void> {
    const answer = await this.send({ method: 'DELETE', path: `/api/v1/configs/${key}` });
    if (answer.status !== 204) throw new Error(`DELETE ${key}: ${answer.status} ${answer.text}`);
  }

  /** Writes values as another tool does (`etcdctl put`), all in one transaction; resolves when the service shows them. */
  async outside(values: Readonly<Record<string, string | Uint8Array | null>>): Promise<Revision> {
    const operations = Object.entries(values).map(([key, value]): Operation => {
      const storeKey = layout.valueKey(key as ConfigKey);
      return value === null ? { type: 'delete', key: storeKey } : { type: 'put', key: storeKey, value: Buffer.from(value) };
    });
    const revision = await this.store.commit({ checks: [], operations });
    await this.server.service.reached(revision);
    return revision;
  }

  /** Moves the store's revision without touching the namespace. */
  async elsewhere(): Promise<Revision> {
    return this.store.commit({ checks: [], operations: [{ type: 'put', key: 'elsewhere', value: Buffer.from(String(Math.random())) }] });
  }

  /** Everything the store holds, the revision included: equal before and after whatever must change nothing. */
  dump(): Promise<StoredSnapshot> {
    return this.store.list('');
  }

  async cursor(): Promise<string> {
    return (await this.get('/api/v1/status')).header('Attune-Cursor') ?? '';
  }

  /** Opens a stream that is closed with the service at the latest. */
  async stream(query = '', headers: RawRequest['headers'] = {}): Promise<HttpStream> {
    const stream = await HttpStream.open(this.port, { path: `/api/v1/watch${query}`, headers });
    this.#streams.push(stream);
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await this.server.close({ graceMs: 500, spreadMs: 0 });
    await this.#provider.close();
  }
}

/** Resolves when the node holds `count` long-polls; fails after 5 s, when they were answered instead of held. */
export async function held(service: HttpService, count: number): Promise<void> {
  const until = performance.now() + 5_000;
  while (service.server.polls.size !== count) {
    if (performance.now() > until) throw new Error(`${service.server.polls.size} long-polls are held, not ${count}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
