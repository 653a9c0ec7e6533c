import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../src/core/errors.ts';
import { isKey, keyProblem, MAX_KEY_BYTES, parseKey, prefixProblem, quoteForMessage } from '../../../src/core/key.ts';

/** The grammar once more, in the most obvious words. */
function isKeyByTheBook(text: string): boolean {
  const bytes = Buffer.from(text);
  if (bytes.toString() !== text || bytes.length < 1 || bytes.length > 512) return false;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) return false;
  }
  return text.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..' && !segment.endsWith('.attune'));
}

const anyUnit = fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit));
const keyish = fc.string({
  unit: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', 'B', '0', '/', '.', '-', '_', ' ', '%', 'é', '😀', '.attune') },
    { weight: 1, arbitrary: anyUnit },
  ),
  maxLength: 30,
});

describe('keyProblem', () => {
  it('agrees with the grammar for any text', () => {
    fc.assert(
      fc.property(fc.oneof(keyish, fc.string({ unit: anyUnit, maxLength: 6 })), (text) => {
        expect(isKey(text)).toBe(isKeyByTheBook(text));
      }),
      { numRuns: 10_000 },
    );
  });

  it.each([
    'a',
    'app/pool-size',
    'a/b/c/d/e',
    'a.b',
    '.hidden',
    '...',
    'a..b',
    'a./b',
    'with space',
    ' ',
    'a%2Fb',
    'a+b',
    'a?b#c',
    'ключ/значение',
    '😀/x',
    'e\u0301',
    '\u00e9',
    '\u00a0',
    '\ue000',
    '\u{10ffff}',
    '\u2028',
    'attune',
    '.attuned',
    '.attune.d/x',
    'x.Attune',
    '__proto__',
    'constructor/toString',
  ])('takes %j', (text) => {
    expect(keyProblem(text)).toBeUndefined();
    expect(parseKey(text)).toBe(text);
  });

  it.each([
    ['', 'at least one character'],
    ['/', 'empty segment'],
    ['/a', 'empty segment'],
    ['a/', 'empty segment'],
    ['a//b', 'empty segment'],
    ['.', '"." segment'],
    ['a/.', '"." segment'],
    ['./a', '"." segment'],
    ['..', '".." segment'],
    ['a/../b', '".." segment'],
    ['a/..', '".." segment'],
    ['a\u0000b', 'control'],
    ['a\nb', 'control'],
    ['a\n', 'control'],
    ['\t', 'control'],
    ['a\u007f', 'control'],
    ['a\u0080', 'control'],
    ['a\u009f/b', 'control'],
    ['\ud800', 'surrogate'],
    ['a\udc00b', 'surrogate'],
    ['\udc00\ud800', 'surrogate'],
    ['.attune', 'reserved'],
    ['.attune/x', 'reserved'],
    ['a/.attune', 'reserved'],
    ['a/b/.attune/c', 'reserved'],
    ['x.attune', 'reserved'],
    ['a/x.attune/b', 'reserved'],
  ])('refuses %j and names the rule', (text, rule) => {
    expect(keyProblem(text)).toContain(rule);
  });

  it('counts bytes of UTF-8, not characters', () => {
    expect(isKey('a'.repeat(MAX_KEY_BYTES))).toBe(true);
    expect(isKey('a'.repeat(MAX_KEY_BYTES + 1))).toBe(false);
    expect(isKey('é'.repeat(256))).toBe(true);
    expect(isKey(`${'é'.repeat(256)}a`)).toBe(false);
    expect(isKey('😀'.repeat(128))).toBe(true);
    expect(keyProblem(`${'😀'.repeat(128)}a`)).toContain('this one is 513');
    expect(isKey(`${'a'.repeat(255)}/${'b'.repeat(256)}`)).toBe(true);
    expect(isKey(`${'a'.repeat(256)}/${'b'.repeat(256)}`)).toBe(false);
  });

  it('does not normalise: two spellings of one letter are two keys', () => {
    expect(parseKey('e\u0301')).not.toBe(parseKey('\u00e9'));
  });
});

describe('parseKey', () => {
  it('throws INVALID_KEY with the key and the rule in its message', () => {
    let thrown: unknown;
    try {
      parseKey('a//b');
    } catch (error) {
      thrown = error;
    }
    expect(isAttuneError(thrown, 'INVALID_KEY')).toBe(true);
    expect((thrown as Error).message).toContain("'a//b'");
    expect((thrown as Error).message).toContain('empty segment');
  });
});

describe('prefixProblem', () => {
  it('takes every beginning of every key', () => {
    fc.assert(
      fc.property(keyish.filter(isKeyByTheBook), fc.nat(), (key, length) => {
        const points = [...key];
        expect(prefixProblem(points.slice(0, length % (points.length + 1)).join(''))).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['/', '/a', 'a//', 'a//b', 'a\u0000', 'a\u0085', '\ud800', 'x'.repeat(513)])('refuses %j, with which no key begins', (prefix) => {
    expect(prefixProblem(prefix)).toEqual(expect.any(String));
  });
});

describe('quoteForMessage', () => {
  it('shows control characters and line separators escaped, on one line', () => {
    expect(quoteForMessage('a\n\u0000\u0085\u2028b')).toBe("'a\\u000a\\u0000\\u0085\\u2028b'");
  });

  it('cuts what is too long', () => {
    expect(quoteForMessage('x'.repeat(1_000)).length).toBeLessThan(130);
  });

  it('never cuts a surrogate pair in half', () => {
    fc.assert(
      fc.property(fc.nat({ max: 3 }), (shift) => {
        const shown = quoteForMessage('x'.repeat(shift) + '😀'.repeat(200));
        expect(Buffer.from(shown).toString()).toBe(shown);
      }),
    );
  });
});
