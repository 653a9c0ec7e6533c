import { prefixProblem } from '../core/key.ts';
import { UsageError } from './exit-code.ts';

/**
 * Checks a prefix of what is written or destroyed: everything (`''`), or one folder.
 * @throws {UsageError} it ends within a segment, and so would also match its longer neighbours.
 */
export function requireFolder(prefix: string): void {
  const problem = prefixProblem(prefix);
  if (problem !== undefined) throw new UsageError(`prefix '${prefix}': ${problem}`);
  if (prefix !== '' && !prefix.endsWith('/'))
    throw new UsageError(`prefix '${prefix}' would also match '${prefix}...'; write '${prefix}/'`);
}
