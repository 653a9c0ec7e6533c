import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../../src/core/errors.ts';
import { ifNoneMatch, parseWriteCondition } from '../../../../src/server/http/conditions.ts';

function requestWith(headers: Readonly<Record<string, string>>): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  Object.assign(request.headers, headers);
  return request;
}

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return isAttuneError(error) ? error.code : `not ours: ${String(error)}`;
  }
  return 'nothing thrown';
};

const MALFORMED = [
  '',
  ' ',
  'e-1',
  "'e-1'",
  '"e-1',
  'e-1"',
  '"e-1" x',
  '"a" "b"',
  '"a";"b"',
  '*, "a"',
  '"a", *',
  '**',
  'W/e-1',
  'w/"a"',
  '"a\u0001"',
  '"a b"',
  '41',
  ',',
  ',"a"',
  'W/ "a"',
] as const;

describe('If-Match', () => {
  it.each<[string, readonly string[] | '*']>([
    ['*', '*'],
    [' * ', '*'],
    ['"e-1"', ['e-1']],
    ['"a","b"', ['a', 'b']],
    ['"a" , "b"', ['a', 'b']],
    ['"a",', ['a']],
    ['""', ['']],
    ['"a,b"', ['a,b']],
    ['"\u00ff"', ['\u00ff']],
  ])('%j is read', (header, tags) => {
    expect(parseWriteCondition(requestWith({ 'if-match': header }), undefined)).toEqual({ ifMatch: tags });
  });

  it.each([...MALFORMED, 'W/"a"', '"a", W/"b"'])('%j is refused, never ignored', (header) => {
    expect(codeOf(() => parseWriteCondition(requestWith({ 'if-match': header }), undefined))).toBe('INVALID_ARGUMENT');
  });

  it('is a condition or an error, whatever it holds, and takes no more than linear time', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', ',', ' ', 'W/', '*', 'a', '\t') }), (header) => {
        const code = codeOf(() => {
          const { ifMatch } = parseWriteCondition(requestWith({ 'if-match': header }), undefined);
          if (ifMatch === undefined) throw new Error('the condition was ignored');
        });
        expect(['nothing thrown', 'INVALID_ARGUMENT']).toContain(code);
      }),
      { numRuns: 2_000 },
    );
    const started = performance.now();
    for (const long of [`"a"${' '.repeat(16_000)}x`, `${' '.repeat(16_000)}x`, '"a",'.repeat(4_000), '"'.repeat(16_000)])
      codeOf(() => parseWriteCondition(requestWith({ 'if-match': long }), undefined));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe('If-None-Match on a write', () => {
  it('asks for no such key with *', () => {
    expect(parseWriteCondition(requestWith({ 'if-none-match': '*' }), undefined)).toEqual({ ifAbsent: true });
  });

  it.each(['"e-1"', 'W/"e-1"', '', 'x', '*, *'])('%j is refused', (header) => {
    expect(codeOf(() => parseWriteCondition(requestWith({ 'if-none-match': header }), undefined))).toBe('INVALID_ARGUMENT');
  });
});

describe('ifVersion', () => {
  it('stands alone', () => {
    expect(parseWriteCondition(requestWith({}), 0)).toEqual({ ifVersion: 0 });
    expect(parseWriteCondition(requestWith({}), 41)).toEqual({ ifVersion: 41 });
    expect(codeOf(() => parseWriteCondition(requestWith({ 'if-match': '*' }), 41))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => parseWriteCondition(requestWith({ 'if-none-match': '*' }), 0))).toBe('INVALID_ARGUMENT');
  });
});

it.each(['if-modified-since', 'if-unmodified-since', 'if-range'])('%s is refused on a write: it would be ignored', (name) => {
  expect(codeOf(() => parseWriteCondition(requestWith({ [name]: 'Sat, 21 Nov 2026 00:00:00 GMT' }), undefined))).toBe('INVALID_ARGUMENT');
});

it('no header is no condition', () => {
  expect(parseWriteCondition(requestWith({}), undefined)).toEqual({});
});

describe('If-None-Match on a read', () => {
  it.each([
    ['"e-1"', true],
    ['W/"e-1"', true],
    ['"x", "e-1"', true],
    ['"x", W/"e-1"', true],
    ['*', true],
    ['"e-2"', false],
    ['"e-1 "', 'INVALID_ARGUMENT'],
    ['""', false],
  ])('%j against e-1: %s', (header, expected) => {
    const code = codeOf(() => expect(ifNoneMatch(requestWith({ 'if-none-match': header }), 'e-1')).toBe(expected));
    expect(code).toBe(typeof expected === 'string' ? expected : 'nothing thrown');
  });

  it('is never true of an absent item, and undefined without the header', () => {
    expect(ifNoneMatch(requestWith({ 'if-none-match': '*' }), undefined)).toBe(false);
    expect(ifNoneMatch(requestWith({ 'if-none-match': '"e-1"' }), undefined)).toBe(false);
    expect(ifNoneMatch(requestWith({}), 'e-1')).toBeUndefined();
  });

  it.each(MALFORMED)('%j is refused', (header) => {
    expect(codeOf(() => ifNoneMatch(requestWith({ 'if-none-match': header }), 'e-1'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => ifNoneMatch(requestWith({ 'if-none-match': header }), undefined))).toBe('INVALID_ARGUMENT');
  });
});
