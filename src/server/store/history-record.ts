import type { ChangeType, Metadata } from '../../core/item.ts';
import type { ConfigKey } from '../../core/key.ts';
import type { Revision } from '../../core/revision.ts';
import { z } from 'zod';

/** One change of one key, written in the transaction that made it and never again. Holds the value's bytes once. */
export interface HistoryRecord {
  readonly type: ChangeType;
  readonly key: ConfigKey;
  readonly sequence: number;
  readonly writeId: string;
  /** Version before this change; absent for `created`. */
  readonly previousVersion?: Revision | undefined;
  readonly timestamp: string;
  readonly updatedBy?: string | undefined;
  readonly comment?: string | undefined;
  readonly contentType: string;
  readonly metadata: Metadata;
  /** The value's text, or base64 where `encoding` says so; absent for `deleted`. */
  readonly value?: string | undefined;
  readonly encoding?: 'base64' | undefined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const writeIdSchema = z.object({ writeId: z.string() });

export function encodeHistoryRecord(record: HistoryRecord): Uint8Array {
  return encoder.encode(JSON.stringify(record));
}

/** Whose write a stored record is; undefined if it is not a record. */
export function writeIdOf(record: Uint8Array): string | undefined {
  try {
    return writeIdSchema.parse(JSON.parse(decoder.decode(record))).writeId;
  } catch {
    return undefined;
  }
}
