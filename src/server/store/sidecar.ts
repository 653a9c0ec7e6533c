import { z } from 'zod';
import type { Metadata } from '../../core/item.ts';
import type { StoredEntry } from '../../core/provider.ts';

/** What Attune knows of a key beside its value. After a delete it stays as a tombstone. */
export interface Sidecar {
  readonly contentType: string;
  readonly metadata: Metadata;
  /** ISO 8601, UTC: when the change was made, by the clock of the node that made it. For people, never for ordering. */
  readonly lastUpdated: string;
  readonly updatedBy?: string | undefined;
  readonly comment?: string | undefined;
  /** Number of the key's changes made through Attune, from 1; kept over delete and recreate. */
  readonly sequence: number;
  /** Identifies the write that made this change, to settle an unknown outcome. */
  readonly writeId: string;
  readonly deleted?: true | undefined;
}

const sidecarSchema = z.object({
  // It becomes a header.
  contentType: z.string().regex(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/),
  metadata: z.record(z.string(), z.string()),
  lastUpdated: z.string(),
  updatedBy: z.string().optional(),
  comment: z.string().optional(),
  sequence: z.int().positive(),
  writeId: z.string(),
  deleted: z.literal(true).optional(),
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeSidecar(sidecar: Sidecar): Uint8Array {
  return encoder.encode(JSON.stringify(sidecar));
}

/** The sidecar in `entry`; undefined if there is none or another tool broke it: the value then stands for itself. */
export function parseSidecar(entry: StoredEntry | undefined): Sidecar | undefined {
  if (!entry) return undefined;
  try {
    return sidecarSchema.parse(JSON.parse(decoder.decode(entry.value)));
  } catch {
    return undefined;
  }
}
