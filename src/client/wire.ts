import { ProtocolError } from '../core/errors.ts';
import type { ConfigChangeEvent, ConfigItem, JsonValue } from '../core/item.ts';
import type { Revision } from '../core/revision.ts';

/** Parsers of what a server sends: what the client relies on is checked, members it does not know are let pass. All throw {@link ProtocolError}. */

export type WireObject = Readonly<Record<string, unknown>>;

/** What a member of an answer can be, in the words of the messages. */
interface Kinds {
  readonly 'a string': string;
  readonly 'an object': WireObject;
  readonly 'a list': readonly unknown[];
  readonly 'a revision': Revision;
  /** In milliseconds. */
  readonly 'a time': number;
  readonly 'a JSON value': JsonValue;
  readonly 'a type of change': ConfigChangeEvent['type'];
}

type Kind = keyof Kinds;

const IS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  'a string': (value) => typeof value === 'string',
  'an object': (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'a list': Array.isArray,
  'a revision': (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  'a time': (value) => typeof value === 'number' && value >= 0,
  'a JSON value': (value) => value !== undefined,
  'a type of change': (value) => value === 'created' || value === 'updated' || value === 'deleted',
};

const CHANGE = {
  key: 'a string',
  type: 'a type of change',
  newValue: 'a JSON value',
  version: 'a revision',
  contentType: 'a string',
  metadata: 'an object',
} as const;
const ITEM = {
  key: 'a string',
  value: 'a JSON value',
  version: 'a revision',
  createdVersion: 'a revision',
  etag: 'a string',
  contentType: 'a string',
  metadata: 'an object',
} as const;

export function parseJsonObject(text: string, what: string): WireObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Without the runtime's words, which quote the text.
    throw new ProtocolError(`${what} is not JSON (${text.length} characters)`);
  }
  return expectKind(value, 'an object', what);
}

export function expectKind<K extends Kind>(value: unknown, kind: K, what: string): Kinds[K] {
  if (IS[kind](value)) return value as Kinds[K];
  throw new ProtocolError(`${what} is not ${kind}`);
}

/** `value` as an object with these members. */
export function expectMembers<M extends Readonly<Record<string, Kind>>>(
  value: unknown,
  members: M,
  what: string,
): WireObject & { readonly [N in keyof M]: Kinds[M[N]] } {
  const object = expectKind(value, 'an object', what);
  for (const name in members) {
    const kind = members[name] as Kind;
    if (!IS[kind](object[name]))
      throw new ProtocolError(`${name} of ${what}${typeof object['key'] === 'string' ? ` '${object['key']}'` : ''} is not ${kind}`);
  }
  return object as WireObject & { readonly [N in keyof M]: Kinds[M[N]] };
}

export function parseItem(value: unknown): ConfigItem {
  return expectMembers(value, ITEM, 'the item') as WireObject as ConfigItem;
}

/** A change as a server tells it. */
export type WireChange = ConfigChangeEvent & {
  /** True if versions of the key before this one may be missing: the server could not see them. */
  readonly gap?: true;
};

/** The changes of an answer or a frame; what it says of all of them is said of each. */
export function parseChanges({ changes, gap }: WireObject): readonly WireChange[] {
  const parsed = expectKind(changes, 'a list', 'changes').map(
    (change) => expectMembers(change, CHANGE, 'the change') as WireObject as ConfigChangeEvent,
  );
  return gap === true ? parsed.map((change) => ({ ...change, gap })) : parsed;
}
