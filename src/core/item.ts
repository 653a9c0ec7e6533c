import { z } from 'zod';

/** The wire shapes: one schema each, the source of types, validation and documentation alike (`design/http.md`). */

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

const MAX_METADATA_ENTRIES = 32;
const MAX_METADATA_BYTES = 8 * 1024;
const MAX_COMMENT_BYTES = 1024;

const bytes = (text: string): number => new TextEncoder().encode(text).length;

/** String to string, at most 32 entries and 8 KiB. */
const metadataSchema = z
  .record(z.string().min(1, 'a metadata name has at least one character'), z.string())
  .refine((metadata) => Object.keys(metadata).length <= MAX_METADATA_ENTRIES, `at most ${MAX_METADATA_ENTRIES} entries`)
  .refine((metadata) => bytes(JSON.stringify(metadata)) <= MAX_METADATA_BYTES, `at most ${MAX_METADATA_BYTES} bytes`);

export type Metadata = Readonly<Record<string, string>>;

const commentSchema = z.string().refine((comment) => bytes(comment) <= MAX_COMMENT_BYTES, `at most ${MAX_COMMENT_BYTES} bytes`);

const jsonValueSchema = z.custom<JsonValue>((value) => value !== undefined);

/** One key with its value, as `GET /configs/{key}` answers it. */
export const configItemSchema = z.strictObject({
  key: z.string(),
  /** JSON values as themselves, text as a string, other bytes as a base64 string. */
  value: jsonValueSchema,
  /** Revision of the last change to this key. */
  version: z.int().nonnegative(),
  /** Entity tag without quotes: `<epoch>-<version>`. */
  etag: z.string(),
  /** ISO 8601, UTC; null for a value written by another tool. */
  lastUpdated: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  contentType: z.string(),
  /** Version of the first change since the key was last absent. */
  createdVersion: z.int().nonnegative(),
  updatedBy: z.string().optional(),
});

export type ConfigItem = Readonly<z.infer<typeof configItemSchema>>;

export const CHANGE_TYPES = ['created', 'updated', 'deleted'] as const;
export type ChangeType = (typeof CHANGE_TYPES)[number];

/** One key created, updated or deleted. */
export const configChangeEventSchema = z.strictObject({
  type: z.enum(CHANGE_TYPES),
  key: z.string(),
  /** Null for `created`; left out where the node does not know it. */
  oldValue: jsonValueSchema.optional(),
  /** Null for `deleted`. */
  newValue: jsonValueSchema,
  /** Revision of this change; for `deleted` that of the deletion. */
  version: z.int().nonnegative(),
  /** ISO 8601, UTC; null for a change made by another tool. */
  timestamp: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  contentType: z.string(),
  updatedBy: z.string().optional(),
});

export type ConfigChangeEvent = Readonly<z.infer<typeof configChangeEventSchema>>;

/** Why a position cannot be resumed from. */
export const RESET_REASONS = ['compacted', 'epoch', 'slow', 'ahead'] as const;
export type ResetReason = (typeof RESET_REASONS)[number];

export const SERVICE_STATES = ['connecting', 'live', 'stale', 'closed'] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

/** What `PUT /configs/{key}` takes as an envelope. A field left out is kept; `metadata: {}` clears. */
export const writeEnvelopeSchema = z.strictObject({
  value: jsonValueSchema.optional(),
  metadata: metadataSchema.optional(),
  contentType: z.string().optional(),
  comment: commentSchema.optional(),
});
