import { describe, expect, it } from 'vitest';
import { jsonLines, plainLines } from '../../../../src/cli/watch/lines.ts';
import { followChanges, type FollowOptions } from '../../../../src/cli/watch/follow.ts';
import type { Api, StreamOptions } from '../../../../src/client/api.ts';
import type { StreamFrame } from '../../../../src/client/event-stream.ts';
import { AttuneError, UnavailableError } from '../../../../src/core/errors.ts';

type Step = StreamFrame | Error;
const frame = (event: string, data: unknown, id?: string): StreamFrame => ({ event, id, data: JSON.stringify(data) });
const change = (version: number): StreamFrame =>
  frame('change', { revision: version, changes: [{ type: 'updated', key: 'a', newValue: version, version }] }, `e-${version}`);
const item = (version: number): unknown => ({ key: 'a', value: version, version });
const refused = new UnavailableError('cannot reach http://x: connection refused');

/** An API whose streams are these, one after the other; after the last one the caller is interrupted. */
function scripted(connections: readonly (readonly Step[])[], stop: AbortController) {
  const asked: StreamOptions[] = [];
  const openStream = async function* (options: StreamOptions = {}): AsyncGenerator<StreamFrame, void, undefined> {
    asked.push(options);
    const steps = connections[asked.length - 1];
    if (steps === undefined) {
      stop.abort(new Error('script ended'));
      throw stop.signal.reason;
    }
    if (!(steps[0] instanceof Error)) options.onOpen?.('http://x');
    for (const step of steps) {
      if (step instanceof Error) throw step;
      yield step;
    }
  };
  return { asked, api: { openStream } as unknown as Api };
}

async function follow(connections: readonly (readonly Step[])[], options: Partial<FollowOptions> = {}) {
  const stop = new AbortController();
  const { api, asked } = scripted(connections, stop);
  const lines: string[] = [];
  const told: string[] = [];
  const pauses: number[] = [];
  const events = followChanges(api, {
    selection: {},
    snapshot: false,
    signal: stop.signal,
    tell: (line) => told.push(line),
    pause: async (delayMs) => void pauses.push(delayMs),
    ...options,
  });
  let failure: unknown;
  try {
    for await (const event of events) lines.push(jsonLines(event));
  } catch (error) {
    failure = error;
  }
  return { lines, told, pauses, asked: asked.map(({ since, snapshot }) => ({ since, snapshot })), failure };
}

const shown = (version: number): string => `{"type":"updated","key":"a","newValue":${version},"version":${version}}`;
const shownItem = (version: number): string => `{"type":"item","key":"a","value":${version},"version":${version}}`;

describe('following changes', () => {
  it('resumes with the cursor of the last frame, and says what happened once', async () => {
    const { lines, asked, told } = await follow([
      [frame('synced', { revision: 1 }, 'e-1'), change(2), new UnavailableError('the stream broke')],
      [refused],
      [refused],
      [frame('synced', { revision: 2 }, 'e-2'), change(3)],
    ]);
    expect(lines).toEqual([shown(2), shown(3)]);
    expect(asked.map(({ since }) => since)).toEqual([undefined, 'e-2', 'e-2', 'e-2', 'e-3']);
    expect(told).toEqual(['the stream broke; reconnecting', 'connected again', 'the server ended the stream; reconnecting']);
  });

  it('advances with bookmarks, which print nothing', async () => {
    const { lines, asked } = await follow([[frame('synced', {}, 'e-1'), frame('bookmark', { revision: 9 }, 'e-9')]]);
    expect(lines).toEqual([]);
    expect(asked.at(-1)?.since).toBe('e-9');
  });

  it('prints a snapshot only when it is complete, and never twice', async () => {
    const { lines, asked } = await follow(
      [
        [frame('snapshot', { items: [item(1)] }), new UnavailableError('cut')],
        [
          frame('snapshot', { items: [item(1)] }),
          frame('snapshot', { items: [item(2)] }),
          frame('synced', {}, 'e-2'),
          new UnavailableError('cut'),
        ],
        [frame('synced', {}, 'e-2')],
      ],
      { snapshot: true },
    );
    expect(lines).toEqual([shownItem(1), shownItem(2)]);
    expect(asked.map(({ snapshot }) => snapshot)).toEqual([true, true, false, false]);
  });

  it('tells a reset and the state that follows it, even if that was cut before', async () => {
    const { lines, asked } = await follow([
      [
        frame('synced', {}, 'e-1'),
        frame('reset', { reason: 'slow' }),
        frame('snapshot', { items: [item(4)] }),
        new UnavailableError('cut'),
      ],
      [frame('reset', { reason: 'compacted' }), frame('snapshot', { items: [item(5)] }), frame('synced', {}, 'f-5'), change(6)],
    ]);
    expect(lines).toEqual(['{"type":"reset","reason":"compacted"}', shownItem(5), shown(6)]);
    expect(asked.map(({ since }) => since)).toEqual([undefined, 'e-1', 'e-6']);
  });

  it('forgets the part of a snapshot that a reset makes void', async () => {
    const frames = [frame('snapshot', { items: [item(1)] }), frame('reset', { reason: 'epoch' }), frame('snapshot', { items: [item(2)] })];
    const { lines } = await follow([[...frames, frame('synced', {}, 'e-2')]], { snapshot: true });
    expect(lines).toEqual(['{"type":"reset","reason":"epoch"}', shownItem(2)]);
  });

  it('begins where it is told to', async () => {
    expect((await follow([], { since: 'e-7' })).asked).toEqual([{ since: 'e-7', snapshot: false }]);
  });

  it('comes back no sooner than the server asks, and later and later where it is not there', async () => {
    const { pauses } = await follow([
      [frame('synced', {}, 'e-1'), frame('goaway', { retryMs: 5_000 })],
      ...Array.from({ length: 9 }, () => [refused]),
    ]);
    expect(pauses[0]).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(30_000);
    expect(pauses).toHaveLength(10);
  });

  it.each([
    ['the server was never there', [[refused]], refused],
    [
      'the server refuses later',
      [[frame('synced', {}, 'e-1')], [new AttuneError('UNAUTHENTICATED', 'no')]],
      new AttuneError('UNAUTHENTICATED', 'no'),
    ],
    [
      'what answers is no Attune server',
      [[frame('synced', {}, 'e-1')], [new AttuneError('PROTOCOL', 'no')]],
      new AttuneError('PROTOCOL', 'no'),
    ],
  ] as const)('fails if %s', async (_what, connections, expected) => {
    expect((await follow(connections)).failure).toEqual(expected);
  });

  it('ends with the reason of its signal', async () => {
    expect((await follow([])).failure).toEqual(new Error('script ended'));
  });

  it('tells once from when on nothing is missed', async () => {
    let live = 0;
    await follow([[frame('synced', {}, 'e-1')], [frame('synced', {}, 'e-1')]], { onLive: () => live++ });
    expect(live).toBe(1);
  });
});

describe('the lines of a watch', () => {
  const plain = plainLines((_style, text) => text);
  const lineOf = (members: Readonly<Record<string, string | boolean | null>>): string =>
    plain({ kind: 'change', change: new Map(Object.entries(members)) }).replace(/^\d\d:\d\d:\d\d/, 'hh:mm:ss');
  const timestamp = '2026-01-02T03:04:05.678Z';

  it.each([
    [{ type: 'created', key: 'a', oldValue: null, newValue: 'x', version: '1', timestamp }, 'hh:mm:ss + a = x  version "1"'],
    [{ type: 'updated', key: 'a', oldValue: 'x', newValue: '20', version: '1', timestamp }, 'hh:mm:ss ~ a = x -> "20"  version "1"'],
    [{ type: 'updated', key: 'a', newValue: true, version: '1', timestamp: null }, '--:--:-- ~ a = true  version "1"'],
    [{ type: 'deleted', key: 'a', oldValue: 'x', newValue: null, version: '1', timestamp }, 'hh:mm:ss - a  version "1"'],
  ])('%j', (members, expected) => {
    expect(lineOf(members)).toBe(expected);
  });

  it('say when changes may have been missed', () => {
    expect(plain({ kind: 'reset', reason: 'epoch' })).toBe('         ! changes may have been missed (epoch); the state now is:');
    expect(
      plain({
        kind: 'item',
        item: new Map([
          ['key', 'a'],
          ['value', 'x'],
        ]),
      }),
    ).toBe('         = a = x  version null');
  });
});
