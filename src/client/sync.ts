import { assertNever } from '../core/assert-never.ts';
import { AttuneError, isAttuneError, ProtocolError, UnavailableError } from '../core/errors.ts';
import type { ConfigChangeEvent, ConfigItem } from '../core/item.ts';
import type { Revision } from '../core/revision.ts';
import type { ServerFrame } from './frames.ts';

/**
 * How a client keeps its copy equal to the server's, as a function from (state, event) to (state, actions): no timer, socket, callback or
 * randomness. {@link runSync} performs the actions.
 *
 * ```text
 *          start              synced
 *   idle ─────────→ syncing ─────────→ live          frames are taken in syncing and live only
 *                    ↑   ↑ ←───────────┘ │
 *              timer │   └──── reset     │ lost, goaway,
 *                    │                   │ a frame out of place
 *                  waiting ←─────────────┘ (from syncing too)          any ─close→ closed
 * ```
 *
 * A position is adopted only with the frame that makes it true: `synced` ends a snapshot, so a cut in the middle of one leaves the old
 * position, and the copy, as they were.
 */
export interface SyncState {
  readonly phase: SyncPhase;
  /** Where to resume; undefined until the first `synced`. */
  readonly position: Position | undefined;
  /** What reads are served from while not live. */
  readonly source: 'none' | 'defaults' | 'memory';
  /** Since when, and why, the copy is not live; undefined while it is. */
  readonly trouble: Trouble | undefined;
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

export type SyncEvent =
  | { readonly type: 'start' }
  | { readonly type: 'frame'; readonly frame: ServerFrame; readonly at: number }
  | { readonly type: 'retry'; readonly retryMs: number }
  /** The connection ended, or was never made, or said what is not understood. */
  | { readonly type: 'lost'; readonly cause: unknown; readonly at: number }
  | { readonly type: 'timer' }
  /** The defaults of the schema are complete and shall serve until there is more. */
  | { readonly type: 'serveDefaults'; readonly at: number }
  | { readonly type: 'close' };

export type SyncAction =
  /** Ask for the changes after `position`, or for a snapshot where there is none; of another server than before if `elsewhere`. */
  | { readonly type: 'connect'; readonly cursor: string | undefined; readonly elsewhere: boolean }
  | { readonly type: 'disconnect' }
  /** Send `timer` after backoff number `attempt`, at least `floorMs`. */
  | { readonly type: 'wait'; readonly attempt: number; readonly floorMs: number }
  /** The whole state as of `revision`. */
  | { readonly type: 'replace'; readonly items: readonly ConfigItem[]; readonly revision: Revision; readonly foreign: boolean }
  | { readonly type: 'apply'; readonly changes: readonly ConfigChangeEvent[] }
  | { readonly type: 'report'; readonly error: unknown };

export interface SyncStep {
  readonly state: SyncState;
  readonly actions: readonly SyncAction[];
}

/** A connection that lived this long after `synced` was a good one: backoff begins anew. Shorter ones may be a loop of failures. */
export const HEALTHY_AFTER_MS = 60_000;

/** The longest a server may send a client away. */
export const MAX_FLOOR_MS = 60_000;

export const INITIAL_SYNC: SyncState = Object.freeze<SyncState>({
  phase: { name: 'idle' },
  position: undefined,
  source: 'none',
  trouble: undefined,
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
      return phase.name === 'waiting' ? connect(state, true) : stay(state);
    case 'close':
      return { state: { ...state, phase: { name: 'closed' } }, actions: [{ type: 'disconnect' }] };
    case 'serveDefaults':
      return state.source === 'none'
        ? stay({ ...state, source: 'defaults', trouble: { since: event.at, cause: state.trouble?.cause } })
        : stay(state);
    case 'retry':
      return phase.name === 'syncing' || phase.name === 'live'
        ? stay({ ...state, phase: { ...phase, connection: { ...phase.connection, retryMs: event.retryMs } } })
        : stay(state);
    case 'lost':
      return phase.name === 'syncing' || phase.name === 'live' ? lose(state, phase.connection, event.cause, event.at) : stay(state);
    case 'frame':
      return phase.name === 'syncing' || phase.name === 'live' ? take(state, phase, event.frame, event.at) : stay(state);
    default:
      return assertNever(event);
  }
}

type OpenPhase = Extract<SyncPhase, { readonly connection: Connection }>;

function take(state: SyncState, phase: OpenPhase, frame: ServerFrame, at: number): SyncStep {
  const snapshot = phase.name === 'syncing' ? phase.snapshot : undefined;
  const outOfPlace = (why: string): SyncStep => lose(state, phase.connection, new ProtocolError(`a '${frame.kind}' frame ${why}`), at);
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
      return lose(state, phase.connection, cause, at, frame.retryMs);
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
    actions: [{ type: 'connect', cursor: state.position?.cursor, elsewhere }],
  };
}

/** `goawayMs` is given where the server planned it: no failure to report. */
function lose(state: SyncState, connection: Connection, cause: unknown, at: number, goawayMs?: number): SyncStep {
  const healthy = connection.healthySince !== undefined && at - connection.healthySince >= HEALTHY_AFTER_MS;
  const failures = healthy ? 1 : state.failures + 1;
  const retryAfterMs = isAttuneError(cause) && typeof cause.details['retryAfterMs'] === 'number' ? cause.details['retryAfterMs'] : 0;
  const floorMs = Math.min(MAX_FLOOR_MS, goawayMs ?? Math.max(connection.retryMs, retryAfterMs));
  const wait: SyncAction = { type: 'wait', attempt: failures - 1, floorMs };
  return {
    state: {
      ...state,
      phase: { name: 'waiting' },
      trouble: { since: state.trouble?.since ?? connection.nodeTrouble?.since ?? at, cause },
      failures,
      protocolErrors: state.protocolErrors + (isAttuneError(cause, 'PROTOCOL') ? 1 : 0),
    },
    actions: goawayMs === undefined ? [{ type: 'disconnect' }, wait, { type: 'report', error: cause }] : [{ type: 'disconnect' }, wait],
  };
}
