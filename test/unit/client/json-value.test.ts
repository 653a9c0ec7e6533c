import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../../src/core/item.ts';
import { canonicalJson } from '../../../src/core/json-text.ts';
import { jsonProblem, sameJson } from '../../../src/client/json-value.ts';

const jsonValue = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as JsonValue);

describe('sameJson', () => {
  test('is true of a value and its copy', () => {
    fc.assert(fc.property(jsonValue, (value) => sameJson(value, structuredClone(value))));
  });

  test('is what a comparison of canonical texts says', () => {
    const canonical = (value: JsonValue): string => canonicalJson(JSON.stringify(value));
    fc.assert(
      fc.property(jsonValue, jsonValue, (a, b) => sameJson(a, b) === (canonical(a) === canonical(b))),
      { numRuns: 500 },
    );
  });

  test.each<readonly [JsonValue, JsonValue, boolean]>([
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    [[1, 2], [2, 1], false],
    [{}, [], false],
    [[], {}, false],
    [{ a: null }, {}, false],
    [{ a: null }, { b: null }, false],
    [null, 0, false],
    ['1', 1, false],
    [[1], [1, 2], false],
    [{ toString: 1 }, {}, false],
  ])('of %j and %j is %s', (a, b, expected) => {
    expect(sameJson(a, b)).toBe(expected);
  });
});

describe('jsonProblem', () => {
  test('accepts JSON', () => {
    fc.assert(fc.property(jsonValue, (value) => jsonProblem(value) === undefined));
  });

  test('accepts an optional member that is not there', () => {
    expect(jsonProblem({ a: undefined })).toBeUndefined();
  });

  test.each([
    [undefined, 'the value is undefined, which JSON does not have'],
    [Number.NaN, 'the value is NaN, which JSON does not have'],
    [{ a: [1, Infinity] }, 'the value.a.1 is Infinity, which JSON does not have'],
    [() => 1, 'the value is a function, which JSON does not have'],
    [10n, 'the value is a bigint, which JSON does not have'],
    [[undefined], 'the value.0 is undefined, which JSON does not have'],
    [{ at: new Date(0) }, 'the value.at is an instance of a class; give a plain object'],
    [new Map(), 'the value is an instance of a class; give a plain object'],
  ])('says why %o is none', (value, problem) => {
    expect(jsonProblem(value)).toBe(problem);
  });
});
