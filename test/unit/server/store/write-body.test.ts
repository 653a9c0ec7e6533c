import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../../src/core/errors.ts';
import { parseKey } from '../../../../src/core/key.ts';
import type { ItemState } from '../../../../src/server/store/item-state.ts';
import { resolveContent, type WriteBody } from '../../../../src/server/store/write-body.ts';
import { at } from '../stored.ts';

const itemOf = (kind: ItemState['kind'], contentType: string, text: string): ItemState => ({
  key: parseKey('k'),
  kind,
  text,
  contentType,
  metadata: {},
  version: at(1),
  createdVersion: at(1),
  lastUpdated: null,
});

const none = undefined;
const json = itemOf('json', 'application/json', '{"old":1}');
const plain = itemOf('text', 'text/plain', 'old');
const yaml = itemOf('text', 'application/yaml', 'old: 1');
const bytes = itemOf('bytes', 'application/octet-stream', '/wBh');

const envelope = (fields: Partial<Extract<WriteBody, { form: 'envelope' }>>): WriteBody => ({ form: 'envelope', ...fields });

describe('what is stored', () => {
  it.each<[string, WriteBody, ItemState | undefined, string, string | undefined]>([
    ['a JSON value of an envelope', envelope({ valueText: '1.10' }), none, 'application/json', '1.10'],
    ['a string of an envelope, where nothing is yet', envelope({ valueText: '"20"' }), none, 'application/json', '"20"'],
    ['a string over JSON', envelope({ valueText: '"20"' }), json, 'application/json', '"20"'],
    ['a string over text: bare text', envelope({ valueText: '"a\\nb"' }), plain, 'text/plain', 'a\nb'],
    ['a string over YAML: bare text of that type', envelope({ valueText: '"new: 1"' }), yaml, 'application/yaml', 'new: 1'],
    ['a number over text: JSON', envelope({ valueText: '20' }), plain, 'application/json', '20'],
    ['an object over YAML: JSON', envelope({ valueText: '{"a":1}' }), yaml, 'application/json', '{"a":1}'],
    ['a string over bytes', envelope({ valueText: '"x"' }), bytes, 'application/json', '"x"'],
    ['a string with a text type', envelope({ valueText: '"a: 1"', contentType: 'application/yaml' }), json, 'application/yaml', 'a: 1'],
    [
      'a string that is to be JSON, over text',
      envelope({ valueText: '"x"', contentType: 'application/json' }),
      plain,
      'application/json',
      '"x"',
    ],
    ['no value over JSON: what is there', envelope({}), json, 'application/json', undefined],
    ['no value over bytes: what is there', envelope({}), bytes, 'application/octet-stream', undefined],
    ['no value and the same type', envelope({ contentType: 'application/yaml' }), yaml, 'application/yaml', undefined],
    ['no value and another text type', envelope({ contentType: 'text/plain' }), yaml, 'text/plain', 'old: 1'],
    ['no value, and text becomes a JSON string', envelope({ contentType: 'application/json' }), plain, 'application/json', '"old"'],
    ['raw JSON', { form: 'json', text: ' [1e3]\n' }, plain, 'application/json', '[1e3]'],
    ['text over JSON', { form: 'text', text: '{"a":1}', contentType: 'text/plain' }, json, 'text/plain', '{"a":1}'],
    ['an untyped body where nothing is yet: an object', { form: 'untyped', text: '{"a":1}\n' }, none, 'application/json', '{"a":1}'],
    ['an untyped body where nothing is yet: a number', { form: 'untyped', text: '20\n' }, none, 'application/json', '20'],
    ['an untyped body where nothing is yet: 1.10', { form: 'untyped', text: '1.10\n' }, none, 'text/plain', '1.10\n'],
    ['an untyped body where nothing is yet: text', { form: 'untyped', text: 'hello\n' }, none, 'text/plain', 'hello\n'],
    ['an untyped body where nothing is yet: nothing', { form: 'untyped', text: '' }, none, 'text/plain', ''],
    ['an untyped body over text: its own type', { form: 'untyped', text: '{"a":1}' }, plain, 'text/plain', '{"a":1}'],
    ['an untyped body over YAML: its own type', { form: 'untyped', text: 'a: 2' }, yaml, 'application/yaml', 'a: 2'],
    ['an untyped body over JSON: its own type', { form: 'untyped', text: '1.10' }, json, 'application/json', '1.10'],
    ['an untyped body over bytes: inferred', { form: 'untyped', text: '20' }, bytes, 'application/json', '20'],
  ])('%s', (_, body, current, contentType, text) => {
    expect(resolveContent(body, current)).toEqual({ contentType, text });
  });
});

describe('what is refused', () => {
  it.each<[string, WriteBody, ItemState | undefined, string]>([
    ['no value where nothing is yet', envelope({ metadata: {} }), none, '/value'],
    ['a number that is to be text', envelope({ valueText: '20', contentType: 'text/plain' }), none, '/value'],
    ['no value, and a JSON object that is to be text', envelope({ contentType: 'text/plain' }), json, '/value'],
    ['a type that is neither JSON nor text', envelope({ valueText: '"x"', contentType: 'image/png' }), none, '/contentType'],
    ['bytes', envelope({ valueText: '"/wBh"', contentType: 'application/octet-stream' }), none, '/contentType'],
    ['an untyped body that is not JSON over JSON', { form: 'untyped', text: 'hello' }, json, ''],
    ['raw JSON that does not parse', { form: 'json', text: '{a:1}' }, none, ''],
    ['a member that stands twice', { form: 'json', text: '{"a":{"b":1,"b":2}}' }, none, '/a/b'],
    ['an untyped body with a member twice', { form: 'untyped', text: '{"a":1,"a":2}' }, none, '/a'],
  ])('%s', (_, body, current, pointer) => {
    let thrown: unknown;
    try {
      resolveContent(body, current);
    } catch (error) {
      thrown = error;
    }
    expect(isAttuneError(thrown, 'INVALID_BODY') && thrown.details['errors']).toEqual([{ pointer, detail: expect.any(String) }]);
  });

  it.each([
    ['application/yaml', 'a: 1\nb: [1,\n', 2],
    ['application/yaml', 'a: 1\na: 2\n', 2],
    ['text/yaml', 'a: 1\n\tb: 2\n', 2],
    ['application/toml', 'a = 1\nb = \n', 2],
    ['application/toml', 'a = 1\na = 2\n', 2],
  ])('%s that does not parse, with its line and column: %j', (contentType, text, line) => {
    let thrown: unknown;
    try {
      resolveContent({ form: 'text', text, contentType }, undefined);
    } catch (error) {
      thrown = error;
    }
    expect(isAttuneError(thrown, 'INVALID_BODY') && thrown.details).toMatchObject({ line: expect.any(Number), column: expect.any(Number) });
    if (!isAttuneError(thrown)) throw thrown;
    expect(Number(thrown.details['line'])).toBeGreaterThanOrEqual(line);
    expect(thrown.message).toMatch(/line \d+/);
    expect(thrown.message).toMatch(/column \d+/);
  });

  const levels = (count: number): readonly string[] => [
    '['.repeat(count),
    '{a: '.repeat(count),
    '- '.repeat(count),
    '? '.repeat(count),
    Array.from({ length: Math.min(count, 800) }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    `a: ${'['.repeat(count)}`,
    `a = ${'['.repeat(count)}`,
    `a = ${'{a = '.repeat(count)}`,
  ];

  // Ten kilobytes of it once ended the process: out of stack, V8 cannot compile a regular expression and gives up.
  it.each(levels(20_000).map((text) => [text.startsWith('a =') ? 'application/toml' : 'application/yaml', text.slice(0, 12), text]))(
    '%s nested without end: %s...',
    (contentType, _, text) => {
      expect(() => resolveContent({ form: 'text', text, contentType }, undefined)).toThrow(/nested deeper|not TOML/);
    },
  );

  it('takes YAML of 200 levels and not one more', () => {
    for (const nest of [
      (count: number) => '['.repeat(count) + ']'.repeat(count),
      (count: number) => `${'- '.repeat(count)}x`,
      (count: number) => `${'{a: '.repeat(count)}x${'}'.repeat(count)}`,
    ]) {
      expect(resolveContent({ form: 'text', text: nest(200), contentType: 'application/yaml' }, undefined).text).toBe(nest(200));
      expect(() => resolveContent({ form: 'text', text: nest(201), contentType: 'application/yaml' }, undefined)).toThrow(
        'nested deeper than 200 levels',
      );
    }
  });

  it('takes YAML of many names in time in proportion to their number', () => {
    const text = Array.from({ length: 30_000 }, (_, index) => `name-${index}: 1`).join('\n');
    const started = performance.now();
    expect(resolveContent({ form: 'text', text, contentType: 'application/yaml' }, undefined).text).toBe(text);
    expect(() => resolveContent({ form: 'text', text: `${text}\nname-7: 2`, contentType: 'application/yaml' }, undefined)).toThrow(
      /line 30001, column 1.*unique/,
    );
    expect(performance.now() - started).toBeLessThan(8_000);
  });

  it('an alias bomb costs nothing: YAML is checked, not resolved', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefghij'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[index]}`).join(',')}]`),
    ].join('\n');
    const started = performance.now();
    try {
      resolveContent({ form: 'text', text: bomb, contentType: 'application/yaml' }, undefined);
    } catch (error) {
      expect(isAttuneError(error, 'INVALID_BODY')).toBe(true);
    }
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('takes YAML of several documents, tags and anchors', () => {
    const text = 'a: &x 1\nb: *x\n---\nc: !mine 2\n...\n';
    expect(resolveContent({ form: 'text', text, contentType: 'application/yaml' }, undefined).text).toBe(text);
  });
});
