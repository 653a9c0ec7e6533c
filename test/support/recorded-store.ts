import { isUtf8 } from 'node:buffer';
import {
  UnavailableError,
  type CallOptions,
  type ConfigProvider,
  type ListOptions,
  type Operation,
  type ProviderCapabilities,
  type Revision,
  type StoredBatch,
  type StoredSnapshot,
  type StoreWatch,
  type Transaction,
  type WatchOptions,
} from '../../src/core/provider.ts';
import { compareBytes } from '../../src/core/byte-order.ts';
import type { StorePosition } from './judge-requests.ts';
import type { TrueBatch, TrueHistory, TrueLink } from './true-history.ts';

export type Log = ReadonlyMap<number, readonly Operation[]>;

/**
 * A store whose every commit is on record, by whomever and however it came about, and that can be put back to an earlier state as an
 * operator does with a backup: revisions fall and are used again. What happened in it is told by {@link histories}.
 */
export class RecordedStore implements ConfigProvider {
  readonly name = 'recorded';
  readonly #create: () => Promise<ConfigProvider>;
  readonly #logs: Map<number, readonly Operation[]>[] = [new Map()];
  readonly #watches = new Set<AbortController>();
  #inner: ConfigProvider | undefined;
  #capabilities: ProviderCapabilities | undefined;

  /** `create` opens an empty store, each time another one. */
  constructor(create: () => Promise<ConfigProvider>) {
    this.#create = create;
  }

  get capabilities(): ProviderCapabilities {
    if (!this.#capabilities) throw new Error('the recorded store was not opened');
    return this.#capabilities;
  }

  async open(): Promise<void> {
    this.#inner ??= await this.#create();
    this.#capabilities = this.#inner.capabilities;
  }

  /** The provider of the current history. */
  get inner(): ConfigProvider {
    if (!this.#inner) throw new UnavailableError('the store is being put back');
    return this.#inner;
  }

  get position(): StorePosition {
    const history = this.#logs.length - 1;
    return { history, revision: Math.max(0, ...(this.#logs[history]?.keys() ?? [])) };
  }

  async read(keys: readonly string[], options?: CallOptions): Promise<StoredSnapshot> {
    return this.inner.read(keys, options);
  }

  async list(prefix: string, options?: ListOptions): Promise<StoredSnapshot> {
    return this.inner.list(prefix, options);
  }

  async head(prefix: string, options?: CallOptions): Promise<Revision> {
    return this.inner.head(prefix, options);
  }

  async commit(transaction: Transaction, options?: CallOptions): Promise<Revision> {
    const log = this.#logs.at(-1);
    const revision = await this.inner.commit(transaction, options);
    if (!log?.has(revision)) log?.set(revision, transaction.operations);
    return revision;
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    const cut = new AbortController();
    const stop = (): void => cut.abort();
    options.signal.addEventListener('abort', stop);
    this.#watches.add(cut);
    const inner = this.inner.watch(prefix, { after: options.after, signal: cut.signal });
    const release = (): void => {
      this.#watches.delete(cut);
      options.signal.removeEventListener('abort', stop);
    };
    async function* run(): AsyncGenerator<StoredBatch, void, undefined> {
      try {
        yield* inner;
      } finally {
        release();
      }
      if (!options.signal.aborted) throw new UnavailableError('the store was put back');
    }
    const iterator = run();
    return { requestProgress: () => inner.requestProgress(), [Symbol.asyncIterator]: () => iterator };
  }

  /** Puts the store back to what it was at `revision` (0: an empty one), as a restored backup does. Every watch on it is cut. */
  async rollBack(revision: number): Promise<void> {
    const old = this.inner;
    const kept = new Map([...this.#sorted(this.#logs.at(-1) ?? new Map())].filter(([at]) => at <= revision));
    this.#inner = undefined;
    for (const watch of [...this.#watches]) watch.abort();
    await old.close();
    const restored = await this.#create();
    for (const [expected, operations] of kept) {
      const replayed = await restored.commit({ checks: [], operations });
      if (replayed !== expected) throw new Error(`revision ${expected} was replayed as ${replayed}`);
    }
    this.#logs.push(kept);
    this.#inner = restored;
  }

  /** Deletes every key under `prefix` in one transaction, as an operator's command does. */
  async wipe(prefix: string): Promise<void> {
    const { entries } = await this.list(prefix);
    if (entries.length > 0) await this.commit({ checks: [], operations: entries.map(({ key }) => ({ type: 'delete', key })) });
  }

  /** What happened, as users of `namespace` see it. */
  histories(namespace: string): TrueHistory[] {
    return this.#logs.map((log) => historyOf(this.#sorted(log), `${namespace}/`));
  }

  async close(): Promise<void> {
    for (const watch of [...this.#watches]) watch.abort();
    await this.#inner?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #sorted(log: Log): Log {
    return new Map([...log].sort(([a], [b]) => a - b));
  }
}

interface KnownSidecar {
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly deleted?: boolean;
}

/** The meaning of raw transactions by the rules of `design/store.md` section 2, written down once more in the plainest way. */
export function historyOf(log: Log, root: string): TrueHistory {
  const sidecars = new Map<string, KnownSidecar>();
  const values = new Map<string, string>();
  const batches: TrueBatch[] = [];
  const chains: TrueLink[][] = [];
  for (const [revision, operations] of log) {
    for (const operation of operations) {
      if (operation.key === `${root}.attune/system/epoch`) addLink(chains, operation, revision);
      if (!operation.key.startsWith(`${root}.attune/meta/`)) continue;
      const key = operation.key.slice(`${root}.attune/meta/`.length);
      if (operation.type === 'delete') sidecars.delete(key);
      else sidecars.set(key, JSON.parse(Buffer.from(operation.value).toString()) as KnownSidecar);
    }
    const changes = operations.flatMap((operation) => {
      const key = userKey(operation.key, root);
      if (key === undefined || (operation.type === 'delete' && !values.has(key))) return [];
      const content = operation.type === 'put' ? contentOf(operation.value, sidecars.get(key)) : undefined;
      if (content === undefined) values.delete(key);
      else values.set(key, content);
      return [{ key, content }];
    });
    batches.push({ revision, changes: changes.sort((a, b) => compareBytes(a.key, b.key)) });
  }
  return { chains, batches };
}

function userKey(storeKey: string, root: string): string | undefined {
  if (!storeKey.startsWith(root)) return undefined;
  const segments = storeKey.slice(root.length).split('/');
  return segments.some((segment) => segment === '' || segment === '.' || segment === '..' || segment.endsWith('.attune'))
    ? undefined
    : segments.join('/');
}

function addLink(chains: TrueLink[][], operation: Operation, revision: number): void {
  if (operation.type === 'delete') return;
  const { chain } = JSON.parse(Buffer.from(operation.value).toString()) as { chain: { id: string; from?: number }[] };
  const links = chain.map(({ id, from = revision }) => ({ id, from }));
  const current = chains.at(-1);
  const newest = links.at(-1);
  if (!newest) return;
  if (current && links.at(-2)?.id === current.at(-1)?.id) current.push(newest);
  else chains.push(links);
}

function contentOf(bytes: Uint8Array, sidecar: KnownSidecar | undefined): string {
  const lent = sidecar?.deleted === true ? undefined : sidecar;
  const metadata = lent?.metadata ?? {};
  if (!isUtf8(bytes)) return formatContent(Buffer.from(bytes).toString('base64'), 'application/octet-stream', metadata);
  const text = Buffer.from(bytes).toString('utf8');
  const declared = lent?.contentType === 'application/octet-stream' ? undefined : lent?.contentType;
  const json = parseJson(text);
  const isPlainlyJson = json !== undefined && ((typeof json === 'object' && json !== null) || JSON.stringify(json) === text.trim());
  const type = declared ?? (isPlainlyJson ? 'application/json' : 'text/plain');
  if (type !== 'application/json') return formatContent(text, type, metadata);
  return json === undefined ? formatContent(text, 'text/plain', metadata) : formatContent(json, type, metadata);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One text for a value with its type and metadata, however they were told. */
export function formatContent(value: unknown, contentType: string, metadata: Readonly<Record<string, string>>): string {
  const names = Object.keys(metadata).sort();
  return JSON.stringify([value, contentType, names.map((name) => [name, metadata[name]])]);
}
