import { describe, expect, it } from 'vitest';
import type { ConfigValue } from '../../../../src/cli/config-value.ts';
import { diffLine, planTree, summaryOf } from '../../../../src/cli/import/diff.ts';
import { findContradictions, isSameFlatText, isSameValue, planChanges, type Wanted } from '../../../../src/cli/import/plan.ts';
import { formatJson } from '../../../../src/cli/formats/json.ts';
import type { StoredItem } from '../../../../src/cli/snapshot.ts';

const json = (text: string): ConfigValue => ({ kind: 'json', text });
const text = (content: string): ConfigValue => ({ kind: 'text', text: content });
const stored = (value: ConfigValue, contentType = value.kind === 'json' ? 'application/json' : 'text/plain'): StoredItem => ({
  value,
  contentType,
  version: 7,
  isBytes: contentType === 'application/octet-stream',
});
const wantedOf = (values: Readonly<Record<string, ConfigValue>>): ReadonlyMap<string, Wanted> =>
  new Map(Object.entries(values).map(([key, value]) => [key, { value }]));
const storedOf = (items: Readonly<Record<string, StoredItem>>): ReadonlyMap<string, StoredItem> => new Map(Object.entries(items));

describe('the plan of an import', () => {
  it('creates, updates and leaves alone, in byte order, and deletes only if asked', () => {
    const wanted = wantedOf({ b: json('2'), a: json('1'), c: text('x'), '\u{1f600}': json('1'), '\uffff': json('1') });
    const items = storedOf({ b: stored(json('1')), c: stored(text('x')), d: stored(json('4')) });
    const kept = planChanges(wanted, items, { prune: false, isSame: isSameValue });
    expect(kept.changes.map(({ type, key }) => `${type} ${key}`)).toEqual([
      'created a',
      'updated b',
      'created \uffff',
      'created \u{1f600}',
    ]);
    expect(kept.unchanged).toBe(1);
    const pruned = planChanges(wanted, items, { prune: true, isSame: isSameValue });
    expect(pruned.changes.filter(({ type }) => type === 'deleted').map(({ key }) => key)).toEqual(['d']);
    expect(pruned.unchanged).toBe(1);
    expect(summaryOf(pruned)).toBe('3 created, 1 updated, 1 deleted, 1 unchanged');
  });

  it.each<[ConfigValue, ConfigValue, boolean, boolean]>([
    [json('1'), json('1'), true, true],
    [json('1.0'), json('1'), true, true],
    [json('{"a":1,"b":2}'), json('{"b":2, "a":1}'), true, true],
    [json('9007199254740993'), json('9007199254740992'), false, false],
    [text('x'), json('"x"'), true, true],
    [text('20'), json('20'), false, true],
    [text('true'), json('true'), false, true],
    [text('1.10'), json('1.1'), false, false],
    [text('{"a":1}'), json('{"a":1}'), false, true],
    [text(''), json('""'), true, true],
    [json('null'), text('null'), false, true],
  ])('takes %j and %j for the same: nested %s, flat %s', (a, b, nested, flat) => {
    expect([isSameValue(a, b), isSameValue(b, a)]).toEqual([nested, nested]);
    expect([isSameFlatText(a, b), isSameFlatText(b, a)]).toEqual([flat, flat]);
  });

  it.each<[string, ConfigValue, StoredItem, string]>([
    ['a text stays the kind of text it was', text('b: 2'), stored(text('a: 1'), 'application/yaml'), 'application/yaml'],
    ['a number over a text becomes JSON', json('2'), stored(text('a: 1'), 'application/yaml'), 'application/json'],
    ['a text over JSON becomes plain text', text('x'), stored(json('1')), 'text/plain'],
    ['a text over bytes becomes plain text', text('x'), stored(text('AAEC'), 'application/octet-stream'), 'text/plain'],
  ])('%s', (_rule, value, item, contentType) => {
    const { changes } = planChanges(wantedOf({ a: value }), storedOf({ a: item }), { prune: false, isSame: isSameValue });
    expect(changes).toEqual([{ type: 'updated', key: 'a', value, contentType, old: item }]);
  });

  it('changes the type of a whole file even if its text is the same', () => {
    const wanted = new Map([['a', { value: text('x: 1'), contentType: 'application/yaml' }]]);
    const plan = planChanges(wanted, storedOf({ a: stored(text('x: 1')) }), { prune: false, isSame: isSameValue });
    expect(plan.changes.map((change) => diffLine(change))).toEqual(['~ a = x: 1 -> x: 1 (text/plain -> application/yaml)']);
    expect(
      planChanges(wanted, storedOf({ a: stored(text('x: 1'), 'application/yaml') }), { prune: false, isSame: isSameValue }).changes,
    ).toEqual([]);
  });

  it.each<[string, readonly string[], readonly string[], readonly (readonly [string, string])[]]>([
    [
      'a value where the server has a folder',
      ['a'],
      ['a/b', 'a/c/d'],
      [
        ['a', 'a/b'],
        ['a', 'a/c/d'],
      ],
    ],
    [
      'a folder where the server has a value',
      ['a/b/c'],
      ['a', 'a/b'],
      [
        ['a/b/c', 'a'],
        ['a/b/c', 'a/b'],
      ],
    ],
    ['neighbours that only look alike', ['a', 'ab/c', 'b/c'], ['ab', 'a-b', 'b-', 'a.b/c'].filter((key) => key !== 'ab'), []],
    ['the same keys', ['a', 'b/c'], ['a', 'b/c'], []],
  ])('finds contradictions: %s', (_what, wanted, items, expected) => {
    const found = findContradictions(
      new Map(wanted.map((key) => [key, { value: json('1') }])),
      new Map(items.map((key) => [key, stored(json('1'))])),
    );
    expect([...found].sort()).toEqual([...expected].sort());
  });
});

describe('the diff of an import', () => {
  const changes = planChanges(
    wantedOf({ a: json('1'), b: text('new'), e: text('20'), n: text('x\u001b[31my') }),
    storedOf({ b: stored(json('"old"')), c: stored(json('[1,2]')), e: stored(json('20')) }),
    { prune: true, isSame: isSameValue },
  );

  it('shows each change on one line; what a terminal would obey or a reader mistake is quoted', () => {
    expect(changes.changes.map((change) => diffLine(change))).toEqual([
      '+ a = 1',
      '~ b = old -> new (application/json -> text/plain)',
      '- c = [1,2]',
      '~ e = 20 -> "20" (application/json -> text/plain)',
      '+ n = "x\\u001b[31my"',
    ]);
  });

  it('paints a line by its kind', () => {
    const styles: string[] = [];
    for (const change of changes.changes) diffLine(change, (style, line) => (styles.push(String(style)), line));
    expect(styles).toEqual(['green', 'yellow', 'red', 'yellow', 'green']);
  });

  it('is JSON for programs, values as they are', () => {
    const plan = planChanges(wantedOf({ a: json('9007199254740993') }), storedOf({ b: stored(text('x')) }), {
      prune: true,
      isSame: isSameValue,
    });
    expect(formatJson(planTree(plan))).toBe(
      '{"changes":[{"type":"created","key":"a","oldValue":null,"newValue":9007199254740993,"contentType":"application/json"},' +
        '{"type":"deleted","key":"b","oldValue":"x","newValue":null,"contentType":"text/plain"}],"unchanged":0}',
    );
  });
});
