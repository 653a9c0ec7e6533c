import { ConflictError, ValueTooLargeError, type Revision, type Transaction } from '../../core/provider.ts';
import { encodeOperations, type ConsulEntry, type ConsulOperation } from './consul-wire.ts';

/** The agent's `txn_max_req_len`, its default. */
export const MAX_BODY_BYTES = 512 * 1024;
/** The bit of an entry's flags that an equal put turns over, so that it is a change to Consul. Exact in a double, for tools that use one. */
const EQUAL_PUT_BIT = 2n ** 52n;

/** An operation, and whether its condition is the caller's check or this provider's own guess of what is there. */
export interface PlannedOperation {
  readonly operation: ConsulOperation;
  readonly isGuess: boolean;
}

/**
 * `transaction` in Consul's verbs. `known` tells what a key holds, as far as this node knows (undefined: absent).
 *
 * A put is a `cas` always: Consul takes a put of an equal value for none, so that what is there must be known: for equal bytes one bit of the
 * flags is turned over, otherwise the flags stay. The index compared is the caller's, if there is a check, or that of the guess; a wrong guess is
 * a certain refusal, after which the key is read and the transaction planned again. A delete follows a `check-index`, for Consul's
 * `delete-cas` of an absent key succeeds.
 * @throws {ConflictError} what is known contradicts a check.
 */
export function planTransaction(transaction: Transaction, known: (key: string) => ConsulEntry | undefined): PlannedOperation[] {
  const { checks, operations } = transaction;
  const checked = new Map<string, Revision | null>();
  for (const { key, revision } of checks) {
    const other = checked.get(key);
    if (other !== undefined && other !== revision)
      throw new ConflictError(`key '${key}' cannot be at ${String(other)} and at ${String(revision)}`);
    checked.set(key, revision);
  }
  const put = new Set(operations.flatMap((operation) => (operation.type === 'put' ? [operation.key] : [])));
  const planned: PlannedOperation[] = [];
  for (const [key, revision] of checked) {
    if (put.has(key)) continue;
    const operation: ConsulOperation =
      revision === null || revision === 0 ? { verb: 'check-not-exists', key } : { verb: 'check-index', key, index: revision };
    planned.push({ operation, isGuess: false });
  }
  for (const operation of operations) {
    const { key } = operation;
    if (operation.type === 'delete') {
      planned.push({ operation: { verb: 'delete', key }, isGuess: false });
      continue;
    }
    const check = checked.get(key);
    const current = known(key);
    const index = check === undefined ? (current?.revision ?? 0) : (check ?? 0);
    const before = current && current.revision === index ? current : undefined;
    const flags = before ? flagsOfPut(before, operation.value) : '0';
    planned.push({
      operation: { verb: 'cas', key, value: operation.value, index: index as Revision, flags },
      isGuess: check === undefined,
    });
  }
  return planned;
}

/** Those keys of `transaction` whose entry must be known before it is planned: a check names a version that `known` does not hold. */
export function keysToRead(transaction: Transaction, known: (key: string) => ConsulEntry | undefined): string[] {
  const versions = new Map(transaction.checks.map(({ key, revision }) => [key, revision]));
  return transaction.operations.flatMap(({ type, key }) => {
    const version = versions.get(key);
    return type === 'put' && version && known(key)?.revision !== version ? [key] : [];
  });
}

/** @throws {ValueTooLargeError} the agent would refuse it for its size. */
export function requireSize(operations: readonly ConsulOperation[]): void {
  const bytes = encodeOperations(operations).byteLength;
  if (bytes <= MAX_BODY_BYTES) return;
  throw new ValueTooLargeError(`a transaction of Consul has at most ${MAX_BODY_BYTES} bytes, values in base64; this one has ${bytes}`);
}

function flagsOfPut(before: ConsulEntry, value: Uint8Array): string {
  if (Buffer.compare(before.value, value) !== 0) return before.flags;
  return String(BigInt(before.flags) ^ EQUAL_PUT_BIT);
}
