import { isKey, type ConfigKey } from '../../core/key.ts';

/**
 * Where things lie in the store (`design/store.md` section 2). Values lie under their own keys, so that a store with plain keys works at
 * once and tools that read it directly keep working.
 */
export interface Layout {
  readonly namespace: string;
  /** Prefix of everything a node mirrors: values, sidecars, system records. */
  readonly root: string;
  /** Prefix of what of it is Attune's own: sidecars, system records. */
  readonly own: string;
  /** Prefix of records that are not mirrored: history, audit. */
  readonly archive: string;
  readonly epochKey: string;
  valueKey(key: ConfigKey): string;
  sidecarKey(key: ConfigKey): string;
  /** Prefix of all history records of `key`. */
  historyPrefix(key: ConfigKey): string;
  historyKey(key: ConfigKey, sequence: number): string;
  /** The user's key that `storeKey` holds the value of; undefined for Attune's own records and for keys outside the grammar. */
  keyOfValue(storeKey: string): ConfigKey | undefined;
  /** The user's key that `storeKey` holds the sidecar of. */
  keyOfSidecar(storeKey: string): ConfigKey | undefined;
  /** True if `storeKey` should be a value by its place but breaks the grammar of keys. */
  isSkipped(storeKey: string): boolean;
}

const SEQUENCE_DIGITS = 16;

export function createLayout(namespace: string): Layout {
  const root = `${namespace}/`;
  const own = `${root}.attune/`;
  const meta = `${own}meta/`;
  const archive = `${namespace}.attune/`;
  const asKey = (text: string): ConfigKey | undefined => (isKey(text) ? text : undefined);
  const historyPrefix = (key: ConfigKey): string => `${archive}history/${encodeURIComponent(key)}/`;
  return {
    namespace,
    root,
    own,
    archive,
    epochKey: `${own}system/epoch`,
    valueKey: (key) => root + key,
    sidecarKey: (key) => meta + key,
    historyPrefix,
    historyKey: (key, sequence) => historyPrefix(key) + String(sequence).padStart(SEQUENCE_DIGITS, '0'),
    keyOfValue: (storeKey) => (storeKey.startsWith(root) && !storeKey.startsWith(own) ? asKey(storeKey.slice(root.length)) : undefined),
    keyOfSidecar: (storeKey) => (storeKey.startsWith(meta) ? asKey(storeKey.slice(meta.length)) : undefined),
    isSkipped: (storeKey) => storeKey.startsWith(root) && !storeKey.startsWith(own) && !isKey(storeKey.slice(root.length)),
  };
}
