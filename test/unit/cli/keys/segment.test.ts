import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSegment, encodeSegment } from '../../../../src/cli/keys/segment.ts';
import { isCanonical } from '../../../../src/cli/keys/flatten.ts';
import { keyProblem } from '../../../../src/core/key.ts';

/** Names made of what the encoding treats specially, so that every combination of two or three comes up. */
const trickyName = fc.array(
  fc.constantFrom(
    '~',
    '0',
    '1',
    'u',
    '002e',
    '0041',
    '.',
    '..',
    '/',
    'attune',
    '.attune',
    'a',
    '\u0000',
    '\u0085',
    '\u009f',
    '\ud83d',
    '\ude00',
    '%',
    ' ',
  ),
  { maxLength: 6 },
);
const anyName = fc.oneof(
  trickyName.map((parts) => parts.join('')),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
);

describe('the encoding of a name into a segment', () => {
  it('comes back from every name', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        expect(decodeSegment(encodeSegment(name))).toBe(name);
      }),
      { numRuns: 20_000 },
    );
  });

  it('gives one valid segment for every name, short of length', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const segment = encodeSegment(name);
        expect(segment).not.toContain('/');
        if (segment.length < 150) expect(keyProblem(segment)).toBeUndefined();
      }),
      { numRuns: 20_000 },
    );
  });

  it.each([
    ['db', 'db'],
    ['pool-size', 'pool-size'],
    ['tsconfig.json', 'tsconfig.json'],
    ['é \u{1f600}', 'é \u{1f600}'],
    ['100%', '100%'],
    ['__proto__', '__proto__'],
    ['', '~'],
    ['~', '~0'],
    ['~~', '~~'],
    ['backup~', 'backup~'],
    ['~alice', '~alice'],
    ['~0', '~00'],
    ['~1', '~01'],
    ['~u0041', '~0u0041'],
    ['~u004', '~u004'],
    ['.', '~u002e'],
    ['..', '~u002e.'],
    ['...', '...'],
    ['.attune', '~u002eattune'],
    ['x.attune', 'x~u002eattune'],
    ['.attune.attune', '.attune~u002eattune'],
    ['.attune.x', '.attune.x'],
    ['a/b', 'a~1b'],
    ['/', '~1'],
    ['node_modules/@scope/name', 'node_modules~1@scope~1name'],
    ['a\nb', 'a~u000ab'],
    ['\u0000', '~u0000'],
    ['\u009f', '~u009f'],
    ['\ud83d', '~ud83d'],
  ])('writes %j as %j', (name, segment) => {
    expect(encodeSegment(name)).toBe(segment);
    expect(decodeSegment(segment)).toBe(name);
  });

  it.each(['~u0041', 'a~0b', '~u002', 'a/~1/~u00E9', '~0~0'])('tells whether import would write %j itself', (key) => {
    const rewritten = key
      .split('/')
      .map((segment) => encodeSegment(decodeSegment(segment)))
      .join('/');
    expect(isCanonical(key)).toBe(rewritten === key);
  });

  it('calls a segment canonical exactly if it is one that import writes', () => {
    expect(['x', 'a~', '~', 'a~1b/~u0000', '~u002e'].map(isCanonical)).toEqual([true, true, true, true, true]);
    expect(['~u0041', 'a~0b', '~u002ex'].map(isCanonical)).toEqual([false, false, false]);
  });
});
