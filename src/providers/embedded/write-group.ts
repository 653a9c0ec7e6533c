import { ConflictError, type Revision, type StoredBatch, type Transaction } from '../../core/provider.ts';
import { requireChecks } from '../local/transaction.ts';
import { revisionOfId, type CurrentVersion, type VersionChange, type VersionStore } from './version-store.ts';

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
  const group = new GroupStore(store);
  const outcomes = transactions.map((transaction): WriteOutcome => {
    try {
      requireChecks(transaction.checks, (key) => {
        const current = group.current(key);
        return current ? revisionOfId(current.id) : null;
      });
    } catch (error) {
      if (error instanceof ConflictError) return { refused: error };
      throw error;
    }
    const last = batches.at(-1)?.revision ?? head;
    const revision = (last + 1) as Revision;
    const changes = changesOf(group, transaction, revision);
    if (changes.length === 0) return { revision: last };
    group.append(revision, changes);
    batches.push({ revision, changes: changes.map(({ change }) => change) });
    return { revision };
  });
  const reached = batches.at(-1)?.revision ?? head;
  if (reached > head) store.writeMeta('revision', reached);
  return { outcomes, batches, head: reached };
}

/** The store, which looks up each key once for a group: a check and an operation ask for the same, and every write for the epoch. */
class GroupStore {
  readonly #store: VersionStore;
  readonly #known = new Map<string, CurrentVersion | undefined>();

  constructor(store: VersionStore) {
    this.#store = store;
  }

  current(key: string): CurrentVersion | undefined {
    if (this.#known.has(key)) return this.#known.get(key);
    const current = this.#store.current(key);
    this.#known.set(key, current);
    return current;
  }

  append(revision: Revision, changes: readonly VersionChange[]): void {
    for (const [key, current] of this.#store.append(revision, changes)) this.#known.set(key, current);
  }
}

function changesOf(store: GroupStore, transaction: Transaction, revision: Revision): VersionChange[] {
  return transaction.operations.flatMap((operation): VersionChange[] => {
    const { key } = operation;
    const previous = store.current(key);
    if (operation.type === 'delete') return previous ? [{ change: { type: 'delete', key, revision }, previous }] : [];
    const createdRevision = previous?.createdRevision ?? revision;
    return [{ change: { type: 'put', entry: { key, value: operation.value, revision, createdRevision } }, previous }];
  });
}
