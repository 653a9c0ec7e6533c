import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { valueOfTree, treeOfValue } from '../../../../src/cli/config-value.ts';
import { formatJson, parseJson } from '../../../../src/cli/formats/json.ts';
import { isTreeObject, type TreeObject } from '../../../../src/cli/formats/tree.ts';
import { flatten, unflatten } from '../../../../src/cli/keys/flatten.ts';
import { keyProblem } from '../../../../src/core/key.ts';
import { anyTreeObject, comparable } from '../trees.ts';

const objectOf = (text: string): TreeObject => {
  const tree = parseJson(text, 'test');
  if (!isTreeObject(tree)) throw new Error('not an object');
  return tree;
};
const table = (text: string): readonly string[] => [...flatten(objectOf(text))].map(([key, tree]) => `${key} = ${formatJson(tree)}`);

describe('flattening', () => {
  it('loses nothing: the keys and stored values give back what went in, to the digit', () => {
    fc.assert(
      fc.property(anyTreeObject(), (object) => {
        const stored = [...flatten(object)].map(([key, tree]) => [key, valueOfTree(tree)] as const);
        const back = unflatten(new Map(stored.map(([key, value]) => [key, treeOfValue(value)])));
        expect(comparable(back)).toEqual(comparable(object));
      }),
      { numRuns: 2_000 },
    );
  });

  it('does not depend on the order of the keys', () => {
    fc.assert(
      fc.property(anyTreeObject(), (object) => {
        const shuffled = new Map([...flatten(object)].sort(([a], [b]) => (a < b ? 1 : -1)));
        expect(comparable(unflatten(shuffled))).toEqual(comparable(object));
      }),
    );
  });

  it('gives keys of the grammar, short of length', () => {
    fc.assert(
      fc.property(anyTreeObject(), (object) => {
        for (const key of flatten(object).keys()) if (key.length < 150) expect(keyProblem(key)).toBeUndefined();
      }),
    );
  });

  it('gives no two members one key', () => {
    fc.assert(
      fc.property(anyTreeObject(), (object) => {
        const leaves = (tree: TreeObject): number =>
          [...tree.values()].reduce<number>((sum, member) => sum + (isTreeObject(member) && member.size > 0 ? leaves(member) : 1), 0);
        expect(flatten(object).size).toBe(leaves(object));
      }),
    );
  });

  it('keeps arrays and empty objects as one value, and names that are hard', () => {
    const text =
      '{"db":{"host":"x","ports":[1,{"a":2}],"none":{},"no":[]},"packages":{"":{"v":1.10},"node_modules/@s/n":{}},"__proto__":{"..":null},"0":{"1":9007199254740993}}';
    expect(table(text)).toEqual([
      'db/host = "x"',
      'db/ports = [1,{"a":2}]',
      'db/none = {}',
      'db/no = []',
      'packages/~/v = 1.10',
      'packages/node_modules~1@s~1n = {}',
      '__proto__/~u002e. = null',
      '0/1 = 9007199254740993',
    ]);
  });

  it('keeps an object whole where it is already kept so', () => {
    const keyed = flatten(objectOf('{"retry":{"attempts":3},"db":{"retry":{"attempts":3}}}'), (key) => key === 'retry');
    expect([...keyed.keys()]).toEqual(['retry', 'db/retry/attempts']);
    expect(comparable(unflatten(keyed))).toEqual(comparable(objectOf('{"retry":{"attempts":3},"db":{"retry":{"attempts":3}}}')));
  });

  it('makes nothing of an empty object, and an empty object of nothing', () => {
    expect(flatten(new Map()).size).toBe(0);
    expect(unflatten(new Map())).toEqual(new Map());
  });

  it.each([
    [['a', 'a/b'], /^'a': the same place holds a value and other keys below it.*--flat/],
    [['a/b', 'a'], /^'a': /],
    [['a/b/c', 'a/b', 'a'], /^'a\/b', 'a': /],
    [['x~0y', 'x~y'], /^'x~y': /],
    [['~u0061/b', 'a/c'], /^'a': /],
  ])('refuses %j, which a nested file cannot show', (keys, message) => {
    expect(() => unflatten(new Map(keys.map((key) => [key, null])))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) as string }),
    );
  });
});
