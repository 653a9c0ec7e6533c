import { ProtocolError } from '../core/errors.ts';
import type { ConfigChangeEvent, ConfigItem } from '../core/item.ts';
import type { Revision } from '../core/revision.ts';
import type { StreamFrame } from './event-stream.ts';
import { expectList, expectRevision, expectString, parseChange, parseItem, parseJsonObject } from './wire.ts';

/** A frame of `/api/v1/watch`, understood. `cursor` stands where resuming is safe. */
export type ServerFrame =
  | { readonly kind: 'snapshot'; readonly revision: Revision; readonly items: readonly ConfigItem[] }
  | { readonly kind: 'synced'; readonly cursor: string; readonly revision: Revision; readonly count: number }
  | { readonly kind: 'change'; readonly cursor: string; readonly revision: Revision; readonly changes: readonly ConfigChangeEvent[] }
  | { readonly kind: 'bookmark'; readonly cursor: string; readonly revision: Revision }
  | { readonly kind: 'reset'; readonly reason: string }
  | { readonly kind: 'status'; readonly state: 'stale' | 'live'; readonly since: number | undefined }
  | { readonly kind: 'goaway'; readonly retryMs: number };

/**
 * Parses a frame; undefined for an event of a name this client does not know, which says nothing about values.
 * @throws {ProtocolError} anything of a known name that does not parse. It must not be skipped: it may hold a change.
 */
export function parseFrame({ event, id, data }: StreamFrame): ServerFrame | undefined {
  const body = () => parseJsonObject(data, `the data of a '${event}' frame`);
  switch (event) {
    case 'snapshot': {
      const { revision, items } = body();
      return {
        kind: 'snapshot',
        revision: expectRevision(revision, "the snapshot's revision"),
        items: expectList(items, "the snapshot's items").map((item) => parseItem(item)),
      };
    }
    case 'synced': {
      const { revision, count } = body();
      return {
        kind: 'synced',
        cursor: expectCursor(id, event),
        revision: expectRevision(revision, 'the revision'),
        count: expectRevision(count, 'the count'),
      };
    }
    case 'change': {
      const { revision, changes } = body();
      return {
        kind: 'change',
        cursor: expectCursor(id, event),
        revision: expectRevision(revision, 'the revision'),
        changes: expectList(changes, 'changes').map((change) => parseChange(change)),
      };
    }
    case 'bookmark':
      return { kind: 'bookmark', cursor: expectCursor(id, event), revision: expectRevision(body()['revision'], 'the revision') };
    case 'reset':
      return { kind: 'reset', reason: expectString(body()['reason'], 'the reason') };
    case 'status': {
      const { state, since } = body();
      if (state !== 'stale' && state !== 'live')
        throw new ProtocolError(`the server's state is neither stale nor live: ${JSON.stringify(state)}`);
      return { kind: 'status', state, since: parseTime(since) };
    }
    case 'goaway': {
      const { retryMs } = body();
      if (typeof retryMs !== 'number' || !(retryMs >= 0)) throw new ProtocolError(`retryMs is no time: ${JSON.stringify(retryMs)}`);
      return { kind: 'goaway', retryMs };
    }
    default:
      return undefined;
  }
}

/** A cursor is opaque, but it travels back as a header. */
export function expectCursor(id: unknown, event: string): string {
  if (typeof id !== 'string' || !/^[\u0021-\u007e]{1,256}$/.test(id))
    throw new ProtocolError(`a '${event}' frame has no id to resume after`);
  return id;
}

function parseTime(since: unknown): number | undefined {
  const time = typeof since === 'string' ? Date.parse(since) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
