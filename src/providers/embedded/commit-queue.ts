import { type ClosedError, UnavailableError, type CallOptions, type Revision, type Transaction } from '../../core/provider.ts';
import type { WriteOutcome } from './write-group.ts';

/** One group holds at most this, so that its turn of the event loop stays short. */
const GROUP_WRITES = 256;
const GROUP_OPERATIONS = 512;
const GROUP_BYTES = 4 * 1024 * 1024;

interface QueuedWrite {
  readonly transaction: Transaction;
  readonly bytes: number;
  readonly signal: AbortSignal | undefined;
  readonly startBefore: number;
  resolve(revision: Revision): void;
  reject(reason: unknown): void;
}

/**
 * Makes one group of all that is written in one turn of the event loop, so that they share one flush to disk. `commitGroup` applies a
 * group at once; what it throws is the end of every write in it.
 */
export class CommitQueue {
  readonly #commitGroup: (transactions: readonly Transaction[]) => readonly WriteOutcome[];
  #waiting: QueuedWrite[] = [];
  #turn: NodeJS.Immediate | undefined;
  #closed: ClosedError | undefined;

  constructor(commitGroup: (transactions: readonly Transaction[]) => readonly WriteOutcome[]) {
    this.#commitGroup = commitGroup;
  }

  /** Resolves when the write is on disk. A write whose signal aborts, or whose deadline passes, before its group begins is not made. */
  async add(transaction: Transaction, options: CallOptions = {}): Promise<Revision> {
    if (this.#closed) throw this.#closed;
    const owned = copyOf(transaction);
    return new Promise<Revision>((resolve, reject) => {
      const startBefore = options.deadlineMs === undefined ? Infinity : performance.now() + options.deadlineMs;
      this.#waiting.push({ transaction: owned, bytes: bytesOf(owned), signal: options.signal, startBefore, resolve, reject });
      this.#turn ??= setImmediate(() => this.#commitNext());
    });
  }

  /** Refuses what waits and what comes. */
  close(reason: ClosedError): void {
    this.#closed = reason;
    if (this.#turn) clearImmediate(this.#turn);
    for (const write of this.#waiting.splice(0)) write.reject(reason);
  }

  #commitNext(): void {
    this.#turn = undefined;
    const group = this.#takeGroup();
    if (this.#waiting.length > 0) this.#turn = setImmediate(() => this.#commitNext());
    if (group.length === 0) return;
    try {
      const outcomes = this.#commitGroup(group.map((write) => write.transaction));
      for (const [index, write] of group.entries()) {
        const outcome = outcomes[index];
        if (!outcome) throw new Error('a write of the group has no outcome');
        if ('revision' in outcome) write.resolve(outcome.revision);
        else write.reject(outcome.refused);
      }
    } catch (error) {
      for (const write of group) write.reject(error);
    }
  }

  #takeGroup(): QueuedWrite[] {
    const group: QueuedWrite[] = [];
    const now = performance.now();
    let taken = 0;
    let operations = 0;
    let bytes = 0;
    for (const write of this.#waiting) {
      operations += write.transaction.checks.length + write.transaction.operations.length;
      bytes += write.bytes;
      // A write that is too large for a group is one by itself.
      if (group.length > 0 && (group.length >= GROUP_WRITES || operations > GROUP_OPERATIONS || bytes > GROUP_BYTES)) break;
      taken++;
      if (write.signal?.aborted) write.reject(write.signal.reason);
      else if (write.startBefore < now) write.reject(new UnavailableError('the write was not begun before its deadline; it was not made'));
      else group.push(write);
    }
    this.#waiting = this.#waiting.slice(taken);
    return group;
  }
}

/** The caller may use its buffers again as soon as it has called. */
function copyOf(transaction: Transaction): Transaction {
  return {
    checks: [...transaction.checks],
    operations: transaction.operations.map((operation) =>
      operation.type === 'put' ? { type: 'put', key: operation.key, value: new Uint8Array(operation.value) } : operation,
    ),
  };
}

function bytesOf(transaction: Transaction): number {
  return transaction.operations.reduce(
    (bytes, operation) => bytes + operation.key.length + (operation.type === 'put' ? operation.value.byteLength : 0),
    0,
  );
}
