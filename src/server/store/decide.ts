import { AttuneError, ValueTooLargeError } from '../../core/errors.ts';
import { BYTES_TYPE, JSON_TYPE } from '../../core/content.ts';
import type { ConfigKey } from '../../core/key.ts';
import type { ChangeType, Metadata } from '../../core/item.ts';
import { canonicalJson } from '../../core/json-text.ts';
import type { Operation, StoredEntry, Transaction } from '../../core/provider.ts';
import { unmetCondition, type WriteCondition } from './condition.ts';
import { encodeHistoryRecord } from './history-record.ts';
import { readItem, type ItemState } from './item-state.ts';
import type { Layout } from './layout.ts';
import { encodeSidecar, parseSidecar, type Sidecar } from './sidecar.ts';
import { resolveContent, type WriteBody } from './write-body.ts';

/** A change a user asks for. */
export type WriteRequest = { readonly key: ConfigKey; readonly condition: WriteCondition; readonly updatedBy?: string | undefined } & (
  | { readonly type: 'put'; readonly body: WriteBody }
  | { readonly type: 'delete' }
);

/** What the store holds of one key, as the mirror guesses or a linearizable read proves. */
export interface KeyState {
  readonly value: StoredEntry | undefined;
  readonly sidecar: StoredEntry | undefined;
  /** Sequence of the last record in history where it was looked up, because the sidecar does not tell. */
  readonly lastSequence?: number;
}

/** What identifies a write and when it was made. */
export interface WriteStamp {
  readonly writeId: string;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
}

export interface WriteLimits {
  readonly maxValueBytes: number;
  readonly maxTransactionBytes: number;
}

export type Decision =
  | {
      readonly action: 'commit';
      readonly type: ChangeType;
      readonly transaction: Transaction;
      readonly historyKey: string;
      readonly sidecar: Sidecar;
      readonly value: Uint8Array | undefined;
    }
  /** The item already is what was asked for. */
  | { readonly action: 'unchanged'; readonly item: ItemState }
  | { readonly action: 'refuse'; readonly error: AttuneError };

export interface DecideContext {
  readonly layout: Layout;
  readonly limits: WriteLimits;
  readonly etagOf: (item: ItemState) => string;
  readonly stamp: WriteStamp;
}

const encoder = new TextEncoder();

/**
 * What `request` does to `state`, without doing it: preconditions first, then "nothing changed", then a transaction whose checks prove that
 * the state was the one decided on.
 * @throws {AttuneError} INVALID_BODY; {@link ValueTooLargeError}.
 */
export function decide(request: WriteRequest, state: KeyState, context: DecideContext): Decision {
  const { layout, etagOf } = context;
  const item = state.value && readItem(request.key, state.value, state.sidecar);
  const unmet = unmetCondition(
    request.key,
    request.condition,
    item && { version: item.version, etag: etagOf(item), updatedBy: item.updatedBy },
  );
  if (unmet) return { action: 'refuse', error: unmet };
  const previous = parseSidecar(state.sidecar);
  const sequence = Math.max(previous?.sequence ?? 0, state.lastSequence ?? 0) + 1;
  const common = { lastUpdated: context.stamp.timestamp, writeId: context.stamp.writeId, sequence, updatedBy: request.updatedBy };
  if (request.type === 'delete') {
    if (!item)
      return { action: 'refuse', error: new AttuneError('NOT_FOUND', `there is no key ${request.key}`, { details: { key: request.key } }) };
    const tombstone: Sidecar = { ...common, contentType: item.contentType, metadata: item.metadata, deleted: true };
    return commitOf('deleted', request.key, state, tombstone, undefined, item, layout, context.limits);
  }
  const content = resolveContent(request.body, item);
  const metadata = (request.body.form === 'envelope' ? request.body.metadata : undefined) ?? item?.metadata ?? {};
  if (item && item.contentType === content.contentType && sameMetadata(item.metadata, metadata) && sameValue(item, content.text)) {
    return { action: 'unchanged', item };
  }
  const value = content.text === undefined ? (state.value?.value ?? new Uint8Array()) : encoder.encode(content.text);
  if (value.byteLength > context.limits.maxValueBytes) {
    throw new ValueTooLargeError(`the value has ${value.byteLength} bytes, at most ${context.limits.maxValueBytes} are allowed`, {
      details: { bytes: value.byteLength, maxValueBytes: context.limits.maxValueBytes },
    });
  }
  const sidecar: Sidecar = {
    ...common,
    contentType: content.contentType,
    metadata,
    comment: request.body.form === 'envelope' ? request.body.comment : undefined,
  };
  return commitOf(item ? 'updated' : 'created', request.key, state, sidecar, value, item, layout, context.limits);
}

function commitOf(
  type: ChangeType,
  key: ConfigKey,
  state: KeyState,
  sidecar: Sidecar,
  value: Uint8Array | undefined,
  before: ItemState | undefined,
  layout: Layout,
  limits: WriteLimits,
): Decision {
  const [valueKey, sidecarKey, historyKey] = [layout.valueKey(key), layout.sidecarKey(key), layout.historyKey(key, sidecar.sequence)];
  const isBytes = sidecar.contentType === BYTES_TYPE;
  const record = encodeHistoryRecord({
    type,
    key,
    sequence: sidecar.sequence,
    writeId: sidecar.writeId,
    previousVersion: before?.version,
    timestamp: sidecar.lastUpdated,
    updatedBy: sidecar.updatedBy,
    comment: sidecar.comment,
    contentType: sidecar.contentType,
    metadata: sidecar.metadata,
    value: value && Buffer.from(value).toString(isBytes ? 'base64' : 'utf8'),
    encoding: value && isBytes ? 'base64' : undefined,
  });
  const operations: Operation[] = [
    value ? { type: 'put', key: valueKey, value } : { type: 'delete', key: valueKey },
    { type: 'put', key: sidecarKey, value: encodeSidecar(sidecar) },
    { type: 'put', key: historyKey, value: record },
  ];
  const bytes = operations.reduce(
    (sum, operation) => sum + operation.key.length * 3 + (operation.type === 'put' ? operation.value.byteLength : 0),
    0,
  );
  if (bytes > limits.maxTransactionBytes) {
    throw new ValueTooLargeError(
      `the change takes ${bytes} bytes in the store, at most ${limits.maxTransactionBytes} fit one transaction`,
      {
        details: { bytes, maxTransactionBytes: limits.maxTransactionBytes },
      },
    );
  }
  const checks = [
    { key: valueKey, revision: state.value?.revision ?? null },
    { key: sidecarKey, revision: state.sidecar?.revision ?? null },
    { key: historyKey, revision: null },
  ];
  return { action: 'commit', type, transaction: { checks, operations }, historyKey, sidecar, value };
}

function sameMetadata(a: Metadata, b: Metadata): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}

/** Equal bytes for text, equal canonical form for JSON. `undefined` keeps the value. */
function sameValue(item: ItemState, text: string | undefined): boolean {
  if (text === undefined || text === item.text) return true;
  return item.contentType === JSON_TYPE && canonicalJson(item.text) === canonicalJson(text);
}
