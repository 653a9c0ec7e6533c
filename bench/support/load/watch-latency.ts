import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { openSocket } from './socket.ts';

const CLIENT = pathToFileURL(join(import.meta.dirname, '../../../dist/client/index.js')).href;
const WITHIN_MS = 10_000;

/** Who listens: the SDK of this checkout as built, or the watch of the `etcd3` package. */
export type StoreWatch =
  | { readonly by: 'sdk'; readonly url: string; readonly key: string }
  | { readonly by: 'etcd3'; readonly host: string; readonly key: string };

export interface WatchedPuts {
  readonly count: number;
  /** Where the SDK's writes go; with `etcd3` the store itself is written to. */
  readonly port?: number;
}

export interface WatchLatencies {
  /** Milliseconds from the moment before the write was sent to the call of the listener, one after the other. */
  readonly times: readonly number[];
}

/** One writer and one listener in one process, so that one clock times both. */
export class WatchLatency {
  #watch: StoreWatch | undefined;
  #etcd: Etcd3 | undefined;
  #next = 0;
  #onValue: (value: string) => void = () => undefined;

  async open(watch: StoreWatch): Promise<void> {
    this.#watch = watch;
    if (watch.by === 'sdk') {
      const { ConfigClient } = (await import(CLIENT)) as typeof import('../../../src/client/index.ts');
      const client = await ConfigClient.connect({ url: watch.url, prefix: 'bench/' });
      client.watch(watch.key, (value) => this.#onValue(typeof value === 'string' ? value : ''));
      return;
    }
    this.#etcd = new Etcd3({ hosts: watch.host });
    const watcher = await this.#etcd.watch().key(watch.key).create();
    watcher.on('put', ({ value }) => this.#onValue(value.toString()));
  }

  async measure({ count, port }: WatchedPuts): Promise<WatchLatencies> {
    const watch = this.#watch;
    if (!watch) throw new Error('nothing is watched');
    const socket = port === undefined ? undefined : await openSocket(port, { onBytes: () => undefined, onClose: () => undefined });
    const times: number[] = [];
    for (let index = 0; index < count; index++) {
      const value = String(this.#next++);
      const heard = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`value ${value} was not heard within ${WITHIN_MS} ms`)), WITHIN_MS);
        this.#onValue = (told) => {
          if (told !== value) return;
          times.push(performance.now() - begin);
          clearTimeout(timer);
          resolve();
        };
      });
      const begin = performance.now();
      let written: Promise<unknown> | undefined;
      if (socket) {
        const body = JSON.stringify({ value });
        socket.write(
          `PUT /api/v1/configs/${watch.key} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
      } else written = this.#etcd?.put(watch.key).value(value).exec();
      await Promise.all([heard, written]);
    }
    if (socket) {
      const closed = once(socket, 'close');
      socket.destroy();
      await closed;
    }
    return { times };
  }
}
