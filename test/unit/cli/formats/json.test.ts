import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatJson, parseJson } from '../../../../src/cli/formats/json.ts';
import { NumberToken } from '../../../../src/cli/formats/tree.ts';
import { anyTreeObject, comparable } from '../trees.ts';

describe('the JSON format', () => {
  it('reads back what it writes, numbers to the digit, indented or not', () => {
    fc.assert(
      fc.property(anyTreeObject(), fc.constantFrom(0, 2), (tree, indent) => {
        const text = formatJson(tree, indent);
        expect(comparable(parseJson(text, 'x'))).toEqual(comparable(tree));
        JSON.parse(text);
      }),
      { numRuns: 500 },
    );
  });

  it('accepts exactly the texts that JSON.parse accepts', () => {
    const nearJson = fc.array(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"a"',
        '"\\u0041"',
        '"\n"',
        '"\\x"',
        '0',
        '-',
        '01',
        '1.',
        '1e5',
        'true',
        'nul',
        ' ',
        '\t',
        '\ufeff',
      ),
      {
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          nearJson.map((parts) => parts.join('')),
          fc.json(),
        ),
        (text) => {
          let expected = true;
          try {
            JSON.parse(text);
          } catch {
            expected = false;
          }
          let actual = true;
          try {
            parseJson(text, 'x');
          } catch (error) {
            // Stricter on purpose in this alone.
            actual = String(error).includes('stands twice') ? expected : false;
          }
          expect(actual).toBe(expected);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('keeps an array and an object on one line each when compact', () => {
    const tree = new Map([['a', [new NumberToken('1.10'), new Map([['b', null]])]]]);
    expect(formatJson(tree)).toBe('{"a":[1.10,{"b":null}]}');
  });

  it.each([
    ['{"a": 1,\n "a": 2}', "f.json:2:2: the name 'a' stands twice in one object"],
    ['{"a": }', 'f.json:1:7: a value is expected'],
    ['{"a": 1', 'f.json:1:8: "," or "}" is expected, but the text ends here'],
    ['[1 2]', 'f.json:1:4: "," or "]" is expected'],
    ['{a: 1}', 'f.json:1:2: a member name in double quotes is expected'],
    ['{"a" 1}', 'f.json:1:6: ":" is expected'],
    ['1 2', 'f.json:1:3: something follows the value'],
    ['"a', 'f.json:1:1: this string does not end, holds a control character or an unknown escape'],
    ['', 'f.json:1:1: a value is expected, but the text ends here'],
    ['['.repeat(100_000), 'f.json:1:458: nested deeper than 456 levels'],
  ])('tells where %j is wrong', (text, message) => {
    expect(() => parseJson(text, 'f.json')).toThrow(expect.objectContaining({ code: 'INVALID_BODY', message }));
  });
});
