import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../../../../src/cli/formats/json.ts';
import { formatToml, parseToml } from '../../../../src/cli/formats/toml.ts';
import { NumberToken, type TreeObject } from '../../../../src/cli/formats/tree.ts';
import { anyTreeObject, comparable } from '../trees.ts';

const fitting = fc
  .oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => `${value}e0`.replace(/e([+-]\d+)e0$/, 'e$1')),
  )
  .map((token) => new NumberToken(token));
const json = (text: string): unknown => comparable(parseJson(text, 'f.json'));

describe('the TOML format', () => {
  it('reads back what it writes: integers to the digit, floats to the double', () => {
    const byValue = (token: string): unknown => (/[.e]/.test(token) ? `float ${Number(token) + 0}` : BigInt(token));
    fc.assert(
      fc.property(anyTreeObject({ nulls: false, numbers: fitting }), (tree) => {
        const parsed = parseToml(formatToml(tree), 'f.toml');
        expect(comparable(parsed.tree, byValue)).toEqual(comparable(tree, byValue));
        expect(parsed.notes).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['tables and arrays of tables', '[a]\nb = 1\n[[c]]\nd = 2\n[[c]]\n', '{"a":{"b":1},"c":[{"d":2},{}]}'],
    ['floats as floats', 'a = 1.0\nb = 1e3\nc = 1.5', '{"a":1.0,"b":1000.0,"c":1.5}'],
    ['large integers', 'a = 9007199254740993\nb = 0xFF\nc = 1_000', '{"a":9007199254740993,"b":255,"c":1000}'],
    ['a member called __proto__', '"__proto__" = 1', '{"__proto__":1}'],
  ])('reads %s', (_what, text, expected) => {
    expect(comparable(parseToml(text, 'f.toml').tree)).toEqual(json(expected));
  });

  it('notes dates, infinities and not-a-number, and keeps their text', () => {
    const { tree, notes } = parseToml('a = 1979-05-27\nb = 1979-05-27T07:32:00-08:00\nc = inf\nd = -inf\ne = nan', 'f.toml');
    expect(comparable(tree)).toEqual(json('{"a":"1979-05-27","b":"1979-05-27T07:32:00.000-08:00","c":"inf","d":"-inf","e":"nan"}'));
    expect(notes).toHaveLength(5);
  });

  it.each([
    ['a = 1\na = 2', /^f\.toml:2:1: trying to redefine/],
    ['a = [1, ', /^f\.toml:1:/],
    ['a = zzz', /^f\.toml:1:/],
  ])('refuses %j with line and column', (text, message) => {
    expect(() => parseToml(text, 'f.toml')).toThrow(
      expect.objectContaining({ code: 'INVALID_BODY', message: expect.stringMatching(message) as string }),
    );
  });

  it.each<[string, TreeObject, RegExp]>([
    ['a null', new Map([['a', new Map([['b', null]])]]), /'a\/b' is null, which TOML does not have/],
    [
      'an integer beyond 64 bits',
      new Map([['a', [new NumberToken('9223372036854775808')]]]),
      /'a\/0' is 9223372036854775808, beyond the 64 bits/,
    ],
  ])('refuses to write %s', (_what, tree, message) => {
    expect(() => formatToml(tree)).toThrow(message);
  });
});
