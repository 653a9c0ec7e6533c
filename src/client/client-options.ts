import { DEFAULT_BACKOFF, type BackoffOptions } from '../core/backoff.ts';
import { InvalidArgumentError } from '../core/errors.ts';
import { keyProblem, prefixProblem, quoteForMessage } from '../core/key.ts';
import { systemClock, type Clock } from './clock.ts';
import type { LastKnownStore, OverrideSource } from './durable.ts';
import { formatQuery } from './request-path.ts';
import type { ConfigSchema } from './schema.ts';
import { parseServerUrls, type ServerUrls } from './server-urls.ts';

/** Only `url` and `prefix` are required. */
export interface ConfigClientOptions<S extends ConfigSchema | undefined = undefined> {
  /** One server or several of the same service; when one is lost the next is asked. */
  readonly url: string | readonly string[];
  /** What to keep a copy of; `''` is everything. At most 100. A prefix matches as text: `'billing'` includes `billing-old/x`. */
  readonly prefix: string | readonly string[];
  /** A Standard Schema for each key: types for `get` and `watch`, validation, defaults. */
  readonly schema?: S;
  /** Sent as a bearer token. A function is asked for each request. */
  readonly token?: string | (() => string | Promise<string>);
  /** Hears of every failure that no call rejects with: lost connections, listeners that throw, values that do not fit. Default: `console.warn`. */
  readonly onError?: (error: unknown) => void;
  readonly fetch?: typeof fetch;
  readonly userAgent?: string;
  /** For an answer to `set`, `update` and `delete`. Default 10 000 ms. */
  readonly requestTimeoutMs?: number;
  /** A stream without a single byte for so long, pings included, is dead. Default 45 000 ms: three missed pings. */
  readonly silenceMs?: number;
  /** Between attempts to connect. Default: full jitter from 250 ms, doubled, to 30 s. */
  readonly backoff?: BackoffOptions;
  /** Where the last known state is kept for a start without a server; `attune-client/node` has a file. */
  readonly lastKnown?: LastKnownStore;
  /** Values that win over what the servers say; `attune-client/node` has a file. Watchers hear what shows. */
  readonly overrides?: OverrideSource;
  /** Shares one connection with others: `shareTabs` of `attune-client/tabs`. Left out: none. */
  readonly share?: Sharing;
  /** For tests. */
  readonly clock?: Clock;
  /** For tests: from 0 to 1, as `Math.random`. */
  readonly random?: () => number;
}

/** How connections are shared; made by `shareTabs`. */
export interface Sharing {
  /** For the SDK itself. */
  readonly wrap: unknown;
}

export interface ResolvedOptions {
  readonly urls: ServerUrls;
  readonly prefixes: readonly string[];
  readonly schema: ConfigSchema | undefined;
  readonly requestTimeoutMs: number;
  readonly silenceMs: number;
  readonly backoff: BackoffOptions;
  readonly clock: Clock;
  readonly random: () => number;
  readonly lastKnown: LastKnownStore | undefined;
  readonly overrides: OverrideSource | undefined;
}

const MAX_PREFIXES = 100;
/** Of a query: a server reads 16 KiB of URL and headers. */
const MAX_QUERY_CHARS = 12_000;

const DEFAULTS = Object.freeze({
  requestTimeoutMs: 10_000,
  silenceMs: 45_000,
  backoff: DEFAULT_BACKOFF,
  clock: systemClock,
  random: Math.random,
});

/** Where failures go that nobody listens for: swallowed, they would be a riddle. */
export function warnOnConsole(error: unknown): void {
  // oxlint-disable-next-line no-console
  console.warn(error);
}

/** @throws {InvalidArgumentError} an option that cannot be right. */
export function resolveOptions(options: ConfigClientOptions<ConfigSchema | undefined>): ResolvedOptions {
  const silenceMs = parseTime(options.silenceMs ?? DEFAULTS.silenceMs, 'silenceMs');
  const requestTimeoutMs = parseTime(options.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs, 'requestTimeoutMs');
  const { backoff = DEFAULTS.backoff, clock = DEFAULTS.clock, random = DEFAULTS.random } = options;
  const prefixes = parsePrefixes(options.prefix);
  for (const key of Object.keys(options.schema ?? {})) {
    const problem = keyProblem(key);
    if (problem !== undefined) throw new InvalidArgumentError(`the schema has the key ${quoteForMessage(key)}, but ${problem}`);
    if (!prefixes.some((prefix) => key.startsWith(prefix))) {
      throw new InvalidArgumentError(
        `the schema has the key ${quoteForMessage(key)}, which is outside of the prefix ${prefixes.map(quoteForMessage).join(', ')}`,
      );
    }
  }
  const { schema, lastKnown, overrides } = options;
  const urls = parseServerUrls(options.url);
  return { urls, prefixes, schema, requestTimeoutMs, silenceMs, backoff, clock, random, lastKnown, overrides };
}

/** @throws {InvalidArgumentError} it is no time. */
function parseTime(ms: number, name: string): number {
  if (ms > 0) return ms;
  throw new InvalidArgumentError(`${name} is ${ms}; give milliseconds above 0, or Infinity`);
}

function parsePrefixes(prefix: string | readonly string[] | undefined): readonly string[] {
  // Required on purpose, and callers without types forget it.
  if (prefix === undefined) throw new InvalidArgumentError("no prefix is given; give one such as 'billing/', or '' for everything");
  const prefixes = typeof prefix === 'string' ? [prefix] : [...prefix];
  if (prefixes.length === 0) throw new InvalidArgumentError("prefix is an empty list; give one such as 'billing/', or '' for everything");
  if (prefixes.length > MAX_PREFIXES)
    throw new InvalidArgumentError(`${prefixes.length} prefixes are given, but at most ${MAX_PREFIXES} are allowed`);
  for (const one of prefixes) {
    const problem = prefixProblem(one);
    if (problem !== undefined) throw new InvalidArgumentError(`invalid prefix ${quoteForMessage(one)}: ${problem}`);
  }
  const { length } = formatQuery({ prefix: prefixes });
  if (length > MAX_QUERY_CHARS)
    throw new InvalidArgumentError(`the prefixes make a URL of ${length} characters, over ${MAX_QUERY_CHARS}; give fewer or shorter ones`);
  return prefixes;
}
