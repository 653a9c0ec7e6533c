import { utf8Length } from '../../core/byte-order.ts';
import {
  ConflictError,
  InvalidArgumentError,
  ValueTooLargeError,
  type Check,
  type ProviderCapabilities,
  type Revision,
  type Transaction,
} from '../../core/provider.ts';

/**
 * Refuses a transaction that no state of the store would make right.
 * @throws {InvalidArgumentError} {@link ValueTooLargeError}
 */
export function validateTransaction(transaction: Transaction, limits: ProviderCapabilities): void {
  const { checks, operations } = transaction;
  const count = checks.length + operations.length;
  if (count > limits.maxTransactionOperations) {
    throw new ValueTooLargeError(`a transaction has at most ${limits.maxTransactionOperations} checks and operations, this one has ${count}`);
  }
  const touched = new Set<string>();
  let bytes = 0;
  for (const operation of operations) {
    if (touched.has(operation.key)) throw new InvalidArgumentError(`key '${operation.key}' stands in two operations of one transaction`);
    touched.add(operation.key);
    const keyBytes = utf8Length(operation.key);
    if (keyBytes === 0 || keyBytes > limits.maxKeyBytes) {
      throw new InvalidArgumentError(`a stored key has 1 to ${limits.maxKeyBytes} bytes, this one has ${keyBytes}`);
    }
    const valueBytes = operation.type === 'put' ? operation.value.byteLength : 0;
    if (valueBytes > limits.maxValueBytes) {
      throw new ValueTooLargeError(`a stored value has at most ${limits.maxValueBytes} bytes, this one has ${valueBytes}`);
    }
    bytes += keyBytes + valueBytes;
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
