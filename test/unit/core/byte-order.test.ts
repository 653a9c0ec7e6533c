import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareBytes, prefixEnd, utf8Length } from '../../../src/core/byte-order.ts';
import { anyCharacter } from './characters.ts';

/** Strings that lean on the places where UTF-16 order and UTF-8 order part: surrogate pairs beside U+E000 to U+FFFF. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '',
      'a',
      '/',
      '\u0000',
      '\u007f',
      '\u0080',
      '\u07ff',
      '\u0800',
      '\ud7ff',
      '\ue000',
      '\ufffd',
      '\uffff',
      '😀',
      '\u{10000}',
      '\u{10ffff}',
    ),
    anyCharacter,
  ),
  maxLength: 12,
});

const bytesOrder = (a: string, b: string): number => Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe('compareBytes', () => {
  it('orders as Buffer.compare orders the UTF-8 bytes', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(bytesOrder(a, b));
      }),
      { numRuns: 5_000 },
    );
  });

  it('orders strings that share a beginning as Buffer.compare does', () => {
    fc.assert(
      fc.property(text, text, text, (start, a, b) => {
        expect(Math.sign(compareBytes(start + a, start + b))).toBe(bytesOrder(start + a, start + b));
      }),
      { numRuns: 2_000 },
    );
  });

  it('puts a code point above U+FFFF after U+FFFF, unlike the operator <', () => {
    expect(['\uffff', '\u{10000}'].sort()).toEqual(['\u{10000}', '\uffff']);
    expect(compareBytes('\u{10000}', '\uffff')).toBeGreaterThan(0);
    expect(compareBytes('\uffff', '\u{10000}')).toBeLessThan(0);
  });

  it('finds a string equal to itself only', () => {
    expect(compareBytes('a/b', 'a/b')).toBe(0);
    expect(compareBytes('a', 'a/b')).toBeLessThan(0);
    expect(compareBytes('e\u0301', '\u00e9')).not.toBe(0);
  });
});

describe('prefixEnd', () => {
  it('bounds exactly what starts with the prefix', () => {
    fc.assert(
      fc.property(text, text, fc.boolean(), (prefix, other, isUnder) => {
        const key = isUnder ? prefix + other : other;
        const end = prefixEnd(prefix);
        const isInRange = bytesOrder(key, prefix) >= 0 && (end === undefined || bytesOrder(key, end) < 0);
        expect(isInRange).toBe(key.startsWith(prefix));
      }),
      { numRuns: 5_000 },
    );
  });

  it('has no end for the empty prefix and for the highest code points', () => {
    expect(prefixEnd('')).toBeUndefined();
    expect(prefixEnd('\u{10ffff}\u{10ffff}')).toBeUndefined();
  });

  it('steps over the surrogates, which no key holds', () => {
    expect(prefixEnd('a\ud7ff')).toBe('a\ue000');
    expect(prefixEnd('a\u{10ffff}')).toBe('b');
  });
});

describe('utf8Length', () => {
  it('counts as Buffer.byteLength does, lone surrogates included', () => {
    const any = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) });
    fc.assert(
      fc.property(fc.oneof(text, any), (value) => {
        expect(utf8Length(value)).toBe(Buffer.byteLength(value));
      }),
      { numRuns: 3_000 },
    );
  });
});
