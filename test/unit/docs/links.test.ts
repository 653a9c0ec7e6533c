import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documentationPages } from '../../support/documentation-pages.ts';
import { anchorsOf, linksOf, parseMarkdown, type Link } from '../../support/markdown.ts';

const pages = documentationPages().map((path) => ({ path, parts: parseMarkdown(readFileSync(path, 'utf8')) }));
const relativeLinks = pages.flatMap(({ path, parts }) =>
  linksOf(parts)
    .filter(({ target }) => !/^[a-z]+:/.test(target))
    .map((link) => ({ path, link })),
);

const withoutAnchor = (target: string): string => target.replace(/#.*$/, '');
const fileOf = (path: string, { target }: Link): string =>
  withoutAnchor(target) === '' ? path : normalize(join(dirname(path), withoutAnchor(target)));

/** What is wrong with a relative link; undefined if nothing is. */
function problemOf(path: string, link: Link): string | undefined {
  const place = `${path}:${link.line}: ${link.target}`;
  const file = fileOf(path, link);
  if (!existsSync(file)) return `${place} does not exist`;
  const anchor = /#(.+)$/.exec(link.target)?.[1];
  if (anchor === undefined) return undefined;
  if (!file.endsWith('.md')) return `${place} has an anchor into a file that is no page`;
  return anchorsOf(parseMarkdown(readFileSync(file, 'utf8'))).has(anchor) ? undefined : `${place} names an anchor that is not there`;
}

const holdsTests = (file: string): boolean =>
  file.endsWith('.test.ts') || (file.startsWith('src/conformance/') && !file.endsWith('/index.ts'));

/** A link to tests has as its text a file's name, or the name of one of the tests in it, as written there. */
function unknownTest(path: string, link: Link): string | undefined {
  const file = fileOf(path, link);
  if (!link.text.includes(' ') || !holdsTests(file) || !existsSync(file)) return undefined;
  const plain = (text: string): string => text.replaceAll(/[\\’'"`]/g, '');
  return plain(readFileSync(file, 'utf8')).includes(plain(link.text))
    ? undefined
    : `${path}:${link.line}: ${file} has no test '${link.text}'`;
}

describe('links in the documentation', () => {
  it('are there at all', () => {
    expect(relativeLinks.length).toBeGreaterThan(50);
  });

  it('lead to files, folders and anchors that exist', () => {
    expect(relativeLinks.flatMap(({ path, link }) => problemOf(path, link) ?? [])).toEqual([]);
  });

  it('name tests that exist', () => {
    expect(relativeLinks.flatMap(({ path, link }) => unknownTest(path, link) ?? [])).toEqual([]);
  });

  it('do not leave the project', () => {
    expect(relativeLinks.map(({ path, link }) => fileOf(path, link)).filter((file) => file.startsWith('..'))).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  it('has every folder of the sources in its codemap', () => {
    const linked = new Set(
      linksOf(parseMarkdown(readFileSync('docs/architecture.md', 'utf8'))).map((link) => fileOf('docs/architecture.md', link)),
    );
    const folders = readdirSync('src', { withFileTypes: true, recursive: true }).flatMap((entry) =>
      entry.isDirectory() ? join(entry.parentPath, entry.name) : [],
    );
    expect(folders.filter((folder) => !linked.has(folder))).toEqual([]);
  });
});
