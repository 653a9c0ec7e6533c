import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { API_PAGE, formatApiPage } from '../../../scripts/api-page.ts';
import * as client from '../../../src/client/index.ts';
import { anchorsOf, parseMarkdown } from '../../support/markdown.ts';

const page = readFileSync(API_PAGE, 'utf8');

describe(API_PAGE, () => {
  it('is what `npm run docs:api` writes, and has words for every exported name and every member of a class', () => {
    const undocumented: string[] = [];
    expect(page).toBe(formatApiPage((name) => undocumented.push(name)));
    expect(undocumented).toEqual([]);
  }, 60_000);

  it('has a heading for each value the first door exports', () => {
    const anchors = anchorsOf(parseMarkdown(page));
    const names = Object.keys(client);
    expect(names).toContain('ConfigClient');
    expect(names.filter((name) => !anchors.has(name.toLowerCase()))).toEqual([]);
  });
});
