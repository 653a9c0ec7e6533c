import { ConflictError, type Revision, type StoredBatch, type StoredChange, type Transaction } from '../../core/provider.ts';
import { requireChecks } from '../local/transaction.ts';
import type { VersionStore } from './version-store.ts';

/** What became of one write of a group: its revision, or why its checks refuse it. */
export type WriteOutcome = { readonly revision: Revision } | { readonly refused: ConflictError };

export interface AppliedGroup {
  /** In the order of the transactions. */
  readonly outcomes: readonly WriteOutcome[];
  /** In the order of their revisions. */
  readonly batches: readonly StoredBatch[];
  /** The store's revision with the group. */
  readonly head: Revision;
}

/**
 * Writes transactions one after the other, each seeing what those before it wrote, into the store's open transaction. Checks are made
 * before anything is written, so that a transaction refused leaves nothing to undo.
 */
export function applyGroup(store: VersionStore, head: Revision, transactions: readonly Transaction[]): AppliedGroup {
  const batches: StoredBatch[] = [];
  const outcomes = transactions.map((transaction): WriteOutcome => {
    try {
      requireChecks(transaction.checks, (key) => store.current(key)?.revision ?? null);
    } catch (error) {
      if (error instanceof ConflictError) return { refused: error };
      throw error;
    }
    const last = batches.at(-1)?.revision ?? head;
    const revision = (last + 1) as Revision;
    const changes = changesOf(store, transaction, revision);
    if (changes.length === 0) return { revision: last };
    for (const change of changes) store.insert(change);
    batches.push({ revision, changes });
    return { revision };
  });
  const reached = batches.at(-1)?.revision ?? head;
  if (reached > head) store.writeMeta('revision', reached);
  return { outcomes, batches, head: reached };
}

function changesOf(store: VersionStore, transaction: Transaction, revision: Revision): StoredChange[] {
  return transaction.operations.flatMap((operation): StoredChange[] => {
    const before = store.current(operation.key);
    if (operation.type === 'delete') return before ? [{ type: 'delete', key: operation.key, revision }] : [];
    return [
      {
        type: 'put',
        entry: { key: operation.key, value: operation.value, revision, createdRevision: before?.createdRevision ?? revision },
      },
    ];
  });
}
