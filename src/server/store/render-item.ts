import type { ConfigKey } from '../../core/key.ts';
import { singleLineJson } from '../../core/json-text.ts';
import type { ChangeType } from '../../core/item.ts';
import type { Revision } from '../../core/revision.ts';
import type { ItemState } from './item-state.ts';

/** The value as JSON, on one line: stored JSON text verbatim, text and base64 as a string. */
export function renderValue(item: ItemState): string {
  return item.kind === 'json' ? singleLineJson(item.text) : JSON.stringify(item.text);
}

/** `ConfigItem` as JSON text. The value is spliced in as it is stored, never parsed and written again. */
export function renderItem(item: ItemState, etag: string): string {
  return (
    `{"key":${JSON.stringify(item.key)},"value":${renderValue(item)},"version":${item.version},"etag":${JSON.stringify(etag)},` +
    `"lastUpdated":${JSON.stringify(item.lastUpdated)},"metadata":${JSON.stringify(item.metadata)},"contentType":${JSON.stringify(item.contentType)},` +
    `"createdVersion":${item.createdVersion}${renderUpdatedBy(item.updatedBy)}}`
  );
}

/** What `ConfigChangeEvent` is rendered from. */
export interface ChangeState {
  readonly type: ChangeType;
  readonly key: ConfigKey;
  readonly version: Revision;
  readonly before: ItemState | undefined;
  readonly after: ItemState | undefined;
  readonly timestamp: string | null;
  readonly updatedBy?: string | undefined;
  /** Whose metadata and content type are told. */
  readonly described: Pick<ItemState, 'metadata' | 'contentType'> | undefined;
}

/** `ConfigChangeEvent` as JSON text. */
export function renderChange(change: ChangeState): string {
  const { before, after, described } = change;
  const oldValue = change.type === 'created' ? '"oldValue":null,' : before ? `"oldValue":${renderValue(before)},` : '';
  return (
    `{"type":"${change.type}","key":${JSON.stringify(change.key)},${oldValue}"newValue":${after ? renderValue(after) : 'null'},` +
    `"version":${change.version},"timestamp":${JSON.stringify(change.timestamp)},"metadata":${JSON.stringify(described?.metadata ?? {})},` +
    `"contentType":${JSON.stringify(described?.contentType ?? 'application/json')}${renderUpdatedBy(change.updatedBy)}}`
  );
}

const renderUpdatedBy = (updatedBy: string | undefined): string =>
  updatedBy === undefined ? '' : `,"updatedBy":${JSON.stringify(updatedBy)}`;
