import { distance } from 'fastest-levenshtein';
import { AttuneError } from '../../core/errors.ts';
import { parseDuration } from '../../core/duration.ts';
import { quoteForMessage } from '../../core/key.ts';

/** Parameters a route knows: how often each may stand, and whether it takes a value. */
export type ParameterKind = 'single' | 'many' | 'flag';

const DEFAULT_WAIT_MS = 30_000;
const MAX_WAIT_MS = 120_000;

/** The parsed query of one request. Reading a parameter the route did not declare does not compile. */
export class Query<Name extends string> {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  has(name: Name): boolean {
    return this.#values.has(name);
  }

  /** The value of a single parameter; undefined if it was not given. */
  get(name: Name): string | undefined {
    return this.#values.get(name)?.[0];
  }

  all(name: Name): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A bare flag is true. @throws {AttuneError} INVALID_ARGUMENT for a value that is neither true nor false. */
  flag(name: Name): boolean {
    const value = this.get(name);
    if (value === undefined) return false;
    if (['', 'true', '1'].includes(value)) return true;
    if (['false', '0'].includes(value)) return false;
    throw invalid(`${name}=${quoteForMessage(value)} is neither true nor false; write ?${name} or leave it out`);
  }

  /** @throws {AttuneError} INVALID_ARGUMENT if it is not an integer from `min` to `max`. */
  integer(name: Name, min: number, max: number): number | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const number = /^\d{1,16}$/.test(value) ? Number(value) : NaN;
    if (number >= min && number <= max) return number;
    throw invalid(`${name}=${quoteForMessage(value)} is not an integer from ${min} to ${max}`);
  }

  /** `wait` in milliseconds: 0 to 120 s, default 30 s. */
  wait(name: Name): number {
    const value = this.get(name);
    if (value === undefined) return DEFAULT_WAIT_MS;
    const waitMs = parseDuration(value);
    if (waitMs !== undefined && waitMs <= MAX_WAIT_MS) return waitMs;
    throw invalid(`${name}=${quoteForMessage(value)} is not a duration from 0s to 120s; write 500ms, 30s or 2m`);
  }
}

/**
 * Parses the query of `url` strictly: a parameter that is unknown, doubled or not valid percent-encoded UTF-8 is refused, so that a typo never
 * widens or narrows what was asked for.
 * @throws {AttuneError} INVALID_ARGUMENT
 */
export function parseQuery<Known extends Readonly<Record<string, ParameterKind>>>(url: string, known: Known): Query<keyof Known & string> {
  const values = new Map<string, string[]>();
  const start = url.indexOf('?');
  for (const part of start < 0 ? [] : url.slice(start + 1).split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decode(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? '' : decode(part.slice(equals + 1));
    const kind = Object.hasOwn(known, name) ? known[name] : 'pretty' === name ? 'flag' : undefined;
    if (kind === undefined) throw unknownParameter(name, [...Object.keys(known), 'pretty']);
    const earlier = values.get(name);
    if (earlier && kind !== 'many') throw invalid(`parameter '${name}' is given ${earlier.length + 1} times; give it once`);
    if (earlier) earlier.push(value);
    else values.set(name, [value]);
  }
  // Read by whoever sends the answer; here so that a mistake is told like any other.
  new Query<'pretty'>(values).flag('pretty');
  return new Query(values);
}

function unknownParameter(name: string, known: readonly string[]): AttuneError {
  const nearest = known
    .map((candidate) => ({ candidate, off: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.off - b.off)[0];
  const hint = nearest && nearest.off <= 2 ? `did you mean '${nearest.candidate}'?` : `this path knows ${known.join(', ')}`;
  return invalid(`unknown parameter ${quoteForMessage(name)}; ${hint}`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalid(`${quoteForMessage(text)} in the query is not valid percent-encoded UTF-8`);
  }
}

const invalid = (message: string): AttuneError => new AttuneError('INVALID_ARGUMENT', message);
