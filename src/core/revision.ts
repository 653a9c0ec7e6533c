import { ProtocolError } from './errors.ts';

/**
 * A position in the store's history: a safe integer that grows with every commit. Assigned by the store only, never by a
 * clock or a node-local counter. Revisions of different epochs are not comparable.
 */
export type Revision = number & { readonly __brand: 'Revision' };

/** The revision before any commit. No item has it, so it also reads as "must not exist" in conditions. */
export const REVISION_ZERO = 0 as Revision;

/**
 * Parses what a store or a peer calls a revision. Stores give 64-bit ids as text: they are parsed here, once.
 * @throws {ProtocolError} not an integer between 0 and 2^53-1.
 */
export function parseRevision(value: unknown): Revision {
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number as Revision;
  if (typeof value === 'bigint') return parseRevision(value.toString());
  throw new ProtocolError(`not a revision: ${String(value)} (an integer from 0 to ${Number.MAX_SAFE_INTEGER} is expected)`);
}
