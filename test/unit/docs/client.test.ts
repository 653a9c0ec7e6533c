import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withDeclarations } from '../../../scripts/declarations.ts';
import { parseMarkdown, tablesOf, withoutMarks } from '../../support/markdown.ts';

const page = parseMarkdown(readFileSync('docs/client.md', 'utf8'));

const ENTRIES = ['client/client-options', 'client/node/config-client'];

/** The members of the options types of both doors. */
const options = (): readonly string[] =>
  withDeclarations(ENTRIES, (declarations) =>
    ENTRIES.flatMap((entry) => declarations.exportsOf(entry).get('ConfigClientOptions') ?? []),
  ).flatMap(({ text }) => [...text.matchAll(/^ {4}readonly (\w+)\??:/gm)].map(([, name = '']) => name));

describe('docs/client.md', () => {
  it('has a row for each option of the client, the doors together', () => {
    const rows = tablesOf(page)
      .filter(({ heading }) => heading === 'Options')
      .flatMap(({ rows: all }) => all.flatMap(([names = '']) => withoutMarks(names).split(', ')));
    const expected = options();
    expect(expected).toContain('snapshotFile');
    expect(rows.toSorted()).toEqual(expected.toSorted());
  }, 60_000);
});
