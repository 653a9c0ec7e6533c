import { describe, expect, it } from 'vitest';
import { NumberToken, type Tree } from '../../../../src/cli/formats/tree.ts';
import { typeLabel } from '../../../../src/cli/output/item-view.ts';
import { showValue } from '../../../../src/cli/output/show-value.ts';
import { showsColour } from '../../../../src/cli/terminal.ts';

describe('a value on one line', () => {
  it.each<[Tree, string]>([
    ['hello', 'hello'],
    ['hello world', 'hello world'],
    ['1.10', '1.10'],
    ['20', '"20"'],
    ['true', '"true"'],
    ['{"a":1}', '"{\\"a\\":1}"'],
    ['', '""'],
    [' x', '" x"'],
    ['a\nb', '"a\\nb"'],
    ['\u001b[31m', '"\\u001b[31m"'],
    ['\u009b31m', '"\\u009b31m"'],
    ['a\u2028b', '"a\\u2028b"'],
    [new NumberToken('9007199254740993'), '9007199254740993'],
    [null, 'null'],
    [[new NumberToken('1'), 'x'], '[1,"x"]'],
    [new Map([['a', true]]), '{"a":true}'],
  ])('%j is %s', (tree, expected) => {
    expect(showValue(tree)).toBe(expected);
  });

  it('is cut to the length asked for, with how much there is, never inside a character', () => {
    const shown = showValue('x'.repeat(12_345), 60);
    expect(shown).toMatch(/^x+ … \(12,345 characters\)$/);
    expect(shown).toHaveLength(60);
    for (const length of [60, 61]) expect(showValue('\u{1f600}'.repeat(100), length)).not.toMatch(/\p{Surrogate}/u);
    expect(showValue('x'.repeat(60), 60)).toHaveLength(60);
  });

  it.each<[Tree, string, string]>([
    [new NumberToken('1'), 'application/json', 'number'],
    ['x', 'application/json', 'string'],
    [true, 'application/json', 'boolean'],
    [null, 'application/json', 'null'],
    [[], 'application/json', 'array'],
    [new Map(), 'application/json', 'object'],
    ['x', 'text/plain', 'text'],
    ['x', 'application/yaml', 'application/yaml'],
  ])('%j of type %s is called %s', (tree, contentType, label) => {
    expect(typeLabel(tree, contentType)).toBe(label);
  });
});

describe('colour', () => {
  it.each([
    [{}, true, true],
    [{}, false, false],
    [{}, undefined, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ TERM: 'dumb' }, true, false],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '' }, false, true],
    [{ FORCE_COLOR: '0' }, true, false],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, false, true],
  ])('with %o on a terminal: %s, shows: %s', (env, isTerminal, expected) => {
    expect(showsColour(env, isTerminal)).toBe(expected);
  });
});
