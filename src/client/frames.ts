import { ProtocolError } from '../core/errors.ts';
import type { ConfigItem } from '../core/item.ts';
import type { Revision } from '../core/revision.ts';
import type { StreamFrame } from './event-stream.ts';
import { expectMembers, parseChanges, parseItem, parseJsonObject, type WireChange } from './wire.ts';

/** A frame of `/api/v1/watch`, understood. `cursor` stands where resuming is safe. */
export type ServerFrame =
  | { readonly kind: 'snapshot'; readonly revision: Revision; readonly items: readonly ConfigItem[] }
  | { readonly kind: 'synced'; readonly cursor: string; readonly revision: Revision; readonly count: number }
  | { readonly kind: 'change'; readonly cursor: string; readonly revision: Revision; readonly changes: readonly WireChange[] }
  | { readonly kind: 'bookmark'; readonly cursor: string; readonly revision: Revision }
  | { readonly kind: 'reset'; readonly reason: string }
  | { readonly kind: 'status'; readonly state: 'stale' | 'live'; readonly since: number | undefined }
  | { readonly kind: 'goaway'; readonly retryMs: number };

/**
 * Parses a frame; undefined for an event of a name this client does not know, which says nothing about values.
 * @throws {ProtocolError} anything of a known name that does not parse. It must not be skipped: it may hold a change.
 */
export function parseFrame({ event, id, data }: StreamFrame): ServerFrame | undefined {
  const what = `a '${event}' frame`;
  const read = <M extends Parameters<typeof expectMembers>[1]>(members: M) => expectMembers(parseJsonObject(data, what), members, what);
  const cursor = () => expectCursor(id, what);
  switch (event) {
    case 'snapshot': {
      const { revision, items } = read({ revision: 'a revision', items: 'a list' });
      return { kind: event, revision, items: items.map(parseItem) };
    }
    case 'synced': {
      const { revision, count } = read({ revision: 'a revision', count: 'a revision' });
      return { kind: event, cursor: cursor(), revision, count };
    }
    case 'change': {
      const body = read({ revision: 'a revision' });
      return { kind: event, cursor: cursor(), revision: body.revision, changes: parseChanges(body) };
    }
    case 'bookmark':
      return { kind: event, cursor: cursor(), revision: read({ revision: 'a revision' }).revision };
    case 'reset':
      return { kind: event, reason: read({ reason: 'a string' }).reason };
    case 'status': {
      const { state, since } = read({ state: 'a string' });
      if (state !== 'stale' && state !== 'live') throw new ProtocolError(`${what} is neither stale nor live`);
      const time = typeof since === 'string' ? Date.parse(since) : Number.NaN;
      return { kind: event, state, since: Number.isNaN(time) ? undefined : time };
    }
    case 'goaway':
      return { kind: event, retryMs: read({ retryMs: 'a time' }).retryMs };
    default:
      return undefined;
  }
}

/** A cursor is opaque, but it travels back as a header. */
export function expectCursor(id: unknown, what: string): string {
  if (typeof id !== 'string' || !/^[!-~]{1,256}$/.test(id)) throw new ProtocolError(`${what} has no id to resume after`);
  return id;
}
