import { utf8Length } from '../../core/byte-order.ts';
import type { StoredBatch, StoredChange } from '../../core/provider.ts';

function keyOf(change: StoredChange): string {
  return change.type === 'put' ? change.entry.key : change.key;
}

/** What of `batch` lies under `prefix`; undefined if nothing does. */
export function batchUnder(batch: StoredBatch, prefix: string): StoredBatch | undefined {
  const changes = batch.changes.filter((change) => keyOf(change).startsWith(prefix));
  if (changes.length === 0) return undefined;
  return changes.length === batch.changes.length ? batch : { revision: batch.revision, changes };
}

/** Keys and values, the part of its size that its writer chose. */
export function batchBytes(batch: StoredBatch): number {
  let bytes = 0;
  for (const change of batch.changes) bytes += utf8Length(keyOf(change)) + (change.type === 'put' ? change.entry.value.byteLength : 0);
  return bytes;
}
