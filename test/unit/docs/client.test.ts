import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withDeclarations } from '../../../scripts/declarations.ts';
import { parseMarkdown, tablesOf, withoutMarks } from '../../support/markdown.ts';

const page = parseMarkdown(readFileSync('docs/client.md', 'utf8'));

/** The members of an options type, in a file of declarations. */
function membersOf(entry: string): readonly string[] {
  const [options] = withDeclarations([entry], (declarations) => declarations.exportsOf(entry).get('ConfigClientOptions') ?? []);
  return [...(options?.text ?? '').matchAll(/^ {4}readonly (\w+)\??:/gm)].map(([, name = '']) => name);
}

describe('docs/client.md', () => {
  it('has a row for each option of the client, the doors together', () => {
    const rows = tablesOf(page)
      .filter(({ heading }) => heading === 'Options')
      .flatMap(({ rows: all }) => all.flatMap(([names = '']) => withoutMarks(names).split(', ')));
    const options = [...membersOf('client/client-options'), ...membersOf('client/node/config-client')];
    expect(options).toContain('snapshotFile');
    expect(rows.toSorted()).toEqual(options.toSorted());
  }, 60_000);
});
