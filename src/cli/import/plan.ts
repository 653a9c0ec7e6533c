import { TEXT_TYPE, JSON_TYPE } from '../../core/content.ts';
import { compareBytes } from '../../core/byte-order.ts';
import { canonicalJson } from '../../core/json-text.ts';
import { flatTextOf, type ConfigValue } from '../config-value.ts';
import type { StoredItem } from '../snapshot.ts';

/** What a key shall hold. `contentType` where the file decides it, else it follows from the value and from what is there. */
export interface Wanted {
  readonly value: ConfigValue;
  readonly contentType?: string;
}

export type PlannedChange =
  | { readonly type: 'created'; readonly key: string; readonly value: ConfigValue; readonly contentType: string }
  | { readonly type: 'updated'; readonly key: string; readonly value: ConfigValue; readonly contentType: string; readonly old: StoredItem }
  | { readonly type: 'deleted'; readonly key: string; readonly old: StoredItem };

export interface Plan {
  /** In byte order of the keys. */
  readonly changes: readonly PlannedChange[];
  readonly unchanged: number;
}

export interface PlanOptions {
  /** Also delete what is stored and not wanted. */
  readonly prune: boolean;
  /** Whether a wanted value says what the stored one says already. */
  readonly isSame: (wanted: ConfigValue, stored: ConfigValue) => boolean;
}

/** The changes that make `stored` hold what is wanted, and no more: a value that says the same is left alone. */
export function planChanges(wanted: ReadonlyMap<string, Wanted>, stored: ReadonlyMap<string, StoredItem>, options: PlanOptions): Plan {
  const changes: PlannedChange[] = [];
  for (const [key, { value, contentType }] of wanted) {
    const old = stored.get(key);
    if (!old) changes.push({ type: 'created', key, value, contentType: contentType ?? defaultType(value) });
    else if (!options.isSame(value, old.value) || (contentType !== undefined && contentType !== old.contentType)) {
      changes.push({ type: 'updated', key, value, contentType: contentType ?? typeOver(value, old), old });
    }
  }
  const unchanged = wanted.size - changes.length;
  if (options.prune) for (const [key, old] of stored) if (!wanted.has(key)) changes.push({ type: 'deleted', key, old });
  return { changes: changes.sort((a, b) => compareBytes(a.key, b.key)), unchanged };
}

const defaultType = (value: ConfigValue): string => (value.kind === 'json' ? JSON_TYPE : TEXT_TYPE);

/** A text stays the kind of text it was. */
const typeOver = (value: ConfigValue, old: StoredItem): string =>
  value.kind === 'text' && old.value.kind === 'text' && !old.isBytes ? old.contentType : defaultType(value);

/** Equal for every reader: the same JSON value, whether a string is stored as JSON or as text. */
export function isSameValue(a: ConfigValue, b: ConfigValue): boolean {
  return jsonOf(a) === jsonOf(b);
}

const jsonOf = (value: ConfigValue): string => canonicalJson(value.kind === 'text' ? JSON.stringify(value.text) : value.text);

/** Equal as a flat file would write them: the text 20 and the number 20 are one. */
export function isSameFlatText(a: ConfigValue, b: ConfigValue): boolean {
  return flatTextOf(a) === flatTextOf(b) || isSameValue(a, b);
}

/**
 * Keys of the file that would be a value where the server has a folder, or below one of its values, once `plan` is carried out: a nested file could
 * never show that. Each with the stored key it is at odds with.
 */
export function findContradictions(
  wanted: ReadonlyMap<string, Wanted>,
  stored: ReadonlyMap<string, StoredItem>,
): readonly (readonly [key: string, other: string])[] {
  const others = [...stored.keys()].filter((key) => !wanted.has(key));
  const found: (readonly [string, string])[] = [];
  for (const other of others) for (const folder of foldersOf(other)) if (wanted.has(folder)) found.push([folder, other]);
  const values = new Set(others);
  for (const key of wanted.keys()) for (const folder of foldersOf(key)) if (values.has(folder)) found.push([key, folder]);
  return found;
}

/** `a`, `a/b` of `a/b/c`. */
function* foldersOf(key: string): Generator<string> {
  for (let slash = key.indexOf('/'); slash > 0; slash = key.indexOf('/', slash + 1)) yield key.slice(0, slash);
}
