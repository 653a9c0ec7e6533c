import { AttuneError, InvalidArgumentError } from '../../core/errors.ts';
import type { ConfigItem } from '../../core/item.ts';
import { quoteForMessage } from '../../core/key.ts';

/** What a write asks of the item that is there; every part given must hold. */
export interface WriteCondition {
  /** 0: no item. */
  readonly ifVersion?: number;
  /** One of these entity tags, without quotes; `*`: any item. */
  readonly ifMatch?: readonly string[] | '*';
}

/** @throws {InvalidArgumentError} a condition that cannot be read: it is never ignored. */
export function parseCondition(query: URLSearchParams, headers: Headers): WriteCondition {
  const ifVersion = query.get('ifVersion');
  const ifMatch = headers.get('if-match');
  if (ifVersion !== null && !/^\d{1,15}$/.test(ifVersion)) {
    throw new InvalidArgumentError(`ifVersion=${quoteForMessage(ifVersion)} is not an integer from 0 to ${Number.MAX_SAFE_INTEGER}`);
  }
  if (headers.has('if-none-match')) throw new InvalidArgumentError('If-None-Match: send ifVersion=0 to create only');
  return {
    ...(ifVersion !== null && { ifVersion: Number(ifVersion) }),
    ...(ifMatch !== null && { ifMatch: ifMatch === '*' ? ifMatch : parseTags(ifMatch) }),
  };
}

function parseTags(text: string): readonly string[] {
  const tags = text.split(',').map((tag) => /^\s*"([^"]*)"\s*$/.exec(tag)?.[1]);
  return tags.map((tag) => {
    if (tag === undefined)
      throw new InvalidArgumentError(`If-Match: ${quoteForMessage(text)} is not * or a list of entity tags in double quotes`);
    return tag;
  });
}

/** The error that tells which part of `condition` does not hold; undefined if all do. */
export function unmetCondition(key: string, { ifVersion, ifMatch }: WriteCondition, item: ConfigItem | undefined): AttuneError | undefined {
  const sent =
    ifVersion !== undefined && ifVersion !== (item?.version ?? 0)
      ? ifVersion === 0
        ? 'you asked for no such key'
        : `you sent ${ifVersion}`
      : ifMatch !== undefined && !(item && (ifMatch === '*' || ifMatch.includes(item.etag)))
        ? ifMatch === '*'
          ? 'you asked for an existing key'
          : `you sent ${ifMatch.map((tag) => `"${tag}"`).join(', ')}`
        : undefined;
  if (sent === undefined) return undefined;
  return new AttuneError('CONFLICT', `${key} ${item ? `is at version ${item.version}` : 'does not exist'}, ${sent}`, {
    details: { current: item ? { version: item.version, etag: item.etag } : null },
  });
}
