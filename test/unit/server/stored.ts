import type { Revision, StoredBatch, StoredChange, StoredEntry } from '../../../src/core/provider.ts';

export const at = (revision: number): Revision => revision as Revision;

export function entry(key: string, value: string | Uint8Array, revision: number, createdRevision = revision): StoredEntry {
  return { key, value: Buffer.from(value), revision: at(revision), createdRevision: at(createdRevision) };
}

export const put = (key: string, value: string, revision: number, createdRevision = revision): StoredChange => ({
  type: 'put',
  entry: entry(key, value, revision, createdRevision),
});

export const del = (key: string, revision: number): StoredChange => ({ type: 'delete', key, revision: at(revision) });

export const batch = (revision: number, ...changes: readonly StoredChange[]): StoredBatch => ({ revision: at(revision), changes });
