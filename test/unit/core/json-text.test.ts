import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, checkJson, MAX_JSON_DEPTH, prettyJson, singleLineJson } from '../../../src/core/json-text.ts';
import { anyCharacter } from './characters.ts';

const json = fc.json({ stringUnit: anyCharacter });
const spaces = fc.string({ unit: fc.constantFrom(' ', '\t', '\r', '\n'), maxLength: 3 });

/** A value written with white space between all of its tokens and its members in another order. */
function respell(value: unknown, space: () => string): string {
  const pad = (text: string): string => space() + text + space();
  if (Array.isArray(value)) return pad(`[${value.map((element) => respell(element, space)).join(',') || space()}]`);
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).reverse();
    return pad(`{${members.map(([name, member]) => `${pad(JSON.stringify(name))}:${respell(member, space)}`).join(',') || space()}}`);
  }
  return pad(JSON.stringify(value));
}

const respelled = fc.tuple(json, fc.infiniteStream(spaces)).map(([text, stream]) => {
  const iterator = stream[Symbol.iterator]();
  return { value: JSON.parse(text) as unknown, text: respell(JSON.parse(text), () => iterator.next().value as string) };
});

const depth = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

describe('checkJson', () => {
  it('takes whatever JSON.stringify writes of well-formed values', () => {
    fc.assert(
      fc.property(json, (text) => {
        expect(checkJson(text).ok).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses exactly what JSON.parse refuses, among texts of odd tokens', () => {
    const unit = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '1',
      '-',
      '.',
      'e5',
      'true',
      'null',
      ' ',
      '\n',
      '\\',
      '"',
      '\u00a0',
      '\ufeff',
      '01',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 10 }), (text) => {
        let parses = true;
        try {
          JSON.parse(text);
        } catch {
          parses = false;
        }
        const check = checkJson(text);
        if (!parses) expect(check.ok).toBe(false);
        else if (!check.ok) expect(check.problem.detail).toMatch(/stands twice|surrogate|beyond the range/);
      }),
      { numRuns: 5_000 },
    );
  });

  it('gives the top-level members of an object as they are written', () => {
    const check = checkJson(' { "value" : [ 1.10 , 9007199254740993 ] , "a\\u0062" :\n"x\\/y" } ');
    expect(check.ok && [...(check.members ?? [])]).toEqual([
      ['value', '[ 1.10 , 9007199254740993 ]'],
      ['ab', '"x\\/y"'],
    ]);
    for (const text of ['[]', '1', '"a"', 'null']) expect(checkJson(text)).toEqual({ ok: true });
  });

  it.each([
    ['{"a":1,"a":2}', '/a'],
    ['{"a":1,"\\u0061":2}', '/a'],
    ['[{"x":{"b":1,"b":1}}]', '/0/x/b'],
    ['{"a/b":1,"a/b":2}', '/a~1b'],
    ['{"a~b":1,"a~b":2}', '/a~0b'],
    ['{"":1,"":2}', '/'],
    ['{"__proto__":1,"__proto__":2}', '/__proto__'],
  ])('refuses a member that stands twice: %s at %s', (text, pointer) => {
    expect(checkJson(text)).toEqual({ ok: false, problem: { pointer, detail: expect.stringContaining('twice') } });
  });

  it('takes one name in two different objects', () => {
    expect(checkJson('[{"a":1},{"a":{"a":1}}]').ok).toBe(true);
  });

  it.each([
    ['"\\ud800"', ''],
    ['["ok","\\udc00"]', '/1'],
    ['{"a":"\\ud800\\u0041"}', '/a'],
    ['"\ud800"', ''],
    ['{"\\ud83d":1}', ''],
  ])('refuses half a surrogate pair: %j at %j', (text, pointer) => {
    expect(checkJson(text)).toEqual({ ok: false, problem: { pointer, detail: expect.stringContaining('surrogate') } });
  });

  it('takes whole surrogate pairs, escaped or not', () => {
    expect(checkJson('["\\ud83d\\ude00","😀"]').ok).toBe(true);
  });

  it.each(['1e999', '-1e400', `1${'0'.repeat(400)}`])('refuses a number beyond the range of a double: %s', (number) => {
    expect(checkJson(`{"a":[${number}]}`)).toEqual({
      ok: false,
      problem: { pointer: '/a/0', detail: expect.stringContaining('beyond the range') },
    });
  });

  it.each(['1e308', '-1.7976931348623157e308', '5e-324', '1e-400', '9007199254740993', '0.1', '-0', '1E+2'])('takes %s', (number) => {
    expect(checkJson(number).ok).toBe(true);
  });

  it(`takes ${MAX_JSON_DEPTH} levels and not one more`, () => {
    expect(checkJson(depth(MAX_JSON_DEPTH)).ok).toBe(true);
    expect(checkJson(depth(MAX_JSON_DEPTH + 1)).ok).toBe(false);
    expect(checkJson(`${'{"a":'.repeat(MAX_JSON_DEPTH)}1${'}'.repeat(MAX_JSON_DEPTH)}`).ok).toBe(true);
    expect(checkJson(depth(500_000)).ok).toBe(false);
  });
});

describe('canonicalJson', () => {
  it('is equal for texts that differ in white space and order of members only', () => {
    fc.assert(
      fc.property(respelled, ({ value, text }) => {
        expect(canonicalJson(text)).toBe(canonicalJson(JSON.stringify(value)));
      }),
      { numRuns: 1_000 },
    );
  });

  it('means what the text means', () => {
    fc.assert(
      fc.property(respelled, ({ value, text }) => {
        expect(JSON.parse(canonicalJson(text))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ['1', '1.0'],
    ['1', '1e0'],
    ['100', '1E2'],
    ['0.5', '5e-1'],
    ['0', '-0'],
    ['0', '0.000'],
    ['0', '0e999'],
    ['1e21', '1000000000000000000000'],
    ['9007199254740993', '9007199254740993.0'],
    ['9007199254740993', '9.007199254740993e15'],
    ['"a"', '"\\u0061"'],
    ['"/"', '"\\/"'],
    ['{"a":1,"b":2}', '{"b":2,"a":1}'],
  ])('finds %s and %s the same', (a, b) => {
    expect(canonicalJson(a)).toBe(canonicalJson(b));
  });

  it.each([
    ['9007199254740993', '9007199254740992'],
    ['9007199254740993', '9007199254740994'],
    ['0.1', '0.1000000000000000055511151231257827'],
    ['1', '-1'],
    ['1e-400', '0'],
    ['1e-400', '1e-401'],
    ['1', '"1"'],
    ['null', '"null"'],
    ['[]', '{}'],
    ['[1,2]', '[2,1]'],
    ['"e\u0301"', '"\u00e9"'],
    ['{"a":null}', '{}'],
  ])('finds %s and %s different', (a, b) => {
    expect(canonicalJson(a)).not.toBe(canonicalJson(b));
  });

  it('loses no digit of any decimal number', () => {
    const digits = fc.string({ unit: fc.integer({ min: 0, max: 9 }).map(String), minLength: 1, maxLength: 25 });
    const decimal = fc.tuple(fc.boolean(), digits, fc.option(digits), fc.option(fc.integer({ min: -30, max: 30 })));
    const spell = ([isNegative, whole, fraction, exponent]: readonly [boolean, string, string | null, number | null]): string =>
      `${isNegative ? '-' : ''}${whole.replace(/^0+(?=\d)/, '')}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`;
    /** The number times 10^60 as an integer: exact. */
    const exact = (text: string): bigint => {
      const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e(-?\d+))?$/.exec(text) ?? [];
      return BigInt(`${sign}${whole}${fraction}${'0'.repeat(90 + Number(exponent) - fraction.length)}`);
    };
    fc.assert(
      fc.property(decimal, decimal, fc.boolean(), (first, second, isSame) => {
        const [a, b] = [spell(first), isSame ? spell([first[0], first[1], `${first[2] ?? ''}0`, first[3]]) : spell(second)];
        expect(canonicalJson(a) === canonicalJson(b)).toBe(exact(a) === exact(b));
      }),
      { numRuns: 5_000 },
    );
  });

  it('takes time in proportion to the text, whatever the digits', () => {
    const zeros = '0'.repeat(400_000);
    const started = performance.now();
    for (const text of [`1.${zeros}1`, `1${zeros}1`, `0.${zeros}`, `1e-${zeros}1`, `1e-${'9'.repeat(400_000)}`]) canonicalJson(text);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('singleLineJson', () => {
  it('means the same on one line, with every token as it was written', () => {
    fc.assert(
      fc.property(respelled, ({ text }) => {
        const line = singleLineJson(text);
        expect(line).not.toMatch(/[\r\n]/);
        expect(JSON.parse(line)).toEqual(JSON.parse(text));
        expect(line.replaceAll(/[ \t]/g, '')).toBe(text.replaceAll(/[ \t\r\n]/g, ''));
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps a text without line breaks to the byte', () => {
    expect(singleLineJson('  {"a" :\t1.10 }  ')).toBe('  {"a" :\t1.10 }  ');
  });

  it('keeps line separators that stand inside a string', () => {
    expect(JSON.parse(singleLineJson('["\u2028\u2029\u0085",\r\n"\u00a0 "]'))).toEqual(['\u2028\u2029\u0085', '\u00a0 ']);
  });

  it('takes time in proportion to the text, whatever the white space', () => {
    const started = performance.now();
    singleLineJson(`[1,${' '.repeat(400_000)}2\n,3]`);
    singleLineJson(`[1,${'\n'.repeat(400_000)}2]`);
    singleLineJson(`[1,${' \n'.repeat(200_000)}2]`);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('prettyJson', () => {
  it('indents as JSON.stringify does', () => {
    fc.assert(
      fc.property(json, (text) => {
        expect(prettyJson(text)).toBe(JSON.stringify(JSON.parse(text), null, 2));
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps the spelling of every token', () => {
    expect(prettyJson('{"a":[1.10,1e3,9007199254740993,-0],"b\\u0063":"\\u0041\\/","d":{},"e":[]}')).toBe(
      '{\n  "a": [\n    1.10,\n    1e3,\n    9007199254740993,\n    -0\n  ],\n  "b\\u0063": "\\u0041\\/",\n  "d": {},\n  "e": []\n}',
    );
  });

  it('leaves alone what is nested too deep to be indented', () => {
    expect(prettyJson(depth(300))).toBe(depth(300));
  });
});
