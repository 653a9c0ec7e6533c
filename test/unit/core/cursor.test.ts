import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCursor, parseCursor, tryParseCursor } from '../../../src/core/cursor.ts';
import type { Revision } from '../../../src/core/revision.ts';

const epoch = fc.string({ unit: fc.constantFrom('A', 'B', 'Z', 'd', 'z', '0', '1', '9', '_'), minLength: 1, maxLength: 32 });

describe('a cursor', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(epoch, fc.maxSafeNat(), (id, revision) => {
        const cursor = { epoch: id, revision: revision as Revision };
        expect(tryParseCursor(formatCursor(cursor))).toEqual(cursor);
      }),
    );
  });

  it('has one spelling: what is read is written the same', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          epoch.map((id) => `${id}-007`),
          fc.tuple(epoch, fc.nat()).map(([id, n]) => `${id}-${n}`),
        ),
        (text) => {
          const cursor = tryParseCursor(text);
          if (cursor) expect(formatCursor(cursor)).toBe(text);
        },
      ),
    );
  });

  it.each([
    '',
    '-',
    'a-',
    '-1',
    'a',
    '41',
    'a-01',
    'a--1',
    'a-1.5',
    'a-1e3',
    'a-1 ',
    ' a-1',
    'a-1\n',
    'a-9007199254740992',
    'a-99999999999999999',
    'a-b-1',
    'é-1',
    `${'a'.repeat(33)}-1`,
    'a-0x1',
    'a-+1',
  ])('is refused when it is %j', (text) => {
    expect(tryParseCursor(text)).toBeUndefined();
    expect(() => parseCursor(text)).toThrow('is not a cursor');
  });

  it('takes the largest safe revision and zero', () => {
    expect(tryParseCursor('a-9007199254740991')?.revision).toBe(Number.MAX_SAFE_INTEGER);
    expect(tryParseCursor('a-0')?.revision).toBe(0);
  });

  it('names the parameter it came from', () => {
    expect(() => parseCursor('x', 'cursor')).toThrow("cursor='x'");
  });
});
