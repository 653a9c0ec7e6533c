import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../../src/core/errors.ts';
import { parseQuery } from '../../../../src/server/http/query.ts';
import { anyText } from '../../core/characters.ts';

const KNOWN = { prefix: 'many', key: 'many', since: 'single', wait: 'single', limit: 'single', snapshot: 'flag' } as const;
const parse = (query: string) => parseQuery(`/x${query}`, KNOWN);

const messageOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    if (isAttuneError(error, 'INVALID_ARGUMENT')) return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('parameters', () => {
  it('are read back as URLSearchParams writes them', () => {
    fc.assert(
      fc.property(fc.array(anyText, { maxLength: 5 }), (prefixes) => {
        const query = new URLSearchParams(prefixes.map((prefix): [string, string] => ['prefix', prefix]));
        expect(parse(`?${query.toString()}`).all('prefix')).toEqual(prefixes);
      }),
    );
  });

  it('are read as encodeURIComponent writes them', () => {
    fc.assert(
      fc.property(anyText, (since) => {
        expect(parse(`?since=${encodeURIComponent(since)}`).get('since')).toBe(since);
      }),
    );
  });

  it('take an equals sign in their value, and nothing between two ampersands', () => {
    expect(parse('?since=a=b&&key=x&').get('since')).toBe('a=b');
    expect(parse('?key=x&&key=y').all('key')).toEqual(['x', 'y']);
    expect(parse('?since=').get('since')).toBe('');
    expect(parse('?since').get('since')).toBe('');
    expect(parse('').has('since')).toBe(false);
    expect(parse('?').has('since')).toBe(false);
  });

  it('an unknown one is refused with the nearest known name', () => {
    expect(messageOf(() => parse('?prefx=a'))).toBe("unknown parameter 'prefx'; did you mean 'prefix'?");
    expect(messageOf(() => parse('?Prefix=a'))).toContain("did you mean 'prefix'?");
    expect(messageOf(() => parse('?prety'))).toContain("did you mean 'pretty'?");
    expect(messageOf(() => parse('?banana=a'))).toContain('this path knows prefix, key');
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', '%00', 'a%0Ab', 'prefix[]', 'prefix%5B%5D'])
      expect(messageOf(() => parse(`?${name}=a`))).toContain('unknown parameter');
  });

  it('a single one given twice is refused, even with equal values', () => {
    expect(messageOf(() => parse('?since=a&since=a'))).toContain("'since' is given 2 times");
    expect(messageOf(() => parse('?snapshot&snapshot'))).toContain('2 times');
    expect(messageOf(() => parse('?pretty&pretty'))).toContain('2 times');
    expect(messageOf(() => parse('?since=a&%73ince=b'))).toContain('2 times');
  });

  it.each(['?since=%', '?since=%2', '?since=%zz', '?since=%ff', '?since=%ed%a0%80', '?%ff=1', '?since=%c0%80'])(
    'bad percent-encoding is refused: %s',
    (query) => {
      expect(messageOf(() => parse(query))).toContain('not valid percent-encoded UTF-8');
    },
  );
});

describe('flags', () => {
  it.each([
    ['?snapshot', true],
    ['?snapshot=', true],
    ['?snapshot=true', true],
    ['?snapshot=1', true],
    ['?snapshot=false', false],
    ['?snapshot=0', false],
    ['', false],
  ])('%s is %s', (query, value) => {
    expect(parse(query).flag('snapshot')).toBe(value);
  });

  it.each(['yes', 'no', 'TRUE', ' ', '2', 'null'])('%j is neither', (value) => {
    expect(messageOf(() => parse(`?snapshot=${encodeURIComponent(value)}`).flag('snapshot'))).toContain('neither true nor false');
  });
});

describe('integers', () => {
  it.each([
    ['1', 1],
    ['100', 100],
    ['007', 7],
  ])('%s is taken', (text, value) => {
    expect(parse(`?limit=${text}`).integer('limit', 1, 100)).toBe(value);
  });

  it.each(['0', '101', '-1', '1.0', '1e1', '', '%201', '0x1', '٣', 'Infinity', '99999999999999999'])('%j is refused', (text) => {
    expect(messageOf(() => parse(`?limit=${encodeURIComponent(text).replace('%25', '%')}`).integer('limit', 1, 100))).toContain(
      'from 1 to 100',
    );
  });

  it('is undefined where it is not given', () => {
    expect(parse('').integer('limit', 1, 100)).toBeUndefined();
  });
});

describe('wait', () => {
  it.each([
    ['', 30_000],
    ['?wait=0s', 0],
    ['?wait=500ms', 500],
    ['?wait=30s', 30_000],
    ['?wait=2m', 120_000],
    ['?wait=120s', 120_000],
    ['?wait=120000ms', 120_000],
  ])('%s is %d ms', (query, ms) => {
    expect(parse(query).wait('wait')).toBe(ms);
  });

  it.each(['30', '121s', '120001ms', '3m', '-1s', '1h', '', 's', '1.5s', '1 s', '1e1s'])('%j is refused', (text) => {
    expect(messageOf(() => parse(`?wait=${encodeURIComponent(text)}`).wait('wait'))).toContain('is not a duration from 0s to 120s');
  });
});
