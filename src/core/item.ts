/** The wire shapes (`design/http.md`), as types without a library behind them: they are what an application's compiler reads. */

/** A value as JSON has it. Never modified: it may be shared. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** String to string; at most 32 entries and 8 KiB. */
export type Metadata = Readonly<Record<string, string>>;

export const METADATA_LIMITS = Object.freeze({ maxEntries: 32, maxBytes: 8 * 1024 });

export const MAX_COMMENT_BYTES = 1024;

/** One key with its value, as `GET /configs/{key}` answers it. */
export type ConfigItem = Readonly<{
  key: string;
  /** JSON values as themselves, text as a string, other bytes as a base64 string. */
  value: JsonValue;
  /** Revision of the last change to this key. */
  version: number;
  /** Entity tag without quotes: `<epoch>-<version>`. */
  etag: string;
  /** ISO 8601, UTC; null for a value written by another tool. */
  lastUpdated: string | null;
  metadata: Metadata;
  contentType: string;
  /** Version of the first change since the key was last absent. */
  createdVersion: number;
  updatedBy?: string | undefined;
}>;

/** What happened to a key. */
export type ChangeType = 'created' | 'updated' | 'deleted';

/** One key created, updated or deleted. */
export type ConfigChangeEvent = Readonly<{
  type: ChangeType;
  key: string;
  /** Null for `created`; left out where the node does not know it. */
  oldValue?: JsonValue | undefined;
  /** Null for `deleted`. */
  newValue: JsonValue;
  /** Revision of this change; for `deleted` that of the deletion. */
  version: number;
  /** ISO 8601, UTC; null for a change made by another tool. */
  timestamp: string | null;
  metadata: Metadata;
  contentType: string;
  updatedBy?: string | undefined;
}>;

/** Why a position cannot be resumed from. */
export type ResetReason = 'compacted' | 'epoch' | 'slow' | 'ahead';

export type ServiceState = 'connecting' | 'live' | 'stale' | 'closed';
