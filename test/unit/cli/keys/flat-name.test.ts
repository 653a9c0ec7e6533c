import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNameExact, keyOfName, nameOfKey } from '../../../../src/cli/keys/flat-name.ts';
import { keyProblem } from '../../../../src/core/key.ts';
import { anyText } from '../trees.ts';

const separators = fc.constantFrom('.', '__', '_', '-', '/', '::');
const dotted = fc
  .array(fc.constantFrom('a', '.', '_', '~', '/', '~1', '..', '.attune', ':', '-'), { maxLength: 7 })
  .map((parts) => parts.join(''));

describe('names of flat files', () => {
  it('come back from their keys, whatever the name and the separator', () => {
    fc.assert(
      fc.property(fc.oneof(dotted, anyText), separators, (name, separator) => {
        const key = keyOfName(name, separator);
        expect(nameOfKey(key, separator)).toBe(name);
        if (key.length < 150) expect(keyProblem(key)).toBeUndefined();
      }),
      { numRuns: 10_000 },
    );
  });

  it('are exact for a key if and only if the key comes back', () => {
    fc.assert(
      fc.property(dotted, separators, (key, separator) => {
        expect(isNameExact(key, separator)).toBe(keyOfName(nameOfKey(key, separator), separator) === key);
      }),
    );
  });

  it.each([
    ['db.pool.size', '.', 'db/pool/size'],
    ['log4j.logger..x', '.', 'log4j/logger/~/x'],
    ['trailing.', '.', 'trailing/~'],
    ['a/b.c', '.', 'a~1b/c'],
    ['', '.', '~'],
    ['DB__HOST', '__', 'DB/HOST'],
    ['DB_HOST', '__', 'DB_HOST'],
    ['A___B', '__', 'A/_B'],
  ])('turn %j with separator %j into the key %j', (name, separator, key) => {
    expect(keyOfName(name, separator)).toBe(key);
  });

  it.each([
    ['tsconfig.json', '.', false],
    ['a/b', '.', true],
    ['a~0b', '.', false],
    ['tsconfig.json', '__', true],
    ['a_/b', '__', false],
    ['a__b', '__', false],
  ])('of the key %j with separator %j: exact is %j', (key, separator, exact) => {
    expect(isNameExact(key, separator)).toBe(exact);
  });
});
