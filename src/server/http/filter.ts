import { AttuneError } from '../../core/errors.ts';
import { parseKey, prefixProblem, quoteForMessage } from '../../core/key.ts';
import type { Filter } from '../cache/fan-out.ts';

const MAX_FILTERS = 100;

/** @throws {AttuneError} INVALID_ARGUMENT if no key could start so. */
export function parsePrefix(text: string): string {
  const problem = prefixProblem(text);
  if (problem !== undefined) throw new AttuneError('INVALID_ARGUMENT', `invalid prefix ${quoteForMessage(text)}: ${problem}`);
  return text;
}

/** The union of keys and prefixes; none means everything. @throws {AttuneError} INVALID_ARGUMENT, INVALID_KEY */
export function parseFilter(keys: readonly string[], prefixes: readonly string[]): Filter {
  const count = keys.length + prefixes.length;
  if (count > MAX_FILTERS)
    throw new AttuneError(
      'INVALID_ARGUMENT',
      `${count} keys and prefixes are given, at most ${MAX_FILTERS} are allowed; watch a common prefix`,
    );
  if (count === 0) return { keys: [], prefixes: [''] };
  return { keys: [...new Set(keys.map(parseKey))], prefixes: [...new Set(prefixes.map(parsePrefix))] };
}

/** The filter in words, for the first comment of a stream. */
export function describeFilter({ keys, prefixes }: Filter): string {
  const parts = [...prefixes.map((prefix) => (prefix === '' ? 'everything' : `prefix ${prefix}`)), ...keys.map((key) => `key ${key}`)];
  return parts.length > 5 ? `${parts.slice(0, 5).join(', ')} and ${parts.length - 5} more` : parts.join(', ');
}
