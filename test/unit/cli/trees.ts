import fc from 'fast-check';
import { isTreeArray, isTreeObject, NumberToken, type Tree, type TreeObject } from '../../../src/cli/formats/tree.ts';

/** Names as real files have them, and as only an enemy would. */
const awkwardName = fc.constantFrom(
  '',
  '.',
  '..',
  '...',
  '/',
  '//',
  'a/b',
  '~',
  '~0',
  '~1',
  '~~',
  '~.',
  'a~',
  '~a',
  '~u0041',
  '%',
  '%2F',
  '__proto__',
  'constructor',
  'toString',
  '.attune',
  'x.attune',
  '.attune.attune',
  '.attunex',
  '0',
  '01',
  '-1',
  'node_modules/@scope/name',
  '<<',
  '=',
  'true',
  'null',
  '1.5',
  '\u0000',
  '\n',
  '\u007f',
  '\u0085',
  '\u009f',
  '\u2028',
  'é',
  '\u{1f600}',
  'a b',
  ' a',
  'a ',
  '#',
  'a: b',
  '"',
  "'",
  'yes',
  '0x10',
  '1_000',
  '12:30',
  '2001-12-14',
  '---',
  '-',
  '?',
  '&a',
  '*a',
  '!t',
  '@',
  '`',
  '[',
  '{',
);
const name = fc.oneof(
  { weight: 2, arbitrary: awkwardName },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
  fc.string({ unit: 'binary', maxLength: 6 }),
);

const awkwardText = fc.constantFrom(
  '',
  ' ',
  '20',
  'true',
  'null',
  '{}',
  '[]',
  '"quoted"',
  '1.10',
  '007',
  ' 20 ',
  '20\n',
  'a\nb',
  'a\r\nb\r',
  '\t',
  "it's",
  '#no comment',
  'a #b',
  '\\n',
  'a\\',
  '\u0000',
  '\u0085',
  '\ufeff',
  '`"\'',
  "it's \\n",
  '${HOME}',
  'a=b',
  '! x',
  '.inf',
  '.nan',
  '~',
  '|',
  '>',
  '- a',
  '0o17',
  '1e3',
  '1979-05-27T07:32:00Z',
  'inf',
  'nan',
);
export const anyText: fc.Arbitrary<string> = fc.oneof(
  awkwardText,
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

/** Tokens in every spelling JSON allows. */
const anyNumber: fc.Arbitrary<NumberToken> = fc
  .oneof(
    fc.constantFrom(
      '0',
      '-0',
      '1.10',
      '1e3',
      '1E+05',
      '9007199254740993',
      '-9223372036854775808',
      '123456789012345678901234567890',
      '0.1',
      '1.0',
      '5e-324',
    ),
    fc.integer().map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  )
  .map((token) => new NumberToken(token));

interface TreeOptions {
  readonly nulls: boolean;
  readonly numbers: fc.Arbitrary<NumberToken>;
}

export function anyTreeObject(options: TreeOptions = { nulls: true, numbers: anyNumber }): fc.Arbitrary<TreeObject> {
  const { object } = fc.letrec<{ tree: Tree; object: TreeObject }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      anyText,
      options.numbers,
      fc.boolean(),
      fc.constant(options.nulls ? null : false),
      fc.array(tie('tree'), { maxLength: 4 }),
      tie('object'),
    ),
    object: fc.array(fc.tuple(name, tie('tree')), { maxLength: 6 }).map((members) => new Map(members)),
  }));
  return object;
}

/**
 * A form that is equal exactly for trees that say the same: members sorted, numbers by value, or by spelling on demand.
 * Plain arrays, because a name such as `__proto__` would be lost in an object.
 */
export function comparable(tree: Tree, number: (token: string) => unknown = String): unknown {
  if (tree instanceof NumberToken) return ['number', number(tree.token)];
  if (isTreeArray(tree)) return ['array', ...tree.map((element) => comparable(element, number))];
  if (!isTreeObject(tree)) return tree;
  const members = [...tree].sort(([a], [b]) => (a < b ? -1 : 1));
  return ['object', ...members.map(([memberName, member]) => [memberName, comparable(member, number)])];
}
