import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseMarkdown, tablesOf } from '../../support/markdown.ts';

const sources = readdirSync('src', { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));

const messages = tablesOf(parseMarkdown(readFileSync('docs/operations.md', 'utf8'))).flatMap(({ header, rows }) => {
  const column = header.indexOf('message');
  return column < 0 ? [] : rows.map((row) => (row[column] ?? '').replaceAll('`', ''));
});

describe('docs/operations.md', () => {
  it.each(messages)('explains a message that there is: %s', (message) => {
    // What differs from case to case stands as an ellipsis.
    const parts = message.split('…').map((part) => part.trim());
    expect(sources.filter((source) => parts.every((part) => source.includes(part)))).not.toEqual([]);
  });

  it('explains at least the messages of the log and those of the embedded store', () => {
    expect(messages.length).toBeGreaterThan(20);
  });
});
