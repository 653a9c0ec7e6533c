import type { JsonValue } from '../../core/item.ts';
import { ConfigClient } from '../config-client.ts';
import type { ConfigClientOptions } from '../client-options.ts';
import type { ConfigSchema, KeyOf } from '../schema.ts';
import type { ClientStatus } from '../status.ts';
import type { WriteResult } from '../writer.ts';
import { MEMORY_URL, MemoryService } from './memory-service.ts';
import { stillClock } from './still-clock.ts';

type Values<S extends ConfigSchema | undefined> = { readonly [K in KeyOf<S>]?: JsonValue };

/** None is required. */
export interface TestConfigOptions<S extends ConfigSchema | undefined = undefined> {
  /** What the service holds at first; any JSON, as in production, whether it fits the schema or not. */
  readonly values?: Values<S>;
  /** As the client's. */
  readonly schema?: S;
  /** As the client's. Default: everything. */
  readonly prefix?: string | readonly string[];
  /** As the client's. Default `console.warn`. */
  readonly onError?: (error: unknown) => void;
}

/** A client under test, and what happens to its service. */
export interface TestConfig<S extends ConfigSchema | undefined = undefined> extends AsyncDisposable {
  /** For the code under test: the real client, live. */
  readonly client: ConfigClient<S>;
  /** Stores a value as somebody else does; when it resolves, every watcher has been called. */
  set(key: KeyOf<S>, value: JsonValue): Promise<WriteResult>;
  /** Removes a key as somebody else does; false if there was none. When it resolves, every watcher has been called. */
  delete(key: KeyOf<S>): Promise<boolean>;
  /**
   * Replaces everything, as when the store behind the service is restored from a backup: the client takes the state anew, and when this
   * resolves watchers have heard exactly the difference.
   */
  reset(values?: Values<S>): Promise<void>;
  /**
   * Cuts the client off; when it resolves, its status is `stale`. Reads go on from memory, writes fail as they do with `cause`: an
   * AttuneError is answered as a server does (`new AttuneError('PERMISSION_DENIED', ...)`), any other is a broken network, after which
   * a write's outcome is unknown. Default: the connection is refused, so that writes are UNAVAILABLE.
   */
  goOffline(cause?: unknown): Promise<void>;
  /** Lets the client come back; when it resolves, it is live and watchers have been called for all that happened meanwhile. */
  goOnline(): Promise<void>;
  /** Closes the client. Idempotent. */
  close(): Promise<void>;
  /**
   * With `fetch`, for code that makes its own client: `new ConfigClient({ ...options, url: config.url, fetch: config.fetch })`. That one
   * lives by its own clock; `set` and its like wait for its watchers too, `goOffline` and `goOnline` do not.
   */
  readonly url: string;
  readonly fetch: typeof fetch;
}

/**
 * A configuration for unit tests: the real {@link ConfigClient}, started, over a service in memory that speaks the server's protocol. What a
 * test sees is what production does: versions, conditions, schemas, defaults, resumption. No socket, no timer: fake timers do not stop it.
 *
 * ```ts
 * await using config = await createTestConfig({ values: { 'billing/pool-size': 10 } });
 * const pool = createPool(config.client);
 * await config.set('billing/pool-size', 20);
 * assert.equal(pool.size, 20);
 * ```
 *
 * @throws {AttuneError} values or options that a service or the client refuses.
 */
export async function createTestConfig<const S extends ConfigSchema | undefined = undefined>(
  options: TestConfigOptions<S> = {},
): Promise<TestConfig<S>> {
  const { values = {}, schema, prefix = '', onError } = options;
  const service = new MemoryService(values);
  const clientOptions: ConfigClientOptions<S> = {
    ...{ url: MEMORY_URL, prefix, fetch: service.patientFetch, clock: stillClock, random: () => 0 },
    ...(schema !== undefined && { schema }),
    ...(onError && { onError }),
  };
  const client = await ConfigClient.connect<S>(clientOptions);
  let isOffline = false;
  /** When the client has noticed the last outage. */
  let noticed = Promise.resolve();
  let closing: Promise<void> | undefined;

  const told = async (): Promise<void> => {
    await noticed;
    if (!isOffline) await reach(client, (state) => state === 'live');
    await service.idle();
  };
  const config: TestConfig<S> = {
    client,
    url: MEMORY_URL,
    fetch: service.fetch,
    set: async (key, value) => {
      const { item, created } = service.set(key, value);
      await told();
      return { version: item.version, created };
    },
    delete: async (key) => {
      const isDeleted = service.delete(key);
      await told();
      return isDeleted;
    },
    reset: async (next = {}) => {
      service.reset(next);
      await told();
    },
    goOffline: (cause = refused()) => {
      isOffline = true;
      service.goOffline(cause);
      noticed = reach(client, (state) => state !== 'live');
      return noticed;
    },
    goOnline: async () => {
      await noticed;
      isOffline = false;
      service.goOnline();
      await told();
    },
    close: () => {
      closing ??= client.close().then(() => service.close(refused()));
      return closing;
    },
    [Symbol.asyncDispose]: () => config.close(),
  };
  return config;
}

/** Resolves when the client is in such a state, or closed. */
function reach<S extends ConfigSchema | undefined>(
  client: ConfigClient<S>,
  isReached: (state: ClientStatus['state']) => boolean,
): Promise<void> {
  const isDone = ({ state }: ClientStatus): boolean => state === 'closed' || isReached(state);
  if (isDone(client.status)) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = client.onStatus((status) => {
      if (!isDone(status)) return;
      stop();
      resolve();
    });
  });
}

/** As Node tells that nobody listens. */
const refused = (): Error => Object.assign(new Error(`connect ECONNREFUSED ${MEMORY_URL}`), { code: 'ECONNREFUSED' });
