import type { Terminal } from '../terminal.ts';

/** Rows in columns, without borders, so that `awk` and eyes read it alike. Ends with a line feed. */
export async function formatTable(terminal: Terminal, head: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    chars: Object.fromEntries(BORDERS.map((name) => [name, ''])),
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [], compact: true },
  });
  table.push(
    head.map((title) => terminal.paint('bold', title)),
    ...rows.map((row) => [...row]),
  );
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

const BORDERS = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
  'middle',
] as const;
