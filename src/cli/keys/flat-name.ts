import { decodeSegment, encodeSegment } from './segment.ts';

/**
 * The name of a flat file (`db.pool.size`, `DB__POOL__SIZE`) as a key: split at each `separator`, each part one segment (so `a..b` is `a/~/b`).
 * `nameOfKey(keyOfName(name))` is `name` for every name and separator.
 */
export function keyOfName(name: string, separator: string): string {
  return name.split(separator).map(encodeSegment).join('/');
}

/** The name of a key. Not every key comes back from its name: one with the separator inside a segment does not; see {@link isNameExact}. */
export function nameOfKey(key: string, separator: string): string {
  return key.split('/').map(decodeSegment).join(separator);
}

/** True if import would give the name this very key. */
export function isNameExact(key: string, separator: string): boolean {
  return keyOfName(nameOfKey(key, separator), separator) === key;
}
