import type { Api } from '../client/api.ts';
import { AttuneError, isAttuneError } from '../core/errors.ts';

/** Keys looked through for a near one; a larger store is not worth the wait. */
const CANDIDATES = 10_000;

/** `error`, and if it says that `key` is absent, with the nearest keys there are. */
export async function withNeighbours(error: unknown, api: Api, key: string, signal: AbortSignal): Promise<unknown> {
  if (!isAttuneError(error, 'NOT_FOUND')) return error;
  const { nearestKeys } = await import('./neighbours.ts');
  const nearest = nearestKeys(key, await someKeys(api, signal));
  if (nearest.length === 0) return error;
  const named = nearest.map((one) => `'${one}'`).join(' or ');
  return new AttuneError('NOT_FOUND', `${error.message}; did you mean ${named}?`, { cause: error, details: { ...error.details, nearest } });
}

/** Help that must not get in the way: whatever goes wrong here is not what the person asked about. */
async function someKeys(api: Api, signal: AbortSignal): Promise<readonly string[]> {
  try {
    for await (const page of api.listKeys({ limit: CANDIDATES, timeoutMs: 2_000, signal })) return page.keys.map((entry) => entry.key);
  } catch {
    // No suggestions, then.
  }
  return [];
}
