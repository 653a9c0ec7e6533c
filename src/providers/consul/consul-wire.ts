import { compareBytes, parseRevision, ProtocolError, type Revision, type StoredEntry } from '../../core/provider.ts';
import { isStorable } from '../local/transaction.ts';

/** One key as Consul holds it. `flags` is an unsigned 64-bit number of the tools that share the store, as text. */
export interface ConsulEntry extends StoredEntry {
  readonly flags: string;
}

/** One operation of `/v1/txn`. */
export interface ConsulOperation {
  readonly verb: 'set' | 'cas' | 'delete' | 'get' | 'check-index' | 'check-not-exists';
  readonly key: string;
  readonly value?: Uint8Array;
  readonly index?: Revision;
  readonly flags?: string;
}

const NO_VALUE = new Uint8Array(0);

// A bare quote before the colon ends a field's name: within a text it would be escaped. So these find fields, never what is stored.
const LARGE_FLAGS = /"Flags":\s*\d{16}/;
const FLAGS_NUMBER = /"Flags":\s*(\d+)/g;
const FLAGS_TEXT = /"Flags":"(\d+)"/g;

/**
 * Parses a JSON answer of Consul; flags that may exceed 2^53 become text.
 * @throws {ProtocolError} it is no JSON.
 */
export function decodeBody(body: Uint8Array): unknown {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  try {
    return JSON.parse(LARGE_FLAGS.test(text) ? text.replace(FLAGS_NUMBER, '"Flags":"$1"') : text);
  } catch (error) {
    // Not its text, which may hold values.
    const { name } = error as Error;
    throw new ProtocolError(`Consul answered with ${body.byteLength} bytes that are no JSON (${name}); is this a Consul agent?`);
  }
}

/** The body of a transaction, its bytes as they are sent. */
export function encodeOperations(operations: readonly ConsulOperation[]): Buffer {
  const body = operations.map(({ verb, key, value, index, flags }) => ({
    KV: {
      Verb: verb,
      Key: key,
      ...(value && { Value: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }),
      ...(index !== undefined && { Index: index }),
      ...(flags !== undefined && flags !== '0' && { Flags: flags }),
    },
  }));
  return Buffer.from(JSON.stringify(body).replace(FLAGS_TEXT, '"Flags":$1'));
}

/**
 * An entry of a list, a read or a transaction's results.
 * @throws {ProtocolError} it is none.
 */
export function parseEntry(raw: unknown): ConsulEntry {
  if (typeof raw !== 'object' || raw === null || !('Key' in raw) || typeof raw.Key !== 'string') {
    throw new ProtocolError('Consul answered with what is no entry; is this a Consul agent?');
  }
  const { Key: key, Value, Flags, CreateIndex, ModifyIndex } = raw as Readonly<Record<string, unknown>> & { readonly Key: string };
  return {
    key,
    value: typeof Value === 'string' ? Buffer.from(Value, 'base64') : NO_VALUE,
    revision: parseRevision(ModifyIndex),
    createdRevision: parseRevision(CreateIndex),
    flags: typeof Flags === 'string' || typeof Flags === 'number' ? String(Flags) : '0',
  };
}

/**
 * The entries of a list under `prefix`, in byte order. Keys that JSON cannot tell apart are left out: Consul stores bytes that are not UTF-8
 * under a key and shows U+FFFD in their place.
 */
export function parseEntries(raw: unknown, prefix: string): ConsulEntry[] {
  if (raw === undefined || raw === null) return [];
  if (!Array.isArray(raw)) throw new ProtocolError('Consul answered a list with what is no list');
  const entries = raw.map(parseEntry).filter(({ key }) => key.startsWith(prefix) && isRepresentable(key));
  return entries.sort((a, b) => compareBytes(a.key, b.key));
}

/** True if a stored key is shown as it is. */
export function isRepresentable(key: string): boolean {
  return isStorable(key) && !key.includes('\ufffd');
}

/** `X-Consul-Index`. Never 0: an index of 0 would not block. */
export function parseIndex(header: unknown): Revision {
  return Math.max(1, parseRevision(header)) as Revision;
}
