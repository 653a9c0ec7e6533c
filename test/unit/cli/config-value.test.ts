import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flatTextOf, treeOfValue, valueOfFlatText, valueOfTree, valueProblem } from '../../../src/cli/config-value.ts';
import { parseJson } from '../../../src/cli/formats/json.ts';
import { anyText, anyTreeObject, comparable } from './trees.ts';

describe('a value to be stored', () => {
  it('gives its tree back', () => {
    fc.assert(
      fc.property(anyTreeObject(), (object) => {
        for (const tree of object.values()) expect(comparable(treeOfValue(valueOfTree(tree)))).toEqual(comparable(tree));
      }),
    );
  });

  it('gives the text of a flat file back, whatever it was taken for', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.json()), (text) => {
        expect(flatTextOf(valueOfFlatText(text))).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['20', 'json'],
    ['true', 'json'],
    ['null', 'json'],
    ['[1, 2]', 'json'],
    ['{"a": 1}', 'json'],
    ['{"a": 1, "a": 2}', 'text'],
    ['[1,\n2]', 'text'],
    ['1.10', 'text'],
    ['007', 'text'],
    ['9007199254740993', 'text'],
    [' 20', 'text'],
    ['"quoted"', 'text'],
    ['hello', 'text'],
    ['', 'text'],
  ])('from a flat file: %j is %s', (text, kind) => {
    expect(valueOfFlatText(text)).toEqual({ kind, text });
  });

  it('of a string in JSON has no quotes in a flat file', () => {
    expect(flatTextOf({ kind: 'json', text: '"a\\nb"' })).toBe('a\nb');
  });

  it.each([
    ['"\\ud800"', 'the text holds half a surrogate pair'],
    ['["\\ud800"]', 'the string holds half a surrogate pair (at /0)'],
    ['[1e999]', '1e999 is beyond the range of a number; send it as a string (at /0)'],
    [`${'['.repeat(201)}${']'.repeat(201)}`, 'nested deeper than 200 levels'],
    ['[1]', undefined],
    ['"x"', undefined],
  ])('%# that the server would refuse is known before', (text, problem) => {
    expect(valueProblem(valueOfTree(parseJson(text, 'x')))).toBe(problem);
  });
});
