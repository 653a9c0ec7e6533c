import { utf8Length } from '../../core/byte-order.ts';
import {
  ConflictError,
  InvalidArgumentError,
  ValueTooLargeError,
  type Check,
  type Operation,
  type ProviderCapabilities,
  type Revision,
  type Transaction,
} from '../../core/provider.ts';

/** What a store in this process takes, the same for all of them; generous, for no network is in between. */
export const LOCAL_CAPABILITIES: ProviderCapabilities = Object.freeze({
  history: 'full',
  maxKeyBytes: 4_096,
  maxValueBytes: 16 * 1024 * 1024,
  maxTransactionOperations: 128,
  maxTransactionBytes: 32 * 1024 * 1024,
});

// Half a surrogate pair has no UTF-8, and some drivers end a text at NUL: stored, either would become another key.
const NOT_STORABLE = /\0|\p{Surrogate}/u;

/** True if a key can be, or start with, `text`. */
export function isStorable(text: string): boolean {
  return !NOT_STORABLE.test(text);
}

/**
 * Refuses a transaction that no state of the store would make right.
 * @throws {InvalidArgumentError} {@link ValueTooLargeError}
 */
export function validateTransaction(transaction: Transaction, limits: ProviderCapabilities): void {
  const { checks, operations } = transaction;
  const count = checks.length + operations.length;
  if (count > limits.maxTransactionOperations) {
    throw new ValueTooLargeError(
      `a transaction has at most ${limits.maxTransactionOperations} checks and operations, this one has ${count}`,
    );
  }
  for (const check of checks) requireKey(check.key, limits);
  const touched = new Set<string>();
  let bytes = 0;
  for (const operation of operations) {
    if (touched.has(operation.key)) throw new InvalidArgumentError(`key '${operation.key}' stands in two operations of one transaction`);
    touched.add(operation.key);
    bytes += requireKey(operation.key, limits) + requireValue(operation, limits);
  }
  if (bytes > limits.maxTransactionBytes) {
    throw new ValueTooLargeError(`a transaction has at most ${limits.maxTransactionBytes} bytes, this one has ${bytes}`);
  }
}

/** @throws {ConflictError} a check does not hold against `revisionOf`, which answers null for an absent key. */
export function requireChecks(checks: readonly Check[], revisionOf: (key: string) => Revision | null): void {
  for (const check of checks) {
    const actual = revisionOf(check.key);
    if (actual === check.revision) continue;
    throw new ConflictError(
      `key '${check.key}' is ${actual === null ? 'absent' : `at revision ${actual}`}, not ${check.revision === null ? 'absent' : `at ${check.revision}`}`,
      { details: { key: check.key } },
    );
  }
}

function requireKey(key: string, limits: ProviderCapabilities): number {
  const bytes = utf8Length(key);
  if (bytes === 0) throw new InvalidArgumentError('a stored key has at least one byte');
  if (bytes > limits.maxKeyBytes)
    throw new ValueTooLargeError(`a stored key has at most ${limits.maxKeyBytes} bytes, this one has ${bytes}`);
  if (!isStorable(key)) throw new InvalidArgumentError(`the stored key ${JSON.stringify(key)} holds NUL or half a surrogate pair`);
  return bytes;
}

function requireValue(operation: Operation, limits: ProviderCapabilities): number {
  if (operation.type === 'delete') return 0;
  const bytes = operation.value.byteLength;
  if (bytes > limits.maxValueBytes) {
    throw new ValueTooLargeError(`a stored value has at most ${limits.maxValueBytes} bytes, this one has ${bytes}`);
  }
  return bytes;
}
