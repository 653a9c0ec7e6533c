import { ProtocolError } from '../core/errors.ts';
import type { ChangeType, ConfigChangeEvent, ConfigItem } from '../core/item.ts';
import { parseRevision, type Revision } from '../core/revision.ts';

/** Parsers of what a server sends: what the client relies on is checked, members it does not know are let pass. All throw {@link ProtocolError}. */

export type WireObject = Readonly<Record<string, unknown>>;

const CHANGE_TYPES: ReadonlySet<unknown> = new Set<ChangeType>(['created', 'updated', 'deleted']);

export function parseJsonObject(text: string, what: string): WireObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Without the runtime's words, which quote the text.
    throw new ProtocolError(`${what} is not JSON (${text.length} characters)`);
  }
  return expectObject(value, what);
}

export function expectObject(value: unknown, what: string): WireObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ProtocolError(`${what} is not an object`);
  return value as WireObject;
}

export function expectList(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new ProtocolError(`${what} is not a list`);
  return value;
}

export function expectString(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new ProtocolError(`${what} is not a string`);
  return value;
}

export function expectRevision(value: unknown, what: string): Revision {
  if (typeof value !== 'number') throw new ProtocolError(`${what} is not a number`);
  return parseRevision(value);
}

export function parseItem(value: unknown, what = 'the item'): ConfigItem {
  const item = expectObject(value, what);
  const key = expectString(item['key'], `${what}'s key`);
  if (item['value'] === undefined) throw new ProtocolError(`${what} '${key}' has no value`);
  expectRevision(item['version'], `the version of '${key}'`);
  expectRevision(item['createdVersion'], `the createdVersion of '${key}'`);
  expectString(item['etag'], `the etag of '${key}'`);
  expectString(item['contentType'], `the contentType of '${key}'`);
  expectObject(item['metadata'], `the metadata of '${key}'`);
  return item as ConfigItem;
}

export function parseChange(value: unknown, what = 'the change'): ConfigChangeEvent {
  const change = expectObject(value, what);
  const key = expectString(change['key'], `${what}'s key`);
  if (!CHANGE_TYPES.has(change['type']))
    throw new ProtocolError(`the change of '${key}' is of unknown type ${JSON.stringify(change['type'])}`);
  if (change['newValue'] === undefined) throw new ProtocolError(`the change of '${key}' has no newValue`);
  expectRevision(change['version'], `the version of the change of '${key}'`);
  expectString(change['contentType'], `the contentType of '${key}'`);
  expectObject(change['metadata'], `the metadata of '${key}'`);
  return change as ConfigChangeEvent;
}
