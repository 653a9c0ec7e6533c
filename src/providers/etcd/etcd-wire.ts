import type { IEvent, IKeyValue } from 'etcd3';
import { compareBytes, parseRevision, type StoredChange, type StoredEntry } from '../../core/provider.ts';

/**
 * etcd's keys are bytes, ours are text. Bytes that are no UTF-8 become half surrogate pairs, one for one: no key of ours holds any, two
 * such keys stay two, and what reads them sees that they follow no grammar.
 */
export function decodeKey(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text;
  let decoded = '';
  for (const byte of bytes) decoded += String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte);
  return decoded;
}

/** The least key above every one that starts with `prefix`; etcd's word for "to the end" if there is none. */
export function rangeEnd(prefix: Buffer): Buffer {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const byte = prefix[last] ?? 0xff;
    if (byte < 0xff) return Buffer.concat([prefix.subarray(0, last), Buffer.of(byte + 1)]);
  }
  return Buffer.of(0);
}

export interface KeyRange {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

/** Every key that starts with `prefix`. */
export function rangeOf(prefix: string): KeyRange {
  const key = Buffer.from(prefix);
  // etcd takes no empty key; a NUL is the least one there is.
  return { key: key.length === 0 ? Buffer.of(0) : key, range_end: rangeEnd(key) };
}

export function toEntry(stored: IKeyValue): StoredEntry {
  return {
    key: decodeKey(stored.key),
    value: stored.value,
    revision: parseRevision(stored.mod_revision),
    createdRevision: parseRevision(stored.create_revision),
  };
}

export function toChange({ type, kv }: IEvent): StoredChange {
  // A deletion carries the key and its own revision, nothing of what was deleted.
  if (type === 'Delete') {
    return { type: 'delete', key: decodeKey(kv.key), revision: parseRevision(kv.mod_revision) };
  }
  return { type: 'put', entry: toEntry(kv) };
}

/** etcd orders by bytes, which differs from ours only for what {@link decodeKey} had to rewrite. */
export function inOrder(entries: readonly StoredEntry[]): readonly StoredEntry[] {
  return entries.some(({ key }) => /\p{Surrogate}/u.test(key)) ? entries.toSorted((a, b) => compareBytes(a.key, b.key)) : entries;
}
