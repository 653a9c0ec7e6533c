import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../../../../src/cli/formats/json.ts';
import { formatYaml, parseYaml } from '../../../../src/cli/formats/yaml.ts';
import { anyTreeObject, comparable } from '../trees.ts';

const read = (text: string): unknown => comparable(parseYaml(text, 'f.yaml').tree);
const json = (text: string): unknown => comparable(parseJson(text, 'f.json'));

describe('the YAML format', () => {
  it('reads back what it writes, numbers to the digit', () => {
    fc.assert(
      fc.property(anyTreeObject(), (tree) => {
        const parsed = parseYaml(formatYaml(tree), 'f.yaml');
        expect(comparable(parsed.tree)).toEqual(comparable(tree));
        expect(parsed.notes).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['a comment and an anchor', 'a: &x {b: 1} # note\nc: *x', '{"a":{"b":1},"c":{"b":1}}'],
    ['a merge key', 'base: &x {a: 1, b: 2}\nmine:\n  <<: *x\n  b: 3', '{"base":{"a":1,"b":2},"mine":{"a":1,"b":3}}'],
    ['numbers as spelled', 'a: 1.10\nb: 9007199254740993\nc: 1e3', '{"a":1.10,"b":9007199254740993,"c":1e3}'],
    ['numbers in forms JSON does not have', 'a: 0x1F\nb: 0o17\nc: +5\nd: .5\ne: 007', '{"a":31,"b":15,"c":5,"d":0.5,"e":7}'],
    ['what only YAML 1.1 takes for something else', 'a: yes\nb: 1_000\nc: 12:30', '{"a":"yes","b":"1_000","c":"12:30"}'],
    ['a YAML 1.1 file that says so', '%YAML 1.1\n---\na: yes\nb: 012\nc: 1_000', '{"a":true,"b":10,"c":1000}'],
    ['names that are no strings', '8080: a\ntrue: b\n~: c', '{"8080":"a","true":"b","null":"c"}'],
    ['block scalars', 'a: |\n  x\n  y\nb: >-\n  x\n  y', '{"a":"x\\ny\\n","b":"x y"}'],
    ['explicit tags of the core', 'a: !!str 5\nb: !!int "5"', '{"a":"5","b":5}'],
    ['nothing', '', 'null'],
  ])('reads %s', (_what, text, expected) => {
    expect(read(text)).toEqual(json(expected));
  });

  it('notes numbers that JSON does not have and keeps their text', () => {
    const { tree, notes } = parseYaml('a: .inf\nb: -.INF\nc: .nan', 'f.yaml');
    expect(comparable(tree)).toEqual(json('{"a":".inf","b":"-.INF","c":".nan"}'));
    expect(notes).toEqual(['.inf', '-.INF', '.nan'].map((text) => `f.yaml: ${text} is not a number of JSON and becomes text`));
  });

  it.each([
    ['a: 1\nb: 2\na: 3', /^f\.yaml:3:1: Map keys must be unique$/],
    ['a: [', /^f\.yaml:1:5: Flow sequence/],
    ['a: !Ref x', /^f\.yaml:1:4: Unresolved tag: !Ref; --as-document stores the file as it is$/],
    ['a: !!binary aGk=', /Unresolved tag/],
    ['1: a\n"1": b', /the name '1' stands twice/],
    ['? [a]\n: b', /a sequence as a name is not supported/],
    ['a: &a [*a, *a]', /an alias \(\*\) refers to a collection that contains it/],
    ['a: 1\n---\nb: 2', /holds 2 YAML documents/],
    [
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
        .split('')
        .map((name, index) => `${name}: &${name} [${`*${'abcdefgh'.charAt(index)},`.repeat(9)}]`)
        .join('\n')}`,
      /alias/i,
    ],
  ])('refuses %j', (text, message) => {
    expect(() => parseYaml(text, 'f.yaml')).toThrow(
      expect.objectContaining({ code: 'INVALID_BODY', message: expect.stringMatching(message) as string }),
    );
  });
});
