import { formatJson, parseJson } from '../formats/json.ts';
import { isTreeObject, type Tree, type TreeObject } from '../formats/tree.ts';
import type { Terminal } from '../terminal.ts';
import { formatTree, type Output } from './format.ts';
import { typeLabel } from './item-view.ts';
import { escapeControls, showValue } from './show-value.ts';
import { formatTable } from './table.ts';

/** Prints an item as the server sent it: JSON, YAML, or its members in two columns. */
export async function printItem(terminal: Terminal, bodyText: string, output: Output): Promise<void> {
  const item = objectOf(bodyText);
  if (output !== 'table') return terminal.print(await formatTree(item, output));
  const rows = [...item].map(([name, member]) => [name, name === 'value' ? showValue(member, 1_000) : cell(member)]);
  return terminal.print(await formatTable(terminal, ['FIELD', 'VALUE'], rows));
}

/** `app/pool-size = 20 (number)  version 4`, in colours where there are any. */
export function itemLine(terminal: Terminal, bodyText: string): string {
  const item = objectOf(bodyText);
  const text = (name: string): string => cell(item.get(name) ?? null);
  const value = item.get('value') ?? null;
  const label = terminal.paint('dim', `(${typeLabel(value, text('contentType'))})  version ${text('version')}`);
  return `${terminal.paint('cyan', escapeControls(text('key')))} = ${showValue(value)} ${label}\n`;
}

/** @throws {AttuneError} INVALID_BODY, if the server sent no object. */
export function objectOf(text: string): TreeObject {
  const tree = parseJson(text, 'answer');
  return isTreeObject(tree) ? tree : new Map<string, Tree>();
}

/** A member on one line: strings bare. */
export function cell(tree: Tree): string {
  return escapeControls(typeof tree === 'string' ? tree : formatJson(tree));
}
