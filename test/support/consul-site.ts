import { ConsulProvider } from '../../src/providers/consul/consul-provider.ts';
import { startHttpServer, type HttpServer } from '../../src/server/http-server.ts';
import { FAST_FEED, NAMESPACE, until } from './cluster.ts';
import { callNode, pathOf, type AnyBody, type NodeAnswer } from './node-call.ts';
import { StoreServer, type StoreServerOptions } from './store-server.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A node over a real Consul, behind a network that can fail; `direct` and {@link http} reach Consul itself. */
export class ConsulSite implements AsyncDisposable {
  readonly consul: StoreServer;
  readonly proxy: TcpProxy;
  readonly provider: ConsulProvider;
  readonly direct: ConsulProvider;
  readonly node: HttpServer;
  readonly #target: { server: StoreServer };

  private constructor(
    target: { server: StoreServer },
    proxy: TcpProxy,
    providers: { own: ConsulProvider; direct: ConsulProvider },
    node: HttpServer,
  ) {
    this.#target = target;
    this.consul = target.server;
    this.proxy = proxy;
    this.provider = providers.own;
    this.direct = providers.direct;
    this.node = node;
  }

  static async start(
    options: StoreServerOptions & {
      readonly tokens?: (consul: StoreServer) => Promise<{ readonly node: string; readonly direct: string }>;
    } = {},
  ): Promise<ConsulSite> {
    const consul = await StoreServer.startConsul(options);
    const target = { server: consul };
    const tokens = await options.tokens?.(consul);
    const proxy = await TcpProxy.start(() => target.server.port);
    const own = new ConsulProvider({ hosts: [proxy.host], namespace: NAMESPACE, ...(tokens && { token: tokens.node }) });
    const direct = new ConsulProvider({ hosts: [consul.host], namespace: NAMESPACE, ...(tokens && { token: tokens.direct }) });
    await own.open();
    const feed = { ...FAST_FEED, progressEveryMs: 200, silenceMs: 30_000 };
    const node = await startHttpServer({ provider: own, namespace: NAMESPACE, service: { feed } });
    const site = new ConsulSite(target, proxy, { own, direct }, node);
    await site.live();
    return site;
  }

  /** What the node reaches from now on, under the address it knows; its connections are cut. */
  moveTo(server: StoreServer): void {
    this.#target.server = server;
    this.proxy.reset();
  }

  async live(withinMs = 20_000): Promise<void> {
    await until('the node to follow Consul', () => this.node.service.state === 'live', withinMs);
  }

  async call(
    key: string,
    init: { readonly method?: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {},
  ): Promise<NodeAnswer<AnyBody>> {
    return callNode(this.node.url, pathOf(key), init);
  }

  async put(key: string, value: unknown, headers: Readonly<Record<string, string>> = {}): Promise<NodeAnswer<AnyBody>> {
    return this.call(key, { method: 'PUT', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ value }) });
  }

  /** Keys and values as the node shows them. */
  items(): Map<string, string> {
    const { service } = this.node;
    const view = service.view();
    return new Map([...service.keysFrom(view, '', '')].map((key) => [key, String(service.renderedItem(key, view))]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.close({ graceMs: 100, spreadMs: 0 });
    await this.provider.close();
    await this.direct.close();
    await this.proxy[Symbol.asyncDispose]();
    await this.consul[Symbol.asyncDispose]();
  }
}

/** One request to Consul's own HTTP API, which must succeed. */
export async function consulApi(
  consul: StoreServer,
  method: string,
  path: string,
  body?: string | Buffer,
  token?: string,
): Promise<Response> {
  const response = await fetch(`${consul.url}/v1${path}`, {
    method,
    ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    ...(token !== undefined && { headers: { 'x-consul-token': token } }),
  });
  if (!response.ok) throw new Error(`Consul: ${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}
