import { assertNever } from '../core/assert-never.ts';
import { AttuneError, isAttuneError, ProtocolError, UnavailableError } from '../core/errors.ts';
import type { ConfigItem } from '../core/item.ts';
import type { Revision } from '../core/revision.ts';
import type { ServerFrame } from './frames.ts';
import type { WireChange } from './wire.ts';

/**
 * How a client keeps its copy equal to the server's, as a function from (state, event) to (state, actions): no timer, socket, callback or
 * randomness. {@link SyncLoop} performs the actions.
 *
 * ```text
 *          start              synced
 *   idle ─────────→ syncing ─────────→ live          frames are taken in syncing and live only
 *                    ↑   ↑ ←───────────┘ │
 *              timer │   └──── reset     │ lost, goaway,
 *                    │                   │ a frame out of place
 *                  waiting ←─────────────┘ (from syncing too)          any ─close→ closed
 *
 *   transport:  stream ─{@link SILENT_STREAMS} in a row without a byte→ poll;  poll ─every {@link PROBE_AFTER_MS}→ stream
 * ```
 *
 * Long-polls are told as the frames a stream would have had, so that they change nothing but where the frames come from; the cursor is the
 * same. A position is adopted only with the frame that makes it true: `synced` ends a snapshot, so a cut in the middle of one leaves the old
 * position, and the copy, as they were.
 */
export interface SyncState {
  readonly phase: SyncPhase;
  /** Where to resume; undefined until the first `synced`. */
  readonly position: Position | undefined;
  /** What reads are served from while not live. */
  readonly source: 'none' | 'defaults' | 'file' | 'memory';
  /** Of a kept state that serves: which one. */
  readonly servedRevision: number;
  /** Since when, and why, the copy is not live; undefined while it is. */
  readonly trouble: Trouble | undefined;
  /** Of the connection, or of the next one. */
  readonly transport: 'stream' | 'poll';
  /** Streams in a row that were asked for and brought nothing: something in between holds them back. */
  readonly silentStreams: number;
  /** While polling: when a stream is tried again. */
  readonly probeAt: number;
  /** Connections lost in a row, none of them healthy for {@link HEALTHY_AFTER_MS}. */
  readonly failures: number;
  /** Frames and answers that were not understood, ever. */
  readonly protocolErrors: number;
}

export type SyncPhase =
  | { readonly name: 'idle' }
  | { readonly name: 'syncing'; readonly connection: Connection; readonly snapshot: PartialSnapshot | undefined }
  | { readonly name: 'live'; readonly connection: Connection; readonly since: number }
  | { readonly name: 'waiting' }
  | { readonly name: 'closed' };

export interface Position {
  readonly cursor: string;
  readonly revision: Revision;
}

interface Trouble {
  readonly since: number;
  readonly cause: unknown;
}

interface Connection {
  /** When it first reached `synced`. */
  readonly healthySince: number | undefined;
  /** The server's `retry:`: do not come back sooner. */
  readonly retryMs: number;
  /** The server lost its store and serves from memory itself. */
  readonly nodeTrouble: Trouble | undefined;
}

/** A snapshot that is still arriving; undefined in its place means: resuming, no snapshot is to come. */
interface PartialSnapshot {
  readonly revision: Revision | undefined;
  readonly parts: readonly (readonly ConfigItem[])[];
  /** Of another history than the copy: versions cannot be compared with those known. */
  readonly foreign: boolean;
}

/** What serves while there is no server. */
export interface Served {
  readonly source: 'file' | 'defaults';
  /** 0 for defaults. */
  readonly revision: number;
  /** When it was the truth: milliseconds since 1970. */
  readonly since: number;
}

export type SyncEvent =
  | { readonly type: 'start' }
  | { readonly type: 'frame'; readonly frame: ServerFrame; readonly at: number }
  | { readonly type: 'retry'; readonly retryMs: number }
  /** The connection ended, or was never made, or said what is not understood. `isSilent`: it was made, and not one byte came. */
  | { readonly type: 'lost'; readonly cause: unknown; readonly at: number; readonly isSilent?: boolean }
  | { readonly type: 'timer'; readonly at: number }
  /** The last known state, or the complete defaults of the schema, shall serve until there is more. */
  | { readonly type: 'serve'; readonly served: Served }
  | { readonly type: 'close' };

export type SyncAction =
  /** Ask for the changes after `cursor`, or for a snapshot where there is none; of another server than before if `elsewhere`. */
  | {
      readonly type: 'connect';
      readonly transport: SyncState['transport'];
      readonly cursor: string | undefined;
      readonly elsewhere: boolean;
    }
  | { readonly type: 'disconnect' }
  /** Send `timer` after backoff number `attempt`, at least `floorMs`. */
  | { readonly type: 'wait'; readonly attempt: number; readonly floorMs: number }
  /** The whole state as of `revision`. */
  | { readonly type: 'replace'; readonly items: readonly ConfigItem[]; readonly revision: Revision; readonly foreign: boolean }
  | { readonly type: 'apply'; readonly changes: readonly WireChange[] }
  | { readonly type: 'report'; readonly error: unknown };

export interface SyncStep {
  readonly state: SyncState;
  readonly actions: readonly SyncAction[];
}

/** A connection that lived this long after `synced` was a good one: backoff begins anew. Shorter ones may be a loop of failures. */
export const HEALTHY_AFTER_MS = 60_000;

/** The longest a server may send a client away. */
export const MAX_FLOOR_MS = 60_000;

/** After so many streams in a row without a byte changes are polled. */
export const SILENT_STREAMS = 3;

/** While polling a stream is tried again so often. */
export const PROBE_AFTER_MS = 5 * 60_000;

/** Before a refusal of the credentials is tried again: they may be renewed, but not by asking. */
export const REFUSED_FLOOR_MS = 30_000;

export const INITIAL_SYNC: SyncState = Object.freeze<SyncState>({
  phase: { name: 'idle' },
  position: undefined,
  source: 'none',
  servedRevision: 0,
  trouble: undefined,
  transport: 'stream',
  silentStreams: 0,
  probeAt: 0,
  failures: 0,
  protocolErrors: 0,
});

const NEW_CONNECTION: Connection = Object.freeze({ healthySince: undefined, retryMs: 0, nodeTrouble: undefined });

/** Reset reasons after which the store's history is still the one the copy was taken from. */
const SAME_HISTORY: ReadonlySet<string> = new Set(['compacted', 'slow']);

export function step(state: SyncState, event: SyncEvent): SyncStep {
  const { phase } = state;
  if (phase.name === 'closed') return stay(state);
  switch (event.type) {
    case 'start':
      return phase.name === 'idle' ? connect(state, false) : stay(state);
    case 'timer':
      return phase.name === 'waiting' ? connect(event.at < state.probeAt ? state : { ...state, transport: 'stream' }, true) : stay(state);
    case 'close':
      return { state: { ...state, phase: { name: 'closed' } }, actions: [{ type: 'disconnect' }] };
    case 'serve':
      return state.source === 'none'
        ? stay({
            ...state,
            source: event.served.source,
            servedRevision: event.served.revision,
            trouble: { since: event.served.since, cause: state.trouble?.cause },
          })
        : stay(state);
    case 'retry':
      return phase.name === 'syncing' || phase.name === 'live'
        ? stay({ ...state, phase: { ...phase, connection: { ...phase.connection, retryMs: event.retryMs } } })
        : stay(state);
    case 'lost':
      return phase.name === 'syncing' || phase.name === 'live' ? lose(state, phase.connection, event) : stay(state);
    case 'frame':
      return phase.name === 'syncing' || phase.name === 'live' ? probe(take(state, phase, event.frame, event.at), event.at) : stay(state);
    default:
      return assertNever(event);
  }
}

/** From polling back to a stream, at a moment at which nothing is under way. */
function probe(taken: SyncStep, at: number): SyncStep {
  const { state, actions } = taken;
  if (state.transport !== 'poll' || state.phase.name !== 'live' || at < state.probeAt) return taken;
  const trouble = { since: at, cause: new UnavailableError('changes were polled; a stream is tried again') };
  const { state: next, actions: more } = connect({ ...state, transport: 'stream', trouble }, false);
  return { state: next, actions: [...actions, { type: 'disconnect' }, ...more] };
}

type OpenPhase = Extract<SyncPhase, { readonly connection: Connection }>;

function take(state: SyncState, phase: OpenPhase, frame: ServerFrame, at: number): SyncStep {
  const snapshot = phase.name === 'syncing' ? phase.snapshot : undefined;
  const outOfPlace = (why: string): SyncStep =>
    lose(state, phase.connection, { cause: new ProtocolError(`a '${frame.kind}' frame ${why}`), at });
  const goesBack = 'revision' in frame && state.position !== undefined && frame.revision < state.position.revision;
  const backwards = (): SyncStep =>
    outOfPlace(`went back to revision ${'revision' in frame ? frame.revision : ''} from ${state.position?.revision ?? 0}`);
  switch (frame.kind) {
    case 'snapshot': {
      if (phase.name !== 'syncing' || !snapshot) return outOfPlace('came without being asked for');
      if (snapshot.revision !== undefined && snapshot.revision !== frame.revision) {
        return outOfPlace(`is of revision ${frame.revision}, the part before it of ${snapshot.revision}`);
      }
      return stay({
        ...state,
        phase: { ...phase, snapshot: { ...snapshot, revision: frame.revision, parts: [...snapshot.parts, frame.items] } },
      });
    }
    case 'synced': {
      const connection = { ...phase.connection, healthySince: phase.connection.healthySince ?? at };
      const next: SyncState = {
        ...state,
        phase: { name: 'live', connection, since: at },
        position: positionOf(frame),
        source: 'memory',
        trouble: undefined,
        silentStreams: state.transport === 'stream' ? 0 : state.silentStreams,
      };
      // Only another history may begin at a lower revision.
      if (goesBack && !snapshot?.foreign) return backwards();
      if (!snapshot) return stay(phase.name === 'live' ? { ...state, position: positionOf(frame) } : next);
      const items = snapshot.parts.flat();
      if (snapshot.revision !== undefined && snapshot.revision !== frame.revision) {
        return outOfPlace(`of revision ${frame.revision} ended a snapshot of ${snapshot.revision}`);
      }
      if (items.length !== frame.count) return outOfPlace(`counts ${frame.count} items, but ${items.length} came`);
      return { state: next, actions: [{ type: 'replace', items, revision: frame.revision, foreign: snapshot.foreign }] };
    }
    case 'change':
      if (snapshot) return outOfPlace('came before the snapshot was complete');
      if (goesBack) return backwards();
      return { state: { ...state, position: positionOf(frame) }, actions: [{ type: 'apply', changes: frame.changes }] };
    case 'bookmark':
      if (snapshot) return outOfPlace('came before the snapshot was complete');
      return goesBack ? backwards() : stay({ ...state, position: positionOf(frame) });
    case 'reset': {
      const foreign = !SAME_HISTORY.has(frame.reason) || (snapshot?.foreign ?? false);
      const cause = new AttuneError(
        'CURSOR_GONE',
        `the server cannot resume from where this client was (${frame.reason}); a snapshot follows`,
      );
      return stay({
        ...state,
        phase: { name: 'syncing', connection: phase.connection, snapshot: { revision: undefined, parts: [], foreign } },
        trouble: state.trouble ?? { since: at, cause },
      });
    }
    case 'status': {
      const cause = new UnavailableError('the server has lost its store and serves from memory');
      const nodeTrouble = frame.state === 'stale' ? { since: frame.since ?? at, cause } : undefined;
      return stay({ ...state, phase: { ...phase, connection: { ...phase.connection, nodeTrouble } } });
    }
    case 'goaway': {
      const cause = new UnavailableError('the server closes its streams on purpose and asks to come back');
      return lose(state, phase.connection, { cause, at, goawayMs: frame.retryMs });
    }
    default:
      return assertNever(frame);
  }
}

const stay = (state: SyncState): SyncStep => ({ state, actions: [] });

const positionOf = (frame: { readonly cursor: string; readonly revision: Revision }): Position => ({
  cursor: frame.cursor,
  revision: frame.revision,
});

function connect(state: SyncState, elsewhere: boolean): SyncStep {
  const snapshot = state.position ? undefined : { revision: undefined, parts: [], foreign: false };
  return {
    state: { ...state, phase: { name: 'syncing', connection: NEW_CONNECTION, snapshot } },
    actions: [{ type: 'connect', transport: state.transport, cursor: state.position?.cursor, elsewhere }],
  };
}

interface Loss {
  readonly cause: unknown;
  readonly at: number;
  readonly isSilent?: boolean;
  /** Given where the server planned it: no failure to report. */
  readonly goawayMs?: number;
}

function lose(state: SyncState, connection: Connection, { cause, at, isSilent = false, goawayMs }: Loss): SyncStep {
  const healthy = connection.healthySince !== undefined && at - connection.healthySince >= HEALTHY_AFTER_MS;
  const silentStreams = state.transport === 'poll' ? state.silentStreams : isSilent ? state.silentStreams + 1 : 0;
  const isBlocked = state.transport === 'stream' && silentStreams >= SILENT_STREAMS;
  // What was blocked is no outage: polling begins soon.
  const failures = healthy || isBlocked ? 1 : state.failures + 1;
  const retryAfterMs = isAttuneError(cause) && typeof cause.details['retryAfterMs'] === 'number' ? cause.details['retryAfterMs'] : 0;
  const refusedMs = isAttuneError(cause, 'UNAUTHENTICATED') || isAttuneError(cause, 'PERMISSION_DENIED') ? REFUSED_FLOOR_MS : 0;
  const floorMs = Math.min(MAX_FLOOR_MS, goawayMs ?? Math.max(connection.retryMs, retryAfterMs, refusedMs));
  const wait: SyncAction = { type: 'wait', attempt: failures - 1, floorMs };
  return {
    state: {
      ...state,
      phase: { name: 'waiting' },
      trouble: { since: state.trouble?.since ?? connection.nodeTrouble?.since ?? at, cause },
      transport: isBlocked ? 'poll' : state.transport,
      silentStreams,
      probeAt: isBlocked ? at + PROBE_AFTER_MS : state.probeAt,
      failures,
      protocolErrors: state.protocolErrors + (isAttuneError(cause, 'PROTOCOL') ? 1 : 0),
    },
    actions: goawayMs === undefined ? [{ type: 'disconnect' }, wait, { type: 'report', error: cause }] : [{ type: 'disconnect' }, wait],
  };
}
