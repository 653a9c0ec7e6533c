import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sliceJson } from '../../../src/client/json-slices.ts';

describe('sliceJson', () => {
  test('gives members as they were written', () => {
    const text = ' { "n" : 9007199254740993 , "s":"a,\\"}]\\u00e9", "o":{"x":[1, 2]} ,"e":{},"l":[ ],"f":1e400,"t":true}\n';
    expect(Object.fromEntries(sliceJson(text))).toEqual({
      n: '9007199254740993',
      s: '"a,\\"}]\\u00e9"',
      o: '{"x":[1, 2]}',
      e: '{}',
      l: '[ ]',
      f: '1e400',
      t: 'true',
    });
  });

  test('gives elements by position', () => {
    expect([...sliceJson('[1.0,"x" ,{"a":[]}, null]')]).toEqual([
      ['0', '1.0'],
      ['1', '"x"'],
      ['2', '{"a":[]}'],
      ['3', 'null'],
    ]);
  });

  test.each(['5', '"x"', 'null', ' true '])('of the scalar %s is empty', (text) => {
    expect(sliceJson(text).size).toBe(0);
  });

  test('the last member of a name counts, as in JSON.parse', () => {
    expect(sliceJson('{"a":1,"a":2}').get('a')).toBe('2');
  });

  test('decodes escaped names', () => {
    expect(sliceJson('{"\\u0061\\"":1}').get('a"')).toBe('1');
  });

  test('does not mind depth', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    expect(sliceJson(`{"deep":${deep}}`).get('deep')).toBe(deep);
  });

  test('of any JSON text parse to its members', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1, 2), (json, indent) => {
        const value: unknown = JSON.parse(json);
        const text = JSON.stringify(value, null, indent);
        const expected = typeof value === 'object' && value !== null ? Object.entries(value) : [];
        expect([...sliceJson(text)].map(([name, slice]) => [name, JSON.parse(slice)])).toEqual(
          expected.map(([name, member]) => [name, member]),
        );
      }),
      { numRuns: 500 },
    );
  });
});
