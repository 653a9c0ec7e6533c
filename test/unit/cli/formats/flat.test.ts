import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatEnv, parseEnv } from '../../../../src/cli/formats/env.ts';
import { formatProperties, parseProperties } from '../../../../src/cli/formats/properties.ts';
import { anyText } from '../trees.ts';

const entriesOf = (name: fc.Arbitrary<string>): fc.Arbitrary<ReadonlyMap<string, string>> =>
  fc.array(fc.tuple(name, anyText), { maxLength: 6 }).map((entries) => new Map(entries));

describe('the .properties format', () => {
  it('reads back what it writes', () => {
    fc.assert(
      fc.property(entriesOf(anyText), (entries) => {
        const parsed = parseProperties(formatProperties(entries), 'f');
        expect([...parsed.entries]).toEqual([...entries]);
        expect(parsed.notes).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('reads what Java reads: separators, continuation lines, escapes, comments', () => {
    const text = '# note\n! note\na=1\nb : 2\nc 3\nd\nlong = x,\\\n   y\n\\u0065\\ f = \\t\\u00e9\n';
    expect([...parseProperties(text, 'f').entries]).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['d', ''],
      ['long', 'x,y'],
      ['e f', '\té'],
    ]);
  });

  it('takes the last of a name that stands twice, and says so', () => {
    const { entries, notes } = parseProperties('a=1\na=2', 'f.properties');
    expect([...entries]).toEqual([['a', '2']]);
    expect(notes).toEqual(["f.properties: 'a' stands twice; the last one counts"]);
  });
});

describe('the .env format', () => {
  const variableName = fc.stringMatching(/^[A-Za-z_][\w.-]{0,8}$/).filter((name) => name !== '__proto__');

  it('reads back what it writes, or refuses to write it', () => {
    let written = 0;
    fc.assert(
      fc.property(entriesOf(variableName), (entries) => {
        let text: string;
        try {
          text = formatEnv(entries);
        } catch (error) {
          expect(String(error)).toContain('cannot be quoted');
          return;
        }
        written++;
        expect([...parseEnv(text, 'f').entries].sort()).toEqual([...entries].sort());
      }),
      { numRuns: 2_000 },
    );
    expect(written).toBeGreaterThan(1_000);
  });

  it.each([
    ['A=1\nexport B=2 # note\n# C=3', { A: '1', B: '2' }],
    ['A=\'single $x \\n\'\nB="two\\nlines"', { A: 'single $x \\n', B: 'two\nlines' }],
    ['A=\nB = spaced \n', { A: '', B: 'spaced' }],
  ])('reads %j', (text, expected) => {
    expect(Object.fromEntries(parseEnv(text, 'f').entries)).toEqual(expected);
  });

  it.each([
    ['a name with a space', 'a b', 'x', /'a b' is not a name/],
    ['a name with a slash', 'a/b', 'x', /is not a name/],
    ['an empty name', '', 'x', /is not a name/],
    ['the one name a reader loses', '__proto__', 'x', /is not a name/],
    ['a value with every kind of quotes', 'A', '`"\'', /the value of 'A' cannot be quoted/],
  ])('refuses to write %s', (_what, name, value, message) => {
    expect(() => formatEnv(new Map([[name, value]]))).toThrow(message);
  });

  it('refuses a file with the one name that would be lost', () => {
    expect(() => parseEnv('A=1\n __proto__ = 2', '.env')).toThrow(/\.env: a variable cannot be called '__proto__'/);
  });
});
