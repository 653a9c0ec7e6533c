/** A fenced block: ` ```console open ` has the language `console` and the words `['open']`. */
export interface FencedBlock {
  readonly language: string;
  readonly words: readonly string[];
  /** Without the fences; ends with a line feed unless empty. */
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** The last heading above it. */
  readonly heading: string;
}

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly line: number;
  readonly heading: string;
}

export interface Link {
  readonly text: string;
  readonly target: string;
  readonly line: number;
}

interface Line {
  readonly text: string;
  readonly number: number;
  readonly heading: string;
}

/** A Markdown file taken apart, as far as tests need it. */
export interface MarkdownParts {
  readonly blocks: readonly FencedBlock[];
  /** Lines outside of fenced blocks. */
  readonly prose: readonly Line[];
}

const FENCE = /^ *(`{3,})\s*(\S*)\s*(.*)$/;
const HEADING = /^#{1,6}\s+(.*)$/;

export function parseMarkdown(markdown: string): MarkdownParts {
  const blocks: FencedBlock[] = [];
  const prose: Line[] = [];
  let heading = '';
  let open: { readonly fence: string; readonly language: string; readonly info: string; readonly line: number; text: string } | undefined;
  for (const [index, text] of markdown.split('\n').entries()) {
    const [, fence = '', language = '', info = ''] = FENCE.exec(text) ?? [];
    if (open) {
      if (fence.length >= open.fence.length && language === '') {
        blocks.push({ language: open.language, words: open.info.split(/\s+/).filter(Boolean), text: open.text, line: open.line, heading });
        open = undefined;
      } else open.text += `${text}\n`;
    } else if (fence) open = { fence, language, info, line: index + 1, text: '' };
    else {
      heading = HEADING.exec(text)?.[1] ?? heading;
      prose.push({ text, number: index + 1, heading });
    }
  }
  if (open) throw new Error(`the block that begins at line ${open.line} has no end`);
  return { blocks, prose };
}

/** Tables with their cells as written; `\|` stands for a bar within one. */
export function tablesOf({ prose }: MarkdownParts): readonly Table[] {
  const tables: (Table & { rows: (readonly string[])[] })[] = [];
  let last = 0;
  for (const { text, number, heading } of prose) {
    if (!text.startsWith('|')) continue;
    const cells = text
      .replace(/\|\s*$/, '')
      .slice(1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll('\\|', '|'));
    if (number !== last + 1) tables.push({ header: cells, rows: [], line: number, heading });
    else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) tables.at(-1)?.rows.push(cells);
    last = number;
  }
  return tables;
}

/** Links outside of fenced blocks and code spans. */
export function linksOf({ prose }: MarkdownParts): readonly Link[] {
  return prose.flatMap(({ text, number }) => {
    // A code span may be the text of a link, and then is one; elsewhere it shows what a link looks like.
    const shown = text.replaceAll(/(?<!\[)`[^`]*`(?!\])/g, '');
    return [...shown.matchAll(/\[((?:[^[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)/g)].map(([, label = '', target = '']) => ({
      text: withoutMarks(label),
      target,
      line: number,
    }));
  });
}

/** What a link's `#...` may name: headings as GitHub spells them, and `<a id="...">`. */
export function anchorsOf({ prose }: MarkdownParts): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const { text } of prose) {
    for (const [, id = ''] of text.matchAll(/<a id="([^"]+)">/g)) anchors.add(id);
    const title = HEADING.exec(text)?.[1];
    if (title === undefined) continue;
    const slug = withoutMarks(title)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    for (let count = 0; ; count++) {
      const anchor = count === 0 ? slug : `${slug}-${count}`;
      if (anchors.has(anchor)) continue;
      anchors.add(anchor);
      break;
    }
  }
  return anchors;
}

/** The words of a cell, title or label, without code marks, emphasis, links and tags. */
export function withoutMarks(text: string): string {
  return text
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/[`*]/g, '')
    .trim();
}
