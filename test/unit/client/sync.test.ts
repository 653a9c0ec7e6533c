import { describe, expect, test } from 'vitest';
import { AttuneError, ProtocolError, UnavailableError } from '../../../src/core/errors.ts';
import type { Revision } from '../../../src/core/revision.ts';
import type { ServerFrame } from '../../../src/client/frames.ts';
import { statusOf } from '../../../src/client/status.ts';
import {
  HEALTHY_AFTER_MS,
  INITIAL_SYNC,
  MAX_FLOOR_MS,
  PROBE_AFTER_MS,
  REFUSED_FLOOR_MS,
  SILENT_STREAMS,
  step,
  type SyncAction,
  type SyncEvent,
  type SyncState,
} from '../../../src/client/sync.ts';
import { item, updated } from './wire-samples.ts';

const T0 = 1_000_000;

/** Runs events from the initial state; actions of the last event only. */
function run(...events: readonly SyncEvent[]): { readonly state: SyncState; readonly actions: readonly SyncAction[] } {
  let result: { state: SyncState; actions: readonly SyncAction[] } = { state: INITIAL_SYNC, actions: [] };
  for (const event of events) result = step(result.state, event);
  return result;
}

const start: SyncEvent = { type: 'start' };
const timer: SyncEvent = { type: 'timer', at: T0 };
const timerAt = (at: number): SyncEvent => ({ type: 'timer', at });
const close: SyncEvent = { type: 'close' };
const broken = new UnavailableError('broken');
const lost = (at = T0, cause: unknown = broken): SyncEvent => ({ type: 'lost', cause, at });
const silence = (at = T0): SyncEvent => ({ type: 'lost', cause: broken, at, isSilent: true });
const frame = (frame: ServerFrame, at = T0): SyncEvent => ({ type: 'frame', frame, at });
const revision = (value: number): Revision => value as Revision;
const snapshot = (at: number, ...keys: readonly string[]): SyncEvent =>
  frame({ kind: 'snapshot', revision: revision(at), items: keys.map((key) => item(key, 1, at)) });
const synced = (at: number, count = 0, when = T0): SyncEvent =>
  frame({ kind: 'synced', cursor: `e-${at}`, revision: revision(at), count }, when);
const change = (at: number): SyncEvent =>
  frame({ kind: 'change', cursor: `e-${at}`, revision: revision(at), changes: [updated('a', at, at)] });
const bookmark = (at: number): SyncEvent => frame({ kind: 'bookmark', cursor: `e-${at}`, revision: revision(at) });
const reset = (reason: string): SyncEvent => frame({ kind: 'reset', reason });
const goaway = (retryMs: number, at = T0): SyncEvent => frame({ kind: 'goaway', retryMs }, at);
const nodeIs = (state: 'stale' | 'live', since?: number): SyncEvent => frame({ kind: 'status', state, since });

const LIVE = [start, snapshot(10, 'a'), synced(10, 1)] as const;
const position = (at: number) => ({ cursor: `e-${at}`, revision: at });

const BLOCKED = [start, ...Array.from({ length: SILENT_STREAMS }, () => [silence(), timer]).flat()] as const;
const transports = (...events: readonly SyncEvent[]): readonly string[] =>
  run(...events).actions.flatMap((action) => (action.type === 'connect' ? [action.transport] : []));

describe('streams that are held back', () => {
  test('are streams for the first attempts', () => {
    expect(transports(start)).toEqual(['stream']);
    expect(transports(...BLOCKED.slice(0, -2))).toEqual(['stream']);
  });

  test('are given up for polls after the third in a row without a byte', () => {
    expect(transports(...BLOCKED)).toEqual(['poll']);
    expect(run(...BLOCKED.slice(0, -1)).actions).toContainEqual({ type: 'wait', attempt: 0, floorMs: 0 });
  });

  test('are counted in a row: one that said something begins anew, and so does one that nobody answered', () => {
    expect(transports(start, silence(), timer, silence(), timer, lost(), timer, silence(), timer)).toEqual(['stream']);
    expect(transports(start, silence(), timer, silence(), timer, synced(10), silence(), timer)).toEqual(['stream']);
  });

  test('stay polls through their own failures, until a stream is due again', () => {
    expect(transports(...BLOCKED, lost(), timerAt(T0 + PROBE_AFTER_MS - 1))).toEqual(['poll']);
    expect(transports(...BLOCKED, lost(), timerAt(T0 + PROBE_AFTER_MS))).toEqual(['stream']);
  });

  test('are tried again in between polls, from the cursor the polls have reached', () => {
    const polling = [...BLOCKED, snapshot(10, 'a'), synced(10, 1)] as const;
    const later = (at: number): SyncEvent => frame({ kind: 'bookmark', cursor: 'e-12', revision: revision(12) }, at);
    expect(run(...polling, later(T0 + PROBE_AFTER_MS - 1)).actions).toEqual([]);
    expect(run(...polling, later(T0 + PROBE_AFTER_MS)).actions).toEqual([
      { type: 'disconnect' },
      { type: 'connect', transport: 'stream', cursor: 'e-12', elsewhere: false },
    ]);
    const at = T0 + PROBE_AFTER_MS;
    expect(statusOf(run(...polling, later(at)).state)).toMatchObject({ state: 'stale', source: 'memory', since: new Date(at) });
  });

  test('end the probe with the first silent one, and polls go on for another while', () => {
    const at = T0 + PROBE_AFTER_MS;
    const probing = [...BLOCKED, lost(), timerAt(at)] as const;
    expect(transports(...probing, silence(at), timerAt(at))).toEqual(['poll']);
    expect(transports(...probing, silence(at), timerAt(at), lost(at), timerAt(at + PROBE_AFTER_MS - 1))).toEqual(['poll']);
    expect(run(...probing, synced(10)).state).toMatchObject({ transport: 'stream', silentStreams: 0 });
  });

  test('are told as live while polls keep the copy current', () => {
    expect(statusOf(run(...BLOCKED, snapshot(10, 'a'), synced(10, 1)).state)).toMatchObject({ state: 'live', revision: 10 });
  });
});

describe('a refusal', () => {
  test.each(['UNAUTHENTICATED', 'PERMISSION_DENIED'] as const)('of this client (%s) is tried again slowly', (code) => {
    const { actions } = run(start, lost(T0, new AttuneError(code, 'no')));
    expect(actions).toContainEqual({ type: 'wait', attempt: 0, floorMs: REFUSED_FLOOR_MS });
    expect(actions.map(({ type }) => type)).toContain('report');
  });
});

describe('a state that was kept', () => {
  const serveFile: SyncEvent = { type: 'serve', served: { source: 'file', revision: 7, since: T0 - 60_000 } };

  test('serves as stale until the first synced', () => {
    expect(statusOf(run(start, lost(), serveFile).state)).toEqual({
      state: 'stale',
      source: 'file',
      revision: 7,
      since: new Date(T0 - 60_000),
      cause: broken,
    });
    const { actions } = run(start, lost(), serveFile, timer, snapshot(3, 'a'), synced(3, 1));
    expect(actions).toMatchObject([{ type: 'replace', revision: 3, foreign: false }]);
  });

  test('is of no use once there is the real one', () => {
    expect(statusOf(run(...LIVE, serveFile).state)).toMatchObject({ state: 'live' });
    expect(run(...LIVE, lost(), serveFile, timer, reset('compacted'), snapshot(11, 'a'), synced(11, 1)).actions).toMatchObject([
      { type: 'replace', foreign: false },
    ]);
  });
});

describe('transitions', () => {
  const rows: readonly {
    readonly rule: string;
    readonly events: readonly SyncEvent[];
    readonly phase: string;
    readonly actions: readonly string[];
  }[] = [
    { rule: 'start connects', events: [start], phase: 'syncing', actions: ['connect'] },
    { rule: 'a second start does nothing', events: [start, start], phase: 'syncing', actions: [] },
    { rule: 'synced makes it live and replaces the copy', events: [...LIVE], phase: 'live', actions: ['replace'] },
    { rule: 'an empty snapshot replaces too', events: [start, synced(10, 0)], phase: 'live', actions: ['replace'] },
    { rule: 'a snapshot part alone changes nothing', events: [start, snapshot(10, 'a')], phase: 'syncing', actions: [] },
    { rule: 'a change is applied', events: [...LIVE, change(11)], phase: 'live', actions: ['apply'] },
    { rule: 'a bookmark only moves the position', events: [...LIVE, bookmark(12)], phase: 'live', actions: [] },
    { rule: 'a loss waits and reports', events: [...LIVE, lost()], phase: 'waiting', actions: ['disconnect', 'wait', 'report'] },
    {
      rule: 'a loss before synced waits and reports',
      events: [start, lost()],
      phase: 'waiting',
      actions: ['disconnect', 'wait', 'report'],
    },
    { rule: 'the timer reconnects', events: [...LIVE, lost(), timer], phase: 'syncing', actions: ['connect'] },
    { rule: 'a timer that comes late does nothing', events: [...LIVE, timer], phase: 'live', actions: [] },
    { rule: 'a loss while waiting does nothing', events: [...LIVE, lost(), lost()], phase: 'waiting', actions: [] },
    { rule: 'a frame while waiting does nothing', events: [...LIVE, lost(), change(11)], phase: 'waiting', actions: [] },
    { rule: 'goaway waits without a report', events: [...LIVE, goaway(100)], phase: 'waiting', actions: ['disconnect', 'wait'] },
    { rule: 'reset goes back to syncing on the same connection', events: [...LIVE, reset('slow')], phase: 'syncing', actions: [] },
    { rule: 'a resume that is synced needs no snapshot', events: [...LIVE, lost(), timer, synced(10)], phase: 'live', actions: [] },
    { rule: 'changes are replayed before synced', events: [...LIVE, lost(), timer, change(11)], phase: 'syncing', actions: ['apply'] },
    { rule: 'close disconnects', events: [...LIVE, close], phase: 'closed', actions: ['disconnect'] },
    {
      rule: 'after close nothing happens',
      events: [...LIVE, close, start, timer, change(11), lost(), close],
      phase: 'closed',
      actions: [],
    },
  ];
  test.each(rows)('$rule', ({ events, phase, actions }) => {
    const result = run(...events);
    expect(result.state.phase.name).toBe(phase);
    expect(result.actions.map(({ type }) => type)).toEqual(actions);
  });
});

describe('position', () => {
  const rows: readonly { readonly rule: string; readonly events: readonly SyncEvent[]; readonly at: number | undefined }[] = [
    { rule: 'there is none before synced', events: [start, snapshot(10, 'a')], at: undefined },
    { rule: 'synced sets it', events: [...LIVE], at: 10 },
    { rule: 'a change moves it', events: [...LIVE, change(11)], at: 11 },
    { rule: 'a bookmark moves it', events: [...LIVE, bookmark(15)], at: 15 },
    { rule: 'a replayed change moves it before synced', events: [...LIVE, lost(), timer, change(12)], at: 12 },
    { rule: 'a reset keeps it', events: [...LIVE, reset('epoch')], at: 10 },
    { rule: 'a cut in the middle of a snapshot keeps it', events: [...LIVE, reset('epoch'), snapshot(3, 'b'), lost()], at: 10 },
    { rule: 'the snapshot of another history may move it back', events: [...LIVE, reset('epoch'), snapshot(3, 'b'), synced(3, 1)], at: 3 },
    { rule: 'a frame out of place keeps it', events: [...LIVE, snapshot(20, 'b')], at: 10 },
  ];
  test.each(rows)('$rule', ({ events, at }) => {
    expect(run(...events).state.position).toEqual(at === undefined ? undefined : position(at));
  });

  test('is where the next connection resumes, at another server', () => {
    expect(run(...LIVE, change(11), lost(), timer).actions).toEqual([
      { type: 'connect', transport: 'stream', cursor: 'e-11', elsewhere: true },
    ]);
  });

  test('is not sent while there is none', () => {
    expect(run(start).actions).toEqual([{ type: 'connect', transport: 'stream', cursor: undefined, elsewhere: false }]);
    expect(run(start, snapshot(10, 'a'), lost(), timer).actions).toEqual([
      { type: 'connect', transport: 'stream', cursor: undefined, elsewhere: true },
    ]);
  });
});

describe('snapshots', () => {
  test('are put together from their parts', () => {
    const { actions } = run(start, snapshot(10, 'a', 'b'), snapshot(10, 'c'), synced(10, 3));
    expect(actions).toEqual([{ type: 'replace', items: ['a', 'b', 'c'].map((key) => item(key, 1, 10)), revision: 10, foreign: false }]);
  });

  test('begin anew with every reset', () => {
    const { actions } = run(...LIVE, reset('slow'), snapshot(20, 'x'), reset('slow'), snapshot(30, 'y'), synced(30, 1));
    expect(actions).toEqual([{ type: 'replace', items: [item('y', 1, 30)], revision: 30, foreign: false }]);
  });

  test.each([
    ['compacted', false],
    ['slow', false],
    ['epoch', true],
    ['ahead', true],
    ['a reason of tomorrow', true],
  ])('after reset "%s" are of a foreign history: %s', (reason, foreign) => {
    expect(run(...LIVE, reset(reason), synced(10, 0)).actions).toMatchObject([{ type: 'replace', foreign }]);
  });

  test('stay foreign when a second reset has a harmless reason', () => {
    expect(run(...LIVE, reset('epoch'), reset('slow'), synced(3, 0)).actions).toMatchObject([{ type: 'replace', foreign: true }]);
  });
});

describe('what is out of place ends the connection as a ProtocolError and is counted', () => {
  const rows: readonly { readonly what: string; readonly events: readonly SyncEvent[] }[] = [
    { what: 'a snapshot nobody asked for', events: [...LIVE, snapshot(11, 'b')] },
    { what: 'a snapshot on a resume', events: [...LIVE, lost(), timer, snapshot(11, 'b')] },
    { what: 'snapshot parts of two revisions', events: [start, snapshot(10, 'a'), snapshot(11, 'b')] },
    { what: 'synced at another revision than its snapshot', events: [start, snapshot(10, 'a'), synced(11, 1)] },
    { what: 'a count that does not match the snapshot', events: [start, snapshot(10, 'a'), synced(10, 2)] },
    { what: 'a change before the snapshot is complete', events: [start, snapshot(10, 'a'), change(11)] },
    { what: 'a bookmark before the snapshot is complete', events: [start, bookmark(11)] },
    { what: 'a change at an earlier revision', events: [...LIVE, change(9)] },
    { what: 'a bookmark at an earlier revision', events: [...LIVE, bookmark(9)] },
    { what: 'synced at an earlier revision', events: [...LIVE, lost(), timer, synced(9)] },
    { what: 'an earlier snapshot of the same history', events: [...LIVE, reset('slow'), snapshot(9, 'a'), synced(9, 1)] },
  ];
  test.each(rows)('$what', ({ events }) => {
    const { state, actions } = run(...events);
    expect(state.phase.name).toBe('waiting');
    expect(state.protocolErrors).toBe(1);
    expect(actions).toMatchObject([{ type: 'disconnect' }, { type: 'wait' }, { type: 'report', error: { code: 'PROTOCOL' } }]);
  });

  test('a frame that did not parse is counted too', () => {
    expect(run(...LIVE, lost(T0, new ProtocolError('not JSON'))).state.protocolErrors).toBe(1);
  });

  test('a lost connection is not', () => {
    expect(run(...LIVE, lost()).state.protocolErrors).toBe(0);
  });

  test('the same revision twice is none: its changes are known by their versions', () => {
    expect(run(...LIVE, change(11), change(11)).state).toMatchObject({ phase: { name: 'live' }, protocolErrors: 0 });
  });
});

describe('waiting', () => {
  const waitOf = (...events: readonly SyncEvent[]): SyncAction | undefined => run(...events).actions.find(({ type }) => type === 'wait');
  const failedAgain = [timer, lost()];

  test('grows with every failure in a row', () => {
    expect(waitOf(start, lost())).toEqual({ type: 'wait', attempt: 0, floorMs: 0 });
    expect(waitOf(start, lost(), ...failedAgain, ...failedAgain)).toEqual({ type: 'wait', attempt: 2, floorMs: 0 });
  });

  test('begins anew only after 60 s of health', () => {
    const again = [start, lost(), timer, synced(10, 0, T0)];
    expect(waitOf(...again, lost(T0 + HEALTHY_AFTER_MS - 1))).toMatchObject({ attempt: 1 });
    expect(waitOf(...again, lost(T0 + HEALTHY_AFTER_MS))).toMatchObject({ attempt: 0 });
  });

  test('counts health from the first synced, whatever is reset later', () => {
    const again = [start, lost(), timer, synced(10, 0, T0), reset('slow'), synced(11, 0, T0 + HEALTHY_AFTER_MS - 1)];
    expect(waitOf(...again, lost(T0 + HEALTHY_AFTER_MS))).toMatchObject({ attempt: 0 });
  });

  test("is at least the server's retry", () => {
    expect(waitOf(start, { type: 'retry', retryMs: 1_500 }, lost())).toMatchObject({ floorMs: 1_500 });
  });

  test("forgets the server's retry with its connection", () => {
    expect(waitOf(start, { type: 'retry', retryMs: 1_500 }, lost(), timer, lost())).toMatchObject({ floorMs: 0 });
  });

  test('is at least what goaway says, rather than retry', () => {
    expect(waitOf(...LIVE, { type: 'retry', retryMs: 1_500 }, goaway(200))).toMatchObject({ floorMs: 200 });
  });

  test('is at least Retry-After', () => {
    expect(waitOf(start, lost(T0, new AttuneError('RATE_LIMITED', 'slow down', { details: { retryAfterMs: 7_000 } })))).toMatchObject({
      floorMs: 7_000,
    });
  });

  test('is never dictated beyond a minute', () => {
    expect(waitOf(...LIVE, goaway(86_400_000))).toMatchObject({ floorMs: MAX_FLOOR_MS });
  });
});

describe('status', () => {
  const statusAfter = (...events: readonly SyncEvent[]) => statusOf(run(...events).state);

  test('is connecting, with the attempt, until the first synced', () => {
    expect(statusAfter()).toEqual({ state: 'connecting', attempt: 0 });
    expect(statusAfter(start)).toEqual({ state: 'connecting', attempt: 1 });
    expect(statusAfter(start, lost())).toEqual({ state: 'connecting', attempt: 1 });
    expect(statusAfter(start, lost(), timer)).toEqual({ state: 'connecting', attempt: 2 });
  });

  test('is live with the revision of the copy', () => {
    expect(statusAfter(...LIVE, change(12))).toEqual({ state: 'live', revision: 12, since: new Date(T0) });
  });

  test('is stale from memory from the loss on, with the newest cause', () => {
    const later = new UnavailableError('still broken');
    expect(statusAfter(...LIVE, lost(T0 + 5), timer, lost(T0 + 99, later))).toEqual({
      state: 'stale',
      source: 'memory',
      revision: 10,
      since: new Date(T0 + 5),
      cause: later,
    });
  });

  test('is stale while a reset is under way', () => {
    expect(statusAfter(...LIVE, reset('epoch'))).toMatchObject({ state: 'stale', source: 'memory', cause: { code: 'CURSOR_GONE' } });
    expect(statusAfter(...LIVE, reset('epoch'), synced(3, 0, T0 + 7))).toEqual({ state: 'live', revision: 3, since: new Date(T0 + 7) });
  });

  test('is stale while the server has lost its store, since when the server says', () => {
    expect(statusAfter(...LIVE, nodeIs('stale', T0 - 500))).toMatchObject({ state: 'stale', source: 'memory', since: new Date(T0 - 500) });
    expect(statusAfter(...LIVE, nodeIs('stale'), nodeIs('live'))).toMatchObject({ state: 'live' });
  });

  test('is stale on a server that was stale before the snapshot', () => {
    expect(statusAfter(start, nodeIs('stale'), synced(10))).toMatchObject({ state: 'stale', source: 'memory' });
  });

  test('forgets a stale server with its connection', () => {
    expect(statusAfter(...LIVE, nodeIs('stale'), lost(), timer, synced(10))).toMatchObject({ state: 'live' });
  });

  test('serves defaults as stale until the first synced', () => {
    const serve: SyncEvent = { type: 'serve', served: { source: 'defaults', revision: 0, since: T0 + 5_000 } };
    expect(statusAfter(start, lost(), serve)).toEqual({
      state: 'stale',
      source: 'defaults',
      revision: 0,
      since: new Date(T0 + 5_000),
      cause: broken,
    });
    expect(statusAfter(start, serve, synced(10))).toMatchObject({ state: 'live' });
    expect(statusAfter(...LIVE, serve)).toMatchObject({ state: 'live' });
  });

  test('is closed for good', () => {
    expect(statusAfter(...LIVE, close, start)).toEqual({ state: 'closed' });
  });
});
