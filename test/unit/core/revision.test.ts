import { expect, it } from 'vitest';
import { isAttuneError } from '../../../src/core/errors.ts';
import { parseRevision } from '../../../src/core/revision.ts';

it.each([
  [0, 0],
  [41, 41],
  ['41', 41],
  ['0', 0],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
  [9007199254740991n, Number.MAX_SAFE_INTEGER],
  [5n, 5],
])('reads %s', (value, revision) => {
  expect(parseRevision(value)).toBe(revision);
});

it.each([
  '',
  '-1',
  '1.5',
  '1e3',
  ' 1',
  '0x1',
  '9007199254740992',
  '18446744073709551615',
  -1,
  1.5,
  Number.NaN,
  Infinity,
  2 ** 53,
  9007199254740992n,
  -1n,
  null,
  undefined,
  true,
  {},
  [],
])('refuses %s as a broken protocol', (value) => {
  let thrown: unknown;
  try {
    parseRevision(value);
  } catch (error) {
    thrown = error;
  }
  expect(isAttuneError(thrown, 'PROTOCOL')).toBe(true);
});
