import type { Api } from '../client/api.ts';
import { sliceJson } from '../client/json-slices.ts';
import { backoffMs } from '../core/backoff.ts';
import { BYTES_TYPE, JSON_TYPE } from '../core/content.ts';
import { isAttuneError, UnavailableError } from '../core/errors.ts';
import type { ConfigValue } from './config-value.ts';
import { pause, type Pause } from './pause.ts';

/** An item of a snapshot, with its value as it is stored. */
export interface StoredItem {
  readonly value: ConfigValue;
  readonly contentType: string;
  readonly version: number;
  /** True for bytes that are not UTF-8; the value is their base64. */
  readonly isBytes: boolean;
}

export interface Snapshot {
  /** By key, in byte order. */
  readonly items: ReadonlyMap<string, StoredItem>;
  /** Continue from here. */
  readonly cursor: string;
}

/** Everything under a prefix (`''`: everything), or one key. */
export type Scope = { readonly prefix: string } | { readonly key: string };

const ATTEMPTS = 5;

/**
 * What is in `scope`, as of one revision. Taken from the watch stream: pages of a list may be of different revisions.
 * @throws {AttuneError} UNAVAILABLE after five broken attempts; what else the server answers, at once.
 */
export async function takeSnapshot(api: Api, scope: Scope, signal: AbortSignal, wait: Pause = pause): Promise<Snapshot> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readSnapshot(api, scope, signal);
    } catch (error) {
      // A server that was never reached will not be in a second either; one that breaks off may be restarting.
      if (!isAttuneError(error, 'UNAVAILABLE') || error.details['interrupted'] !== true || attempt === ATTEMPTS) throw error;
      await wait(backoffMs(attempt), signal);
    }
  }
}

async function readSnapshot(api: Api, scope: Scope, signal: AbortSignal): Promise<Snapshot> {
  const items = new Map<string, StoredItem>();
  let isOpen = false;
  const selection = 'key' in scope ? { keys: [scope.key] } : scope.prefix === '' ? {} : { prefixes: [scope.prefix] };
  const frames = api.openStream({ ...selection, snapshot: true, signal, onOpen: () => (isOpen = true) });
  try {
    for await (const { event, id, data } of frames) {
      if (event === 'reset') items.clear();
      else if (event === 'snapshot') for (const [key, item] of itemsOf(data)) items.set(key, item);
      else if (event === 'synced' && id !== undefined) return { items, cursor: id };
    }
  } catch (error) {
    if (!isOpen || !isAttuneError(error, 'UNAVAILABLE')) throw error;
    throw interrupted(error.message, error);
  }
  signal.throwIfAborted();
  throw interrupted('the server ended the stream before the snapshot was complete; it is starting, stopping or overloaded');
}

const interrupted = (message: string, cause?: unknown): UnavailableError =>
  new UnavailableError(message, { cause, details: { interrupted: true } });

/** The items in a `snapshot` frame. */
function* itemsOf(data: string): Generator<readonly [string, StoredItem]> {
  const texts = sliceJson(data).get('items') ?? '[]';
  for (const text of sliceJson(texts).values()) yield itemOf(text);
}

function itemOf(text: string): readonly [string, StoredItem] {
  const members = sliceJson(text);
  const member = (name: string): unknown => JSON.parse(members.get(name) ?? 'null') as unknown;
  const contentType = String(member('contentType'));
  const valueText = members.get('value') ?? 'null';
  const value: ConfigValue =
    contentType === JSON_TYPE ? { kind: 'json', text: valueText } : { kind: 'text', text: String(member('value')) };
  return [String(member('key')), { value, contentType, version: Number(member('version')), isBytes: contentType === BYTES_TYPE }];
}
