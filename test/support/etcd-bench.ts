import type { Operation, Revision } from '../../src/core/provider.ts';
import { EtcdProvider } from '../../src/providers/etcd/etcd-provider.ts';
import { until } from './cluster.ts';
import { etcdLog, rawHistory } from './etcd-history.ts';
import { judge, type Violation } from './judge.ts';
import type { RecordedStoreWatch } from './recorded-store-watch.ts';
import type { StoreServer } from './store-server.ts';
import { TcpProxy } from './tcp-proxy.ts';

const KEYS = 40;

export const put = (key: string, value: string | Uint8Array): Operation => ({ type: 'put', key, value: Buffer.from(value) });

/** A namespace of its own, a connection to write by and one that can be cut. */
export class EtcdBench implements AsyncDisposable {
  static #made = 0;
  readonly namespace: string;
  readonly prefix: string;
  readonly direct: EtcdProvider;
  readonly proxy: TcpProxy;
  readonly viaProxy: EtcdProvider;
  /** What is behind the proxy; 1 is a port nobody listens on. */
  readonly #target: { port: number };
  readonly #server: StoreServer;

  private constructor(server: StoreServer, proxy: TcpProxy, target: { port: number }) {
    this.namespace = `bench-${++EtcdBench.#made}`;
    this.prefix = `${this.namespace}/`;
    this.#server = server;
    this.proxy = proxy;
    this.#target = target;
    this.direct = new EtcdProvider({ hosts: [server.host], namespace: this.namespace });
    this.viaProxy = new EtcdProvider({ hosts: [proxy.host], namespace: this.namespace });
  }

  static async start(server: StoreServer): Promise<EtcdBench> {
    const target = { port: server.port };
    return new EtcdBench(server, await TcpProxy.start(() => target.port), target);
  }

  async put(key: string, value: string | Uint8Array): Promise<Revision> {
    return this.direct.commit({ checks: [], operations: [put(this.prefix + key, value)] });
  }

  /** Makes `count` revisions: a few keys each changed again and again, some deleted. */
  async fill(count: number): Promise<Revision> {
    const writes = Array.from(
      { length: count },
      (_, index) => async () => this.direct.commit({ checks: [], operations: this.change(index) }),
    );
    let last = 0 as Revision;
    const next = async (): Promise<void> => {
      for (let write = writes.shift(); write; write = writes.shift()) last = Math.max(last, await write()) as Revision;
    };
    await Promise.all(Array.from({ length: 32 }, next));
    return last;
  }

  change(index: number): readonly Operation[] {
    const name = (offset: number): string => `${this.prefix}k/${(index + offset) % KEYS}`;
    if (index % 11 === 10) return [{ type: 'delete', key: name(0) }, put(name(1), `${index} after a deletion`)];
    if (index % 5 === 4) return [put(name(0), `${index} first`), put(name(7), `${index} second`)];
    return [put(name(0), `${index}`)];
  }

  cutOff(): void {
    this.#target.port = 1;
    this.proxy.reset();
  }

  reconnect(): void {
    this.#target.port = this.#server.port;
  }

  async verdictOn(watch: RecordedStoreWatch, from = 1): Promise<{ readonly changes: number; readonly violations: readonly Violation[] }> {
    const end = await this.put('end', 'end');
    await until('the last change', () => watch.position >= end, 20_000).catch(() => undefined);
    const record = await watch.stop();
    const history = rawHistory(await etcdLog(this.#server, end, from), this.prefix);
    const changes = history.batches.filter((batch) => batch.changes.length > 0).length;
    return { changes, violations: judge({ histories: [history], watchers: [record] }).slice(0, 5) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.viaProxy.close();
    await this.direct.close();
    await this.proxy[Symbol.asyncDispose]();
  }
}
