import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../../src/core/errors.ts';
import { PROBLEMS } from '../../../src/server/http/problem.ts';
import { anchorsOf, parseMarkdown, tablesOf, withoutMarks } from '../../support/markdown.ts';

const page = parseMarkdown(readFileSync('docs/errors.md', 'utf8'));
const rowsUnder = (heading: string) =>
  tablesOf(page)
    .filter((table) => table.heading === heading)
    .flatMap(({ rows }) => rows.map((row) => row.map(withoutMarks)));

describe('docs/errors.md', () => {
  it('has a row for each code that can reach the wire, saying what the service says', () => {
    const rows = Object.entries(PROBLEMS).map(([code, { status, meaning, advice }]) => [code, String(status), meaning, advice]);
    expect(rowsUnder('Codes')).toEqual(rows);
  });

  it('has a row for each code that does not', () => {
    const inside = ERROR_CODES.filter((code) => !Object.hasOwn(PROBLEMS, code));
    expect(rowsUnder('Codes inside a process').map(([code]) => code)).toEqual(inside);
  });

  it('has an anchor for each code, spelled as in the type of a problem document', () => {
    const anchors = anchorsOf(page);
    expect(ERROR_CODES.filter((code) => !anchors.has(code))).toEqual([]);
  });
});
