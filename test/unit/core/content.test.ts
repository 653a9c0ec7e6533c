import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inferContentType, isTextType, isTomlType, isYamlType, JSON_TYPE, TEXT_TYPE } from '../../../src/core/content.ts';

describe('inferContentType', () => {
  it.each([
    '20',
    '-1',
    '0',
    '1.5',
    'true',
    'false',
    'null',
    '"text"',
    '""',
    '{}',
    '[]',
    '{"a":1.10}',
    '[1e3]',
    '[9007199254740993]',
    ' 20 ',
    '\n{"a":\n1}\n',
    '\t[]',
  ])('takes %j for JSON', (text) => {
    expect(inferContentType(text)).toBe(JSON_TYPE);
  });

  it.each([
    '',
    ' ',
    '\n',
    '1.10',
    '007',
    '1e3',
    '1E3',
    '1.0',
    '-0',
    '+1',
    '.5',
    '5.',
    '9007199254740993',
    '1e999',
    '0x10',
    'NaN',
    'Infinity',
    'True',
    'yes',
    'hello',
    "'a'",
    '"a',
    '"\\u0041"',
    '"\\/"',
    '{',
    '{a:1}',
    '[1,]',
    '{"a":1}}',
    '1 2',
    'host:80',
    '10.0.0.1',
    '2026-01-01',
    '\ufeff{"a":1}',
    '\ufeff20',
    '\u00a020',
    '\u2028[]',
  ])('takes %j for text', (text) => {
    expect(inferContentType(text)).toBe(TEXT_TYPE);
  });

  it('takes for JSON exactly the objects and arrays that parse and the scalars that are spelled as JSON spells them', () => {
    const byTheBook = (text: string): boolean => {
      try {
        const value: unknown = JSON.parse(text);
        return (typeof value === 'object' && value !== null) || JSON.stringify(value) === text.trim();
      } catch {
        return false;
      }
    };
    const unit = fc.constantFrom(
      '0',
      '1',
      '9',
      '.',
      'e',
      '-',
      '+',
      ' ',
      '\n',
      '"',
      '[',
      ']',
      '{',
      '}',
      ':',
      ',',
      'null',
      'true',
      '\ufeff',
      '\u00a0',
      'a',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit, maxLength: 8 }),
          fc.json(),
          fc.json().map((json) => ` ${json}\n`),
        ),
        (text) => {
          expect(inferContentType(text) === JSON_TYPE).toBe(byTheBook(text));
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('media types', () => {
  it.each([
    'text/plain',
    'text/html',
    'text/x-ini',
    'text/vnd.custom+x',
    'application/yaml',
    'application/x-yaml',
    'application/toml',
    'application/xml',
    'application/atom+xml',
    'application/vnd.a+yaml',
  ])('%s is text', (type) => {
    expect(isTextType(type)).toBe(true);
  });

  it.each([
    'application/json',
    'application/octet-stream',
    'image/png',
    'image/svg+xml',
    'multipart/form-data',
    'text/',
    'text',
    'text/a b',
    'application/problem+json',
    '',
  ])('%s is not stored as text', (type) => {
    expect(isTextType(type)).toBe(false);
  });

  it('knows YAML and TOML by any of their names', () => {
    expect(['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml', 'application/vnd.a+yaml'].every(isYamlType)).toBe(true);
    expect(['application/toml', 'text/toml', 'text/x-toml', 'application/vnd.a+toml'].every(isTomlType)).toBe(true);
    expect(['text/plain', 'text/yamlish', 'application/xml'].some((type) => isYamlType(type) || isTomlType(type))).toBe(false);
  });
});
