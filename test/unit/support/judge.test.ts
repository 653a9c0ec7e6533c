import { describe, expect, it } from 'vitest';
import { brokenGuarantees, judge, type Guarantee, type Recording } from '../../support/judge.ts';
import type { Condition, ReadRecord, WriteOutcome, WriteRecord } from '../../support/judge-requests.ts';
import type { SeenChange, SeenItem, WatcherEvent } from '../../support/judge-watcher.ts';
import { EVERYTHING, readCursor, type TrueBatch, type TrueHistory, type WatchFilter } from '../../support/true-history.ts';

const batch = (revision: number, changes: Readonly<Record<string, string | undefined>> = {}): TrueBatch => ({
  revision,
  changes: Object.entries(changes).map(([key, content]) => ({ key, content })),
});

/** 2: x · 3: y and z together · 4: x again · 5: y deleted · 6: nothing of ours · 7: y created again · 8: x */
const BATCHES = [
  batch(1),
  batch(2, { x: 'x2' }),
  batch(3, { y: 'y3', z: 'z3' }),
  batch(4, { x: 'x4' }),
  batch(5, { y: undefined }),
  batch(6),
  batch(7, { y: 'y7' }),
  batch(8, { x: 'x8' }),
];
const HISTORY: TrueHistory = { chains: [[{ id: 'a', from: 1 }]], batches: BATCHES };
/** The same store after a backup of revision 4 was put back: 5 is the new link, 6 and 7 are other changes. */
const RESTORED: TrueHistory = {
  chains: [[{ id: 'a', from: 1 }], [{ id: 'b', from: 5 }]],
  batches: [...BATCHES.slice(0, 4), batch(5), batch(6, { z: 'z6' }), batch(7, { x: 'x7' })],
};

const connect = (since?: string, more: { readonly snapshot?: boolean; readonly isHeld?: boolean } = {}): WatcherEvent => ({
  type: 'connect',
  ...(since !== undefined && { since }),
  ...more,
});
const item = (key: string, version: number, content = key + String(version)): SeenItem => ({ key, version, content });
const snapshot = (revision: number, ...items: SeenItem[]): WatcherEvent => ({ type: 'snapshot', revision, items });
const synced = (id: string, count = 0): WatcherEvent => ({ type: 'synced', id, count });
const bookmark = (id: string): WatcherEvent => ({ type: 'bookmark', id });
const reset = (reason: string): WatcherEvent => ({ type: 'reset', reason });
const change = (id: string, ...changes: SeenChange[]): WatcherEvent => ({ type: 'change', id, revision: readCursor(id).revision, changes });
const gap = (id: string, ...changes: SeenChange[]): WatcherEvent => ({
  type: 'change',
  id,
  revision: readCursor(id).revision,
  changes,
  gap: true,
});
const created = (key: string, version: number, content = key + String(version)): SeenChange => ({ type: 'created', key, version, content });
const updated = (key: string, version: number, content = key + String(version)): SeenChange => ({ type: 'updated', key, version, content });
const deleted = (key: string, version: number): SeenChange => ({ type: 'deleted', key, version, content: undefined });
const CUT: WatcherEvent = { type: 'cut' };

const R2 = change('a-2', created('x', 2));
const R3 = change('a-3', created('y', 3), created('z', 3));
const R4 = change('a-4', updated('x', 4));
const R5 = change('a-5', deleted('y', 5));
const R7 = change('a-7', created('y', 7));
const R8 = change('a-8', updated('x', 8));
const ALL = [connect(), synced('a-1'), R2, R3, R4, R5, R7, R8];

interface WatchCase {
  readonly name: string;
  readonly events: readonly WatcherEvent[];
  readonly filter?: WatchFilter;
  readonly histories?: readonly TrueHistory[];
  /** Default true. */
  readonly isSettled?: boolean;
}

const recordingOf = ({ name, events, filter = EVERYTHING, histories = [HISTORY], isSettled = true }: WatchCase): Recording => ({
  histories,
  watchers: [{ name, filter, events, isSettled }],
});

const GOOD: readonly WatchCase[] = [
  { name: 'every revision, once, in order', events: ALL },
  {
    name: 'a snapshot in parts, then changes',
    events: [
      connect(undefined, { snapshot: true }),
      snapshot(4, item('x', 4), item('y', 3)),
      snapshot(4, item('z', 3)),
      synced('a-4', 3),
      R5,
      R7,
      R8,
    ],
  },
  { name: 'an empty snapshot', events: [connect(undefined, { snapshot: true }), synced('a-1', 0), R2, R3, R4, R5, R7, R8] },
  {
    name: 'a filter that is told of its own keys only',
    filter: { keys: ['y'], prefixes: [] },
    events: [connect(), synced('a-2'), change('a-3', created('y', 3)), R5, R7, bookmark('a-8')],
  },
  {
    name: 'a resume at a change, at a bookmark, at synced',
    events: [
      connect(),
      synced('a-1'),
      CUT,
      connect('a-1'),
      R2,
      synced('a-2'),
      R3,
      CUT,
      connect('a-3'),
      R4,
      synced('a-4'),
      R5,
      bookmark('a-6'),
      CUT,
      connect('a-6'),
      R7,
      R8,
      synced('a-8'),
    ],
  },
  {
    name: 'a resume from an older cursor of its own tells again what came after it',
    events: [...ALL, CUT, connect('a-4'), R5, R7, R8, synced('a-8')],
  },
  {
    name: 'a reset, then a snapshot',
    events: [connect(), synced('a-1'), R2, reset('slow'), snapshot(5, item('x', 4), item('z', 3)), synced('a-5', 2), R7, R8],
  },
  {
    name: 'a reset in the middle of a snapshot',
    events: [
      connect(undefined, { snapshot: true }),
      snapshot(4, item('x', 4)),
      reset('epoch'),
      snapshot(8, item('x', 8), item('y', 7), item('z', 3)),
      synced('a-8', 3),
    ],
  },
  {
    name: 'a cut in the middle of a snapshot',
    events: [
      connect(undefined, { snapshot: true }),
      snapshot(4, item('x', 4)),
      CUT,
      connect(undefined, { snapshot: true }),
      snapshot(8, item('x', 8), item('y', 7), item('z', 3)),
      synced('a-8', 3),
    ],
  },
  {
    name: 'a gap that leaves out intermediate versions',
    events: [connect(), synced('a-1'), R2, gap('a-8', created('z', 3), updated('x', 8), created('y', 7))],
  },
  {
    name: 'a gap with a deletion whose revision nobody knows, told again',
    events: [connect('a-4'), R5, synced('a-5'), gap('a-8', deleted('y', 6), created('y', 7), updated('x', 8))],
  },
  {
    name: 'a resume inside a gap tells only what lies above the cursor',
    events: [connect('a-4'), gap('a-8', deleted('y', 6), created('y', 7), updated('x', 8)), synced('a-8')],
  },
  {
    name: 'a deletion in a gap by the revision of its tombstone',
    events: [connect('a-3'), gap('a-6', deleted('y', 5), updated('x', 4)), synced('a-6'), R7, R8],
  },
  {
    name: 'a relist of the same history moves on without a reset though versions in it are low',
    events: [connect('a-2'), gap('a-4', created('y', 3), created('z', 3), updated('x', 4)), synced('a-4'), R5, R7, R8],
  },
  { name: 'a stream that ended before writes did', isSettled: false, events: [connect(), synced('a-1'), R2, CUT] },
  {
    name: 'a restored backup, told',
    histories: [HISTORY, RESTORED],
    events: [
      ...ALL,
      reset('epoch'),
      snapshot(5, item('x', 4), item('y', 3), item('z', 3)),
      synced('b-5', 3),
      change('b-6', updated('z', 6)),
      change('b-7', updated('x', 7)),
    ],
  },
  {
    name: 'a cursor of the part that both histories share',
    histories: [HISTORY, RESTORED],
    events: [connect('a-4'), synced('a-4'), reset('epoch'), snapshot(7, item('x', 7), item('y', 3), item('z', 6)), synced('b-7', 3)],
  },
  {
    name: 'a foreign cursor that is reset',
    events: [connect('f-99'), reset('epoch'), snapshot(8, item('x', 8), item('y', 7), item('z', 3)), synced('a-8', 3)],
  },
  {
    name: 'status and goaway between',
    events: [
      connect(),
      { type: 'status', state: 'stale' },
      synced('a-7'),
      { type: 'goaway' },
      CUT,
      connect('a-7'),
      { type: 'status', state: 'stale' },
      R8,
      synced('a-8'),
    ],
  },
];

const BROKEN: readonly (WatchCase & { readonly breaks: readonly Guarantee[] })[] = [
  { breaks: ['Ordered'], name: 'two revisions in the wrong order', events: [connect(), synced('a-1'), R2, R4, R3, R5, R7, R8] },
  { breaks: ['Ordered'], name: 'a bookmark that goes back', events: [...ALL, bookmark('a-3')] },
  { breaks: ['Unique'], name: 'a frame twice', events: [connect(), synced('a-1'), R2, R3, R4, R4, R5, R7, R8] },
  { breaks: ['Unique'], name: 'a key twice in one frame', events: [connect('a-6'), change('a-7', created('y', 7), created('y', 7)), R8] },
  { breaks: ['Ordered', 'Unique'], name: 'an old frame again', events: [connect(), synced('a-1'), R2, R3, R4, R3, R5, R7, R8] },
  { breaks: ['Resumable', 'Unique'], name: 'a resume that repeats the revision of its cursor', events: [connect('a-4'), R4, R5, R7, R8] },
  {
    breaks: ['Resumable', 'Unique'],
    name: 'a resume inside a gap that tells again what the cursor covers',
    events: [connect('a-5'), gap('a-8', updated('x', 4), created('y', 7), updated('x', 8)), synced('a-8')],
  },
  {
    breaks: ['Unique'],
    name: 'a version again in a gap',
    events: [connect('a-3'), R4, gap('a-8', updated('x', 4), deleted('y', 5), created('y', 7), updated('x', 8))],
  },
  {
    breaks: ['Unique'],
    name: 'a snapshot though the position held',
    events: [connect('a-7'), snapshot(7, item('x', 4)), synced('a-7', 1), R8],
  },
  { breaks: ['Atomic'], name: 'half a revision', events: [connect('a-2'), change('a-3', created('y', 3)), R4, R5, R7, R8] },
  {
    breaks: ['Atomic'],
    name: 'a revision in two frames',
    events: [connect('a-2'), change('a-3', created('y', 3)), change('a-3', created('z', 3)), R4, R5, R7, R8],
  },
  {
    breaks: ['Atomic', 'Reliable'],
    name: 'two revisions in one frame without a gap',
    events: [connect('a-5'), synced('a-5'), change('a-8', created('y', 7), updated('x', 8))],
  },
  {
    breaks: ['Atomic'],
    name: 'a snapshot torn between two revisions',
    events: [connect(undefined, { snapshot: true }), snapshot(4, item('x', 2), item('y', 3), item('z', 3)), synced('a-4', 3), R5, R7, R8],
  },
  {
    breaks: ['Atomic'],
    name: 'a snapshot without one of its items',
    events: [connect(undefined, { snapshot: true }), snapshot(8, item('x', 8), item('y', 7)), synced('a-8', 2)],
  },
  {
    breaks: ['Atomic'],
    name: 'a snapshot in parts of two revisions',
    events: [connect(undefined, { snapshot: true }), snapshot(7, item('x', 8), item('y', 7)), snapshot(8, item('z', 3)), synced('a-8', 3)],
  },
  {
    breaks: ['Atomic'],
    name: 'synced that counts what did not come',
    events: [connect(undefined, { snapshot: true }), snapshot(8, item('x', 8), item('y', 7), item('z', 3)), synced('a-8', 4)],
  },
  { breaks: ['Reliable'], name: 'a revision left out on a live stream', events: [connect(), synced('a-1'), R2, R3, R5, R7, R8] },
  { breaks: ['Reliable'], name: 'a change that never happened', events: [connect('a-5'), change('a-6', updated('x', 6)), R7, R8] },
  { breaks: ['Reliable'], name: 'a change with another content', events: [connect('a-7'), change('a-8', updated('x', 8, 'x4'))] },
  { breaks: ['Reliable'], name: 'an update told as created', events: [connect('a-7'), change('a-8', created('x', 8))] },
  { breaks: ['Reliable'], name: 'a deletion lost in a gap', events: [connect('a-4'), synced('a-4'), gap('a-6'), R7, R8] },
  {
    breaks: ['Reliable'],
    name: 'a bookmark over a revision that never comes',
    events: [connect(), synced('a-1'), R2, bookmark('a-3'), R4, R5, R7, R8],
  },
  {
    breaks: ['Reliable'],
    name: 'a key that the filter does not want',
    filter: { keys: [], prefixes: ['y'] },
    events: [connect('a-6'), R7, R8],
  },
  {
    breaks: ['Resumable'],
    name: 'a resume that begins too late',
    events: [connect(), synced('a-1'), R2, CUT, connect('a-2'), R4, R5, R7, R8],
  },
  { breaks: ['Resumable'], name: 'a resume that is synced over what it did not tell', events: [connect('a-4'), synced('a-7'), R8] },
  {
    breaks: ['Resumable'],
    name: 'a gap after a resume whose outcome is wrong',
    events: [connect('a-4'), gap('a-8', created('y', 7)), synced('a-8')],
  },
  {
    breaks: ['Resumable'],
    name: 'a reset though the node held the position',
    events: [connect('a-7', { isHeld: true }), reset('compacted'), snapshot(8, item('x', 8), item('y', 7), item('z', 3)), synced('a-8', 3)],
  },
  { breaks: ['NoSilentLoss'], name: 'a reset without a snapshot', events: [connect(), synced('a-1'), R2, reset('slow'), synced('a-8')] },
  { breaks: ['NoSilentLoss'], name: 'changes before synced after a reset', events: [connect('a-1'), reset('compacted'), R7, R8] },
  { breaks: ['NoSilentLoss'], name: 'a fresh stream that tells a change before synced', events: [connect(), R7, R8] },
  {
    breaks: ['NoSilentLoss'],
    name: 'a live stream taken into a restored backup',
    histories: [HISTORY, RESTORED],
    events: [connect(), synced('a-4'), R5, change('b-6', updated('z', 6)), change('b-7', updated('x', 7))],
  },
  {
    breaks: ['NoSilentLoss'],
    name: 'a cursor of the lost part resumed as if nothing had happened',
    histories: [HISTORY, RESTORED],
    events: [connect('a-8'), synced('b-7')],
  },
  { breaks: ['NoSilentLoss'], name: 'a foreign cursor that is taken', events: [connect('f-7'), R8] },
  {
    breaks: ['Bookmarkable'],
    name: 'a change after the bookmark that covers it',
    events: [connect(), synced('a-4'), bookmark('a-6'), R5, R7, R8],
  },
  { breaks: ['MonotonicReads'], name: 'a resume that is synced below its cursor', events: [connect('a-7'), synced('a-5'), R8] },
  { breaks: ['Converges'], name: 'a stream that is never told the end', events: [connect(), synced('a-1'), R2, R3] },
  { breaks: ['Converges'], name: 'a stream that is never synced', events: [connect()] },
  { breaks: ['Converges'], name: 'a stream left in a history that ended', histories: [HISTORY, RESTORED], events: ALL },
];

describe('judge of watchers', () => {
  for (const good of GOOD) {
    it(`accepts ${good.name}`, () => expect(judge(recordingOf(good))).toEqual([]));
  }
  for (const { breaks, ...broken } of BROKEN) {
    it(`${breaks.join(', ')}: catches ${broken.name}`, () => expect(brokenGuarantees(recordingOf(broken))).toEqual(breaks));
  }
});

const read = (key: string, cursor: string, seen: ReadRecord['item'], more: Partial<ReadRecord> = {}): ReadRecord => ({
  node: 'n',
  key,
  cursor,
  item: seen,
  begin: 10,
  end: 11,
  ...more,
});
const version = (wanted: number): Condition => ({ text: `version ${wanted}`, holds: (actual) => actual === wanted });
const at = (revision: number, history = 0) => ({ history, revision });
const applied = (etag: string): WriteOutcome => ({ type: 'applied', etag });
const write = (key: string, content: string | undefined, outcome: WriteOutcome, more: Partial<WriteRecord> = {}): WriteRecord => ({
  node: 'n',
  key,
  content,
  outcome,
  begin: 1,
  end: 2,
  from: at(1),
  to: at(8),
  ...more,
});

interface RequestCase {
  readonly name: string;
  readonly reads?: readonly ReadRecord[];
  readonly writes?: readonly WriteRecord[];
  readonly histories?: readonly TrueHistory[];
}

const X4 = { version: 4, content: 'x4' };
const X8 = { version: 8, content: 'x8' };

const GOOD_REQUESTS: readonly RequestCase[] = [
  {
    name: 'reads of the state they name',
    reads: [read('x', 'a-4', X4), read('x', 'a-7', X4), read('y', 'a-6', undefined), read('x', 'a-8', X8)],
  },
  {
    name: 'a read at or above the position sent',
    reads: [read('x', 'a-4', X4, { minimum: 'a-4' }), read('x', 'a-8', X8, { minimum: 'a-5' })],
  },
  { name: 'a read after a write that shows it', writes: [write('x', 'x4', applied('a-4'))], reads: [read('x', 'a-5', X4)] },
  { name: 'an older read on another node', writes: [write('x', 'x8', applied('a-8'))], reads: [read('x', 'a-5', X4, { node: 'm' })] },
  {
    name: 'an older read that began before the write ended',
    writes: [write('x', 'x8', applied('a-8'), { end: 10 })],
    reads: [read('x', 'a-5', X4)],
  },
  {
    name: 'a write on the condition that held',
    writes: [
      write('x', 'x4', applied('a-4'), { condition: version(2) }),
      write('x', 'x2', applied('a-2'), { condition: version(0) }),
      write('y', undefined, applied('a-5'), { condition: version(3) }),
    ],
  },
  {
    name: 'a refusal while the condition was false at one moment',
    writes: [write('x', 'n', { type: 'refused' }, { condition: version(2), mark: 'n', from: at(3), to: at(4) })],
  },
  {
    name: 'a failure that left nothing, an unknown outcome that left something',
    writes: [write('x', 'n', { type: 'failed' }, { mark: 'n' }), write('x', 'x4', { type: 'unknown' }, { mark: 'x4' })],
  },
  { name: 'an unchanged write', writes: [write('x', 'x4', { type: 'unchanged', etag: 'a-4' }, { condition: version(4) })] },
  {
    name: 'a write of a history that was rolled back, then a read of the restored one',
    histories: [HISTORY, RESTORED],
    writes: [write('x', 'x8', applied('a-8'))],
    reads: [read('x', 'b-7', { version: 7, content: 'x7' })],
  },
];

const BROKEN_REQUESTS: readonly (RequestCase & { readonly breaks: readonly Guarantee[] })[] = [
  {
    breaks: ['ReadYourWrites'],
    name: 'an older read after the write was acknowledged',
    writes: [write('x', 'x8', applied('a-8'))],
    reads: [read('x', 'a-5', X4)],
  },
  { breaks: ['ReadYourWrites'], name: 'an acknowledged write that the store does not have', writes: [write('x', 'lost', applied('a-4'))] },
  {
    breaks: ['ReadYourWrites'],
    name: 'an acknowledged deletion that the store does not have',
    writes: [write('x', undefined, applied('a-4'))],
  },
  { breaks: ['MonotonicReads'], name: 'a read below the position sent', reads: [read('x', 'a-4', X4, { minimum: 'a-8' })] },
  {
    breaks: ['MonotonicReads'],
    name: 'a read of another history than the position sent',
    histories: [HISTORY, RESTORED],
    reads: [read('x', 'b-7', { version: 7, content: 'x7' }, { minimum: 'a-6' })],
  },
  { breaks: ['Atomic'], name: 'a read that shows another state than it names', reads: [read('x', 'a-8', X4)] },
  { breaks: ['NoSilentLoss'], name: 'a read at a position of no history', reads: [read('x', 'c-4', X4)] },
  {
    breaks: ['ConditionalWrite'],
    name: 'a write on a condition that did not hold',
    writes: [write('x', 'x4', applied('a-4'), { condition: version(3) })],
  },
  {
    breaks: ['ConditionalWrite'],
    name: 'a write that must create and did not',
    writes: [write('x', 'x4', applied('a-4'), { condition: version(0) })],
  },
  {
    breaks: ['ConditionalWrite'],
    name: 'a false refusal',
    writes: [write('x', 'n', { type: 'refused' }, { condition: version(4), from: at(4), to: at(7) })],
  },
  {
    breaks: ['ConditionalWrite'],
    name: 'a refused write that stands all the same',
    writes: [write('x', 'x4', { type: 'refused' }, { condition: version(9), mark: 'x4' })],
  },
  {
    breaks: ['ConditionalWrite'],
    name: 'a write that failed for certain and stands all the same',
    writes: [write('x', 'x4', { type: 'failed' }, { mark: 'x4' })],
  },
  {
    breaks: ['ConditionalWrite'],
    name: 'two winners of one version',
    writes: [write('x', 'x4', applied('a-4')), write('x', 'x4', applied('a-4'), { node: 'm' })],
  },
];

describe('judge of requests', () => {
  for (const { name, ...good } of GOOD_REQUESTS) {
    it(`accepts ${name}`, () => expect(judge({ histories: [HISTORY], ...good })).toEqual([]));
  }
  for (const { name, breaks, ...broken } of BROKEN_REQUESTS) {
    it(`${breaks.join(', ')}: catches ${name}`, () => expect(brokenGuarantees({ histories: [HISTORY], ...broken })).toEqual(breaks));
  }
});

describe('judge of copies', () => {
  const items = new Map([
    ['x', X8],
    ['y', { version: 7, content: 'y7' }],
    ['z', { version: 3, content: 'z3' }],
  ]);

  it('accepts a copy that equals the store', () =>
    expect(judge({ histories: [HISTORY], copies: [{ name: 'mirror', items }] })).toEqual([]));

  it.each([
    ['an item too few', new Map([...items].slice(1))],
    ['an item too many', new Map([...items, ['w', { version: 9, content: 'w9' }]])],
    ['an older version', new Map([...items, ['x', X4]])],
  ])('Converges: catches a copy with %s', (_name, wrong) => {
    expect(brokenGuarantees({ histories: [HISTORY], copies: [{ name: 'mirror', items: wrong }] })).toEqual(['Converges']);
  });
});
