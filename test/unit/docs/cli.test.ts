import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EXIT, exitCodeOf } from '../../../src/cli/exit-code.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { AttuneError, ERROR_CODES } from '../../../src/core/errors.ts';
import { SETTINGS } from '../../../src/server/settings.ts';
import { parseMarkdown, tablesOf, withoutMarks } from '../../support/markdown.ts';
import { documentationPages } from '../../support/documentation-pages.ts';
import { stepsOf } from '../../support/shell-session.ts';

const tables = tablesOf(parseMarkdown(readFileSync('docs/cli.md', 'utf8')));
const rowsUnder = (heading: string) => tables.find((table) => table.heading === heading)?.rows.map((row) => row.map(withoutMarks)) ?? [];

const program = createProgram(SETTINGS);
const commands = program.commands.filter((command) => command.name() !== 'complete-keys');

describe('docs/cli.md', () => {
  it('names every command', () => {
    expect(rowsUnder('Commands').map(([usage]) => usage?.split(' ')[0])).toEqual(commands.map((command) => command.name()));
  });

  it('names every exit code', () => {
    expect(rowsUnder('Exit codes').map(([code]) => code)).toEqual([...Object.values(EXIT).map(String), '128 + n']);
  });

  it('says which exit code each error ends with', () => {
    const documented = rowsUnder('Exit codes').flatMap(([code, , errors = '']) =>
      errors.split(', ').flatMap((error) => (/^[A-Z_]+$/.test(error) ? [[error, Number(code)] as const] : [])),
    );
    const actual = ERROR_CODES.map((code) => [code, exitCodeOf(new AttuneError(code, ''))] as const).filter(
      ([, code]) => code !== EXIT.error,
    );
    expect(new Map(documented)).toEqual(new Map(actual));
  });
});

interface ShownCommand {
  readonly place: string;
  readonly line: string;
}

/** Command lines of `attune` in the blocks of all pages. */
const shown: readonly ShownCommand[] = documentationPages().flatMap((page) =>
  parseMarkdown(readFileSync(page, 'utf8'))
    .blocks.filter(({ language }) => language === 'sh' || language === 'console')
    .flatMap(({ text, line }) => stepsOf(text).map(({ command }) => ({ place: `${page}:${line}`, line: command })))
    .filter((each) => each.line.startsWith('attune ')),
);

describe('the command lines that the documentation shows', () => {
  it.each(shown)('$place: $line has a command and options that there are', ({ line }) => {
    const words = line
      .replace(/\s+#.*$/, '')
      .replaceAll(/'[^']*'|"[^"]*"/g, 'quoted')
      .split(/\s+/);
    const command = commands.find((candidate) => candidate.name() === words[1]);
    expect(command?.name()).toBe(words[1]);
    const known = [...(command?.options ?? []), ...program.options].flatMap(({ short, long }) => [short, long]);
    const options = words.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.replace(/=.*$/, ''));
    expect(options.filter((option) => !known.includes(option))).toEqual([]);
  });
});
