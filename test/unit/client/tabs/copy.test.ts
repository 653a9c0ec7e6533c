import { describe, expect, test } from 'vitest';
import type { ServerFrame } from '../../../../src/client/frames.ts';
import { Copy } from '../../../../src/client/tabs/copy.ts';
import type { Revision } from '../../../../src/core/revision.ts';
import { deleted, item, updated } from '../wire-samples.ts';

const at = (revision: number, epoch = 'e') => ({ cursor: `${epoch}-${revision}`, revision: revision as Revision });

function copyOf(...frames: readonly ServerFrame[]): Copy {
  const copy = new Copy();
  for (const frame of frames) copy.take(frame);
  return copy;
}

const WHOLE: readonly ServerFrame[] = [
  { kind: 'snapshot', revision: 5 as Revision, items: [item('a', 1, 3), item('b', 1, 4)] },
  { kind: 'synced', ...at(5), count: 2 },
];

/** Keys and versions of a welcome. */
function told(frames: readonly ServerFrame[]): readonly unknown[] {
  return frames.map((frame) =>
    frame.kind === 'snapshot'
      ? frame.items.map(({ key, version }) => `${key}@${version}`)
      : frame.kind === 'reset'
        ? frame.reason
        : frame.kind,
  );
}

describe('what a tab hands on to one that joins', () => {
  test('is nothing until its own state is whole', () => {
    expect(copyOf().framesFor(undefined)).toEqual([]);
    expect(copyOf({ kind: 'snapshot', revision: 5 as Revision, items: [] }).framesFor(undefined)).toEqual([]);
    expect(copyOf(...WHOLE, { kind: 'reset', reason: 'epoch' }).framesFor(undefined)).toEqual([]);
  });

  test('is the state as all frames have left it, and where it stands', () => {
    const copy = copyOf(
      ...WHOLE,
      { kind: 'change', ...at(7), changes: [updated('a', 2, 6), deleted('b', 7)] },
      { kind: 'bookmark', ...at(9) },
    );
    expect(told(copy.framesFor(undefined))).toEqual([['a@6'], 'synced']);
    expect(copy.framesFor(undefined).at(-1)).toEqual({ kind: 'synced', ...at(9), count: 1 });
  });

  test('begins with a reset for one that knows something: of the same history, or of another', () => {
    expect(told(copyOf(...WHOLE).framesFor('e-2'))).toEqual(['compacted', ['a@3', 'b@4'], 'synced']);
    expect(told(copyOf(...WHOLE).framesFor('f-2'))).toEqual(['epoch', ['a@3', 'b@4'], 'synced']);
  });

  test('is the new state after a reset, and nothing of the old one', () => {
    const copy = copyOf(
      ...WHOLE,
      { kind: 'reset', reason: 'epoch' },
      { kind: 'snapshot', revision: 2 as Revision, items: [item('c', 1, 2)] },
      { kind: 'synced', ...at(2, 'f'), count: 1 },
    );
    expect(told(copy.framesFor(undefined))).toEqual([['c@2'], 'synced']);
  });
});
