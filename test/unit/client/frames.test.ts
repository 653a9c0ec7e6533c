import { describe, expect, test } from 'vitest';
import { isAttuneError } from '../../../src/core/errors.ts';
import { parseFrame } from '../../../src/client/frames.ts';
import { created, deleted, item } from './wire-samples.ts';

const parse = (event: string, data: unknown, id?: string) =>
  parseFrame({ event, id, data: typeof data === 'string' ? data : JSON.stringify(data) });

describe('parseFrame', () => {
  test.each([
    ['snapshot', { revision: 7, items: [item('a', 1, 7)] }, undefined, { kind: 'snapshot', revision: 7, items: [item('a', 1, 7)] }],
    ['synced', { revision: 7, count: 1 }, 'e-7', { kind: 'synced', cursor: 'e-7', revision: 7, count: 1 }],
    [
      'change',
      { revision: 8, changes: [deleted('a', 8)] },
      'e-8',
      { kind: 'change', cursor: 'e-8', revision: 8, changes: [deleted('a', 8)] },
    ],
    ['bookmark', { revision: 9 }, 'e-9', { kind: 'bookmark', cursor: 'e-9', revision: 9 }],
    ['reset', { reason: 'epoch' }, undefined, { kind: 'reset', reason: 'epoch' }],
    ['status', { state: 'stale', since: '1970-01-01T00:00:01Z' }, undefined, { kind: 'status', state: 'stale', since: 1_000 }],
    ['status', { state: 'live', since: 'yesterday' }, undefined, { kind: 'status', state: 'live', since: undefined }],
    ['goaway', { retryMs: 100 }, undefined, { kind: 'goaway', retryMs: 100 }],
  ] as const)('understands %s %o', (event, data, id, frame) => {
    expect(parse(event, data, id)).toEqual(frame);
  });

  test('passes over an event of a name it does not know', () => {
    expect(parse('party', 'not even JSON')).toBeUndefined();
  });

  test('says of each change of a frame with a gap that versions before it may be missing', () => {
    const data = { revision: 8, changes: [deleted('a', 7), created('b', 1, 8)] };
    const gap = data.changes.map((change) => ({ ...change, gap: true }));
    expect(parse('change', { ...data, gap: true }, 'e-8')).toMatchObject({ changes: gap });
    expect(parse('change', { ...data, gap: false }, 'e-8')).toEqual({ kind: 'change', cursor: 'e-8', ...data });
  });

  test('lets members pass that it does not know', () => {
    expect(parse('bookmark', { revision: 9, colour: 'red' }, 'e-9')).toMatchObject({ revision: 9 });
    expect(parse('change', { revision: 8, changes: [{ ...created('a', 1, 8), reason: 'x' }] }, 'e-8')).toMatchObject({ kind: 'change' });
  });

  const bad: readonly { readonly event: string; readonly data: unknown; readonly id?: string }[] = [
    { event: 'change', data: '{"revision":8,"changes":[', id: 'e-8' },
    { event: 'change', data: '', id: 'e-8' },
    { event: 'change', data: [], id: 'e-8' },
    { event: 'change', data: null, id: 'e-8' },
    { event: 'change', data: { revision: 8 }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: {} }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: [null] }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: [{ ...created('a', 1, 8), type: 'moved' }] }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: [{ ...created('a', 1, 8), newValue: undefined }] }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: [{ ...created('a', 1, 8), version: '8' }] }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: [{ ...created('a', 1, 8), version: 2 ** 53 }] }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: [{ ...created('a', 1, 8), key: 8 }] }, id: 'e-8' },
    { event: 'change', data: { revision: -1, changes: [] }, id: 'e-8' },
    { event: 'change', data: { revision: 8, changes: [] } },
    { event: 'change', data: { revision: 8, changes: [] }, id: '' },
    { event: 'change', data: { revision: 8, changes: [] }, id: 'e 8' },
    { event: 'change', data: { revision: 8, changes: [] }, id: 'é-8' },
    { event: 'synced', data: { revision: 8, count: 0 } },
    { event: 'synced', data: { revision: 8 }, id: 'e-8' },
    { event: 'bookmark', data: { revision: 8 } },
    { event: 'bookmark', data: { revision: 1.5 }, id: 'e-8' },
    { event: 'snapshot', data: { revision: 8, items: [{ key: 'a' }] } },
    { event: 'snapshot', data: { revision: 8, items: [{ ...item('a', 1, 8), value: undefined }] } },
    { event: 'reset', data: {} },
    { event: 'status', data: { state: 'dancing' } },
    { event: 'goaway', data: {} },
    { event: 'goaway', data: { retryMs: -1 } },
  ];
  test('quotes nothing of data that is no JSON: it may hold values', () => {
    const data = '{"revision":8,"changes":[{"newValue":"hunter2"},x]}';
    let thrown: unknown;
    try {
      parseFrame({ event: 'change', id: 'e-8', data });
    } catch (error) {
      thrown = error;
    }
    expect(isAttuneError(thrown, 'PROTOCOL')).toBe(true);
    expect(`${String(thrown)} ${String((thrown as Error).cause)}`).not.toContain('hunter2');
  });

  test.each(bad)('refuses $event $data with id $id, never skips it', ({ event, data, id }) => {
    let thrown: unknown;
    try {
      parse(event, data, id);
    } catch (error) {
      thrown = error;
    }
    expect(isAttuneError(thrown, 'PROTOCOL')).toBe(true);
  });
});
