import type { Command } from 'commander';
import { withNeighbours } from '../missing-key.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';
import { outputOption, OUTPUTS } from '../output/format.ts';

interface GetOptions {
  readonly output?: 'raw' | 'json' | 'yaml' | 'table';
  readonly strong?: boolean;
}

export function addGet(program: Command): void {
  program
    .command('get')
    .summary('print the value of a key')
    .description(
      'Prints the value of a key: text as it is, JSON as it was written. A line feed is added if the value does not end in one; not with -o raw.',
    )
    .argument('<key>', 'the key, such as app/pool-size')
    .addOption(outputOption([...OUTPUTS, 'raw']))
    .option('--strong', 'not older than the store itself, instead of what this node knows')
    .addHelpText(
      'after',
      examples([
        ['attune get app/pool-size', 'the bare value'],
        ['attune get app/pool-size -o json', 'with version, metadata and the rest'],
        ['attune get app/nginx.conf -o raw > nginx.conf', 'to the last byte'],
      ]),
    )
    .action(perform(get));
}

async function get({ terminal, signal, connect }: Invocation, options: GetOptions, key = ''): Promise<void> {
  const api = await connect();
  const read = { signal, ...(options.strong === true ? { consistency: 'strong' as const } : {}) };
  try {
    if (options.output === undefined || options.output === 'raw') {
      const { bytes, contentType } = await api.getRaw(key, read);
      await terminal.print(bytes);
      const isText = contentType !== 'application/octet-stream' && options.output !== 'raw';
      if (isText && bytes.at(-1) !== 0x0a) await terminal.print('\n');
      return;
    }
    const { bodyText } = await api.get(key, read);
    const { printItem } = await import('../output/print-item.ts');
    await printItem(terminal, bodyText, options.output);
  } catch (error) {
    throw await withNeighbours(error, api, key, signal);
  }
}
