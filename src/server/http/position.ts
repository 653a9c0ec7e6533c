import { tryParseCursor, type Cursor } from '../../core/cursor.ts';
import { AttuneError, isAttuneError } from '../../core/errors.ts';
import { quoteForMessage } from '../../core/key.ts';
import { parseRevision, type Revision } from '../../core/revision.ts';
import type { ResetReason } from '../../core/item.ts';
import type { ConfigService } from '../config-service.ts';
import type { Exchange } from './exchange.ts';

const WAIT_MS = 3_000;

/**
 * Waits until this node may answer a reader that has seen `minRevision` (a cursor or a bare number) or asks for strong consistency: never an
 * older state.
 * @throws {AttuneError} CURSOR_GONE for a cursor that is foreign or above the store's head; NOT_READY for a bare number above it, or if
 * this node does not catch up within 3 s; INVALID_ARGUMENT.
 */
export async function awaitPosition(
  exchange: Exchange,
  wanted: { readonly minRevision?: string | undefined; readonly consistency?: string | undefined },
): Promise<void> {
  const { service } = exchange;
  const { minRevision, consistency } = wanted;
  if (consistency !== undefined && consistency !== 'strong' && consistency !== 'cached') {
    throw new AttuneError('INVALID_ARGUMENT', `consistency=${quoteForMessage(consistency)} is neither strong nor cached`);
  }
  if (minRevision !== undefined) await awaitMinimum(exchange, minRevision);
  if (consistency === 'strong') {
    const head = await service.head({ deadlineMs: WAIT_MS, signal: exchange.signal });
    await catchUp(exchange, head).catch((error: unknown) => {
      // The store was replaced and listed anew meanwhile: what is served now is younger than the head asked for.
      if (!isAttuneError(error, 'CURSOR_GONE')) throw error;
    });
  }
}

async function awaitMinimum(exchange: Exchange, text: string): Promise<void> {
  const { service, signal } = exchange;
  const cursor = tryParseCursor(text);
  if (!cursor && !/^\d{1,15}$/.test(text)) {
    throw new AttuneError('INVALID_ARGUMENT', `minRevision=${quoteForMessage(text)} is neither a cursor nor a revision number`);
  }
  const revision = cursor?.revision ?? parseRevision(text);
  if (revision > service.revision) {
    const head = await service.head({ deadlineMs: WAIT_MS, signal });
    if (head >= revision) await catchUp(exchange, revision);
    else if (!cursor) throw new AttuneError('NOT_READY', `the store is at revision ${head}, below the ${revision} asked for`);
  }
  // Only now: what lies ahead of a node may be of an epoch that it has not seen yet.
  if (cursor) requireCovered(service, cursor);
}

/** @throws {AttuneError} CURSOR_GONE if `cursor` is not of this store's history. */
function requireCovered(service: ConfigService, cursor: Cursor): void {
  const located = service.locate(cursor);
  if ('reset' in located && located.reset !== 'compacted') throw cursorGone(service, located.reset);
}

/** The error for a position that cannot be resumed from; it carries the cursor to go on from. */
export function cursorGone(service: ConfigService, reason: ResetReason): AttuneError {
  const why = {
    compacted: 'what came after it is no longer kept',
    epoch: 'it is of another history: the store was restored, replaced or wiped since',
    ahead: 'the store has not reached it: it was rolled back',
    slow: 'it fell out of the window',
  }[reason];
  return new AttuneError('CURSOR_GONE', `this position cannot be resumed from: ${why}; read the state again and go on from its cursor`, {
    details: { reason, cursor: service.cursor },
  });
}

/**
 * Where a poll may start from `cursor`, after this node had its chance to catch up.
 * @throws {AttuneError} CURSOR_GONE, NOT_READY
 */
export async function locateForPoll(exchange: Exchange, cursor: Cursor): Promise<Revision> {
  const { service } = exchange;
  // A signal is made only for who has to wait: thousands of polls may be held.
  const located =
    cursor.revision <= service.revision
      ? service.locate(cursor)
      : await orNotReady(service, service.locateCaughtUp(cursor, { signal: exchange.signal, deadlineMs: waitMsOf(exchange) }));
  if ('reset' in located) throw cursorGone(service, located.reset);
  return located.position;
}

/** HEAD never waits. */
const waitMsOf = ({ request }: Exchange): number => (request.method === 'HEAD' ? 0 : WAIT_MS);

async function catchUp(exchange: Exchange, revision: Revision): Promise<void> {
  await orNotReady(exchange.service, exchange.service.reached(revision, { deadlineMs: waitMsOf(exchange), signal: exchange.signal }));
}

/** A node that is behind is not ready for this reader; another one may be. */
async function orNotReady<T>(service: ConfigService, waiting: Promise<T>): Promise<T> {
  try {
    return await waiting;
  } catch (error) {
    if (isAttuneError(error, 'CURSOR_GONE')) throw cursorGone(service, 'epoch');
    if (isAttuneError(error, 'DEADLINE_EXCEEDED')) throw new AttuneError('NOT_READY', error.message, { cause: error });
    throw error;
  }
}
