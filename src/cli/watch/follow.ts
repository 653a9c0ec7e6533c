import type { Api, Selection } from '../../client/api.ts';
import { backoffMs } from '../../core/backoff.ts';
import { isAttuneError } from '../../core/errors.ts';
import { parseJson } from '../formats/json.ts';
import { isTreeArray, isTreeObject, NumberToken, type Tree, type TreeObject } from '../formats/tree.ts';
import { pause, type Pause } from '../pause.ts';

/** What a watch tells: a change; an item of the state, where that was asked for or had to be read anew; or that changes may have been missed. */
export type WatchEvent =
  | { readonly kind: 'change'; readonly change: TreeObject }
  | { readonly kind: 'item'; readonly item: TreeObject }
  | { readonly kind: 'reset'; readonly reason: string };

export interface FollowOptions {
  readonly selection: Selection;
  readonly since?: string | undefined;
  readonly snapshot: boolean;
  readonly signal: AbortSignal;
  /** Called once: from now on no change is missed. */
  readonly onLive?: () => void;
  readonly pause?: Pause;
  /** Says to the person what is going on. */
  readonly tell: (line: string) => void;
}

/** A connection that lasted this long was a good one: the next break is waited for as if it were the first. */
const GOOD_AFTER_MS = 60_000;

/**
 * Changes in order, for ever: reconnects by itself and resumes with its cursor. After a `reset` event the whole state follows as `item` events, all of one
 * revision, then changes again.
 * @throws {AttuneError} what the server refuses; UNAVAILABLE only if the very first connection fails.
 * @throws the reason of `signal`.
 */
export async function* followChanges(api: Api, options: FollowOptions): AsyncGenerator<WatchEvent, never, undefined> {
  const { selection, signal, tell } = options;
  let since = options.since;
  let snapshot = options.snapshot;
  let isLost = false;
  let wasOpen = false;
  let isLive = false;
  for (let attempt = 0; ; attempt++) {
    const connectedAt = Date.now();
    let reason = 'the server ended the stream';
    // What the server asks for, so that its clients do not all come back at once.
    let askedMs = 0;
    const onOpen = (): void => {
      if (isLost) tell('connected again');
      isLost = false;
      wasOpen = true;
    };
    // Items are held back until their snapshot is complete: it begins anew if it is cut.
    let items: WatchEvent[] = [];
    try {
      for await (const frame of api.openStream({ ...selection, since, snapshot, signal, onOpen, onRetry: (ms) => (askedMs = ms) })) {
        if (frame.event === 'snapshot') items.push(...listOf(frame.data, 'items').map((item) => ({ kind: 'item', item }) as const));
        else if (frame.event === 'reset') items = [{ kind: 'reset', reason: textOf(frame.data, 'reason') }];
        else if (frame.event === 'synced') {
          yield* items.splice(0);
          if (!isLive) options.onLive?.();
          isLive = true;
        } else if (frame.event === 'change') for (const change of listOf(frame.data, 'changes')) yield { kind: 'change', change };
        else if (frame.event === 'goaway') {
          reason = 'the server asks to come back';
          askedMs = numberOf(frame.data, 'retryMs') ?? askedMs;
        } else if (frame.event === 'status' && textOf(frame.data, 'state') === 'stale')
          tell('the server has lost its store; what it knows may be old');
        // Only after what it covers was handed on, so that a break here repeats rather than loses.
        if (frame.id !== undefined) {
          since = frame.id;
          snapshot = false;
        }
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!wasOpen || !isTransient(error)) throw error;
      reason = (error as Error).message;
    }
    signal.throwIfAborted();
    if (Date.now() - connectedAt > GOOD_AFTER_MS) attempt = 0;
    if (!isLost) tell(`${reason}; reconnecting`);
    isLost = true;
    await (options.pause ?? pause)(Math.max(askedMs, backoffMs(attempt)), signal);
  }
}

const isTransient = (error: unknown): boolean => isAttuneError(error) && (error.retryable || error.code === 'DEADLINE_EXCEEDED');

function listOf(data: string, name: string): readonly TreeObject[] {
  const list = memberOf(data, name);
  return isTreeArray(list) ? list.filter(isTreeObject) : [];
}

function textOf(data: string, name: string): string {
  const member = memberOf(data, name);
  return typeof member === 'string' ? member : '';
}

function numberOf(data: string, name: string): number | undefined {
  const member = memberOf(data, name);
  return member instanceof NumberToken ? Number(member.token) : undefined;
}

function memberOf(data: string, name: string): Tree {
  const tree = parseJson(data, 'frame');
  return isTreeObject(tree) ? (tree.get(name) ?? null) : null;
}
