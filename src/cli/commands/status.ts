import type { Command } from 'commander';
import { isTreeArray, isTreeObject, type Tree } from '../formats/tree.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';
import { outputOption, type Output } from '../output/format.ts';

interface StatusOptions {
  readonly output?: Output;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .summary('show how the server is')
    .description('Shows the state of the server and its store. Exit code 6 if the server cannot be reached.')
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples([
        ['attune status', 'for people'],
        ['attune status -o json | jq -r .state', 'live, stale or connecting'],
      ]),
    )
    .action(perform(status));
}

async function status({ terminal, signal, connect }: Invocation, options: StatusOptions): Promise<void> {
  const { server, bodyText } = await (await connect()).status({ signal });
  const { cell, objectOf } = await import('../output/print-item.ts');
  const body = objectOf(bodyText);
  if (options.output === 'json' || options.output === 'yaml') {
    const { formatTree } = await import('../output/format.ts');
    return terminal.print(await formatTree(body, options.output));
  }
  const rows = [['url', server], ...[...body].flatMap(([name, member]) => rowsOf(name, member, cell))];
  if (options.output === 'table') {
    const { formatTable } = await import('../output/table.ts');
    return terminal.print(await formatTable(terminal, ['FIELD', 'VALUE'], rows));
  }
  const width = Math.max(...rows.map(([name = '']) => name.length));
  for (const [name = '', value = ''] of rows) {
    await terminal.print(
      `${terminal.paint('dim', name.padEnd(width))}  ${name === 'state' ? terminal.paint(STATE_STYLE[value] ?? 'red', value) : value}\n`,
    );
  }
}

const STATE_STYLE: Readonly<Record<string, 'green' | 'yellow' | 'red'>> = { live: 'green', stale: 'yellow' };

/** Members of members as `store.revision`. */
function rowsOf(name: string, tree: Tree, cell: (tree: Tree) => string): readonly (readonly [string, string])[] {
  if (isTreeObject(tree)) return [...tree].flatMap(([member, value]) => rowsOf(`${name}.${member}`, value, cell));
  return [[name, isTreeArray(tree) ? tree.map(cell).join(', ') : cell(tree)]];
}
