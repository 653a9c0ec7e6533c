import { isAttuneError, UnavailableError, type ErrorCode } from '../../core/errors.ts';

/** What a store that cannot be reached, that does not let this node in, or that something else answers for, throws. */
const FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['UNAVAILABLE', 'UNAUTHENTICATED', 'PERMISSION_DENIED', 'PROTOCOL', 'CLOSED']);

/**
 * The error to show for one that the store threw before it did anything. The store's own words name hosts and users, and its refusal of this node's
 * credentials is no refusal of the client's: they stay behind as the cause, for the log.
 */
export function storeFailure(error: unknown, message: string): Error {
  if (isAttuneError(error) && FAILURES.has(error.code)) return new UnavailableError(message, { cause: error });
  return error instanceof Error ? error : new Error(message, { cause: error });
}
