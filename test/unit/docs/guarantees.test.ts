import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GUARANTEES } from '../../../src/conformance/index.ts';
import { linksOf, parseMarkdown, tablesOf, withoutMarks } from '../../support/markdown.ts';

/** Those that a client sees; what else the suite names is between the service and a provider. */
const NAMES = [...GUARANTEES.slice(0, GUARANTEES.indexOf('ByteOrder')), 'Available', 'Durable'];

const page = parseMarkdown(readFileSync('docs/guarantees.md', 'utf8'));
const promisesIn = (path: string): readonly (readonly string[])[] =>
  tablesOf(parseMarkdown(readFileSync(path, 'utf8')))
    .filter(({ header }) => header[0] === 'name' && header[1] === 'promise')
    .flatMap(({ rows }) => rows.map((row) => row.slice(0, 2).map(withoutMarks)));

describe('docs/guarantees.md', () => {
  it('has every guarantee by the name that tests fail with', () => {
    expect(promisesIn('docs/guarantees.md').map(([name]) => name)).toEqual(NAMES);
  });

  it('says the same as the README', () => {
    expect(promisesIn('README.md')).toEqual(promisesIn('docs/guarantees.md'));
  });

  it.each(NAMES)('names a test that proves %s', (name) => {
    const prose = page.prose.filter(({ heading }) => heading === name);
    expect(linksOf({ blocks: [], prose }).filter(({ target }) => /\.test\.ts$|src\/conformance\//.test(target))).not.toEqual([]);
  });
});
