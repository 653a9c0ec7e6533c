import { z } from 'zod';
import { MAX_COMMENT_BYTES, METADATA_LIMITS, type ConfigChangeEvent, type ConfigItem, type JsonValue, type Metadata } from './item.ts';

/** The wire shapes as schemas, for validation and documentation. That they describe the types of item.ts is checked by the compiler. */

const bytes = (text: string): number => new TextEncoder().encode(text).length;

const metadataSchema = z
  .record(z.string().min(1, 'a metadata name has at least one character'), z.string())
  .refine((metadata) => Object.keys(metadata).length <= METADATA_LIMITS.maxEntries, `at most ${METADATA_LIMITS.maxEntries} entries`)
  .refine((metadata) => bytes(JSON.stringify(metadata)) <= METADATA_LIMITS.maxBytes, `at most ${METADATA_LIMITS.maxBytes} bytes`);

const commentSchema = z.string().refine((comment) => bytes(comment) <= MAX_COMMENT_BYTES, `at most ${MAX_COMMENT_BYTES} bytes`);

const jsonValueSchema = z.custom<JsonValue>((value) => value !== undefined);

const described = { metadata: z.record(z.string(), z.string()), contentType: z.string(), updatedBy: z.string().optional() };

export const configItemSchema = z.strictObject({
  key: z.string(),
  value: jsonValueSchema,
  version: z.int().nonnegative(),
  etag: z.string(),
  lastUpdated: z.string().nullable(),
  createdVersion: z.int().nonnegative(),
  ...described,
}) satisfies z.ZodType<ConfigItem>;

export const configChangeEventSchema = z.strictObject({
  type: z.enum(['created', 'updated', 'deleted']),
  key: z.string(),
  oldValue: jsonValueSchema.optional(),
  newValue: jsonValueSchema,
  version: z.int().nonnegative(),
  timestamp: z.string().nullable(),
  ...described,
}) satisfies z.ZodType<ConfigChangeEvent>;

/** What `PUT /configs/{key}` takes as an envelope. A field left out is kept; `metadata: {}` clears. */
export const writeEnvelopeSchema = z.strictObject({
  value: jsonValueSchema.optional(),
  metadata: (metadataSchema satisfies z.ZodType<Metadata>).optional(),
  contentType: z.string().optional(),
  comment: commentSchema.optional(),
});
