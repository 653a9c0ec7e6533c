import { InvalidArgumentError as InvalidOptionError, type Command } from 'commander';
import type { Api } from '../../client/api.ts';
import type { Tree, TreeObject } from '../formats/tree.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';
import { outputOption, type Output } from '../output/format.ts';

interface ListOptions {
  readonly output?: Output;
  readonly depth?: number;
  readonly keysOnly?: boolean;
}

export function addList(program: Command): void {
  program
    .command('list')
    .summary('list keys')
    .description('Lists the keys that begin with a prefix, with their values.')
    .argument('[prefix]', 'such as app/; left out: everything')
    .option('--depth <n>', 'fold what is deeper into folders', parseDepth)
    .option('--keys-only', 'one key a line, nothing else')
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples([
        ['attune list app/', 'keys and values'],
        ['attune list --depth 1', 'the folders at the top'],
        ['attune list app/ --keys-only | wc -l', 'how many'],
        ['attune list app/ -o json | jq -r .[].key', 'for programs'],
      ]),
    )
    .action(perform(list));
}

/** A line of the list: an item, or a folder with how many keys are in it, if that is known. */
type Entry =
  | { readonly kind: 'item'; readonly key: string; readonly item: TreeObject }
  | { readonly kind: 'folder'; readonly prefix: string };

async function list({ terminal, signal, connect }: Invocation, options: ListOptions, prefix = ''): Promise<void> {
  const entries = foldDeeper(await readEntries(await connect(), prefix, options, signal), prefix, options.depth);
  if (entries.length === 0) terminal.tell(emptyHint(prefix));
  if (options.keysOnly) {
    for (const entry of entries) await terminal.print(`${entry.kind === 'item' ? entry.key : entry.prefix}\n`);
  } else if (options.output === 'json' || options.output === 'yaml') {
    const { formatTree } = await import('../output/format.ts');
    const trees = entries.map((entry): Tree => (entry.kind === 'item' ? entry.item : new Map([['prefix', entry.prefix]])));
    await terminal.print(await formatTree(trees, options.output));
  } else if (entries.length > 0) {
    const [{ formatTable }, { cell }, { escapeControls, showValue }] = await Promise.all([
      import('../output/table.ts'),
      import('../output/print-item.ts'),
      import('../output/show-value.ts'),
    ]);
    const rows = entries.map((entry) => {
      if (entry.kind === 'folder') return [terminal.paint('blue', escapeControls(entry.prefix)), '', '', ''];
      const member = (name: string): Tree => entry.item.get(name) ?? null;
      const updated = member('lastUpdated');
      return [
        escapeControls(entry.key),
        showValue(member('value'), 60),
        cell(member('version')),
        typeof updated === 'string' ? updated : '-',
      ];
    });
    await terminal.print(await formatTable(terminal, ['KEY', 'VALUE', 'VERSION', 'UPDATED'], rows));
  }
}

async function readEntries(api: Api, prefix: string, options: ListOptions, signal: AbortSignal): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const given = { prefix, signal, limit: 10_000, ...(options.depth === 1 ? { delimiter: '/' } : {}) };
  if (options.keysOnly) {
    for await (const page of api.listKeys(given)) {
      for (const { key } of page.keys) entries.push({ kind: 'item', key, item: new Map() });
      for (const folder of page.prefixes) entries.push({ kind: 'folder', prefix: folder });
    }
  } else {
    const { cell, objectOf } = await import('../output/print-item.ts');
    for await (const page of api.list(given)) {
      const items = objectOf(page.bodyText).get('items') as readonly TreeObject[];
      for (const item of items) entries.push({ kind: 'item', key: cell(item.get('key') ?? null), item });
      for (const folder of page.prefixes) entries.push({ kind: 'folder', prefix: folder });
    }
  }
  const { compareBytes } = await import('../../core/byte-order.ts');
  return entries.sort((a, b) => compareBytes(nameOf(a), nameOf(b)));
}

const nameOf = (entry: Entry): string => (entry.kind === 'item' ? entry.key : entry.prefix);

/** The same, with items more than `depth` segments below the prefix folded into their folders. */
function foldDeeper(entries: readonly Entry[], prefix: string, depth: number | undefined): readonly Entry[] {
  if (depth === undefined) return entries;
  const folded = new Map<string, Entry>();
  for (const entry of entries) {
    const segments = nameOf(entry).slice(prefix.length).split('/');
    const folder = `${prefix}${segments.slice(0, depth).join('/')}/`;
    if (entry.kind === 'item' && segments.length <= depth) folded.set(entry.key, entry);
    else folded.set(folder, { kind: 'folder', prefix: folder });
  }
  return [...folded.values()];
}

function emptyHint(prefix: string): string {
  return prefix === '' ? 'there are no keys yet; make one: attune set app/greeting hello' : `no keys begin with '${prefix}'`;
}

function parseDepth(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidOptionError('A depth is a whole number from 1 to 99.');
  return Number(text);
}
