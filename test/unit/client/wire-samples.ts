import type { ConfigChangeEvent, ConfigItem, JsonValue } from '../../../src/core/item.ts';

/** Items and changes as a server sends them. */
export function item(key: string, value: JsonValue, version: number, more: Partial<ConfigItem> = {}): ConfigItem {
  return {
    key,
    value,
    version,
    etag: `e-${version}`,
    lastUpdated: '2026-01-01T00:00:00.000Z',
    metadata: {},
    contentType: typeof value === 'string' ? 'text/plain' : 'application/json',
    createdVersion: version,
    ...more,
  };
}

export function created(key: string, newValue: JsonValue, version: number): ConfigChangeEvent {
  return change('created', key, newValue, version);
}

export function updated(key: string, newValue: JsonValue, version: number): ConfigChangeEvent {
  return change('updated', key, newValue, version);
}

export function deleted(key: string, version: number): ConfigChangeEvent {
  return change('deleted', key, null, version);
}

function change(type: ConfigChangeEvent['type'], key: string, newValue: JsonValue, version: number): ConfigChangeEvent {
  const contentType = typeof newValue === 'string' ? 'text/plain' : 'application/json';
  return { type, key, newValue, version, timestamp: '2026-01-01T00:00:00.000Z', metadata: {}, contentType };
}
