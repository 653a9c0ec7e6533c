import { InvalidArgumentError as InvalidOptionError, Option, type Command } from 'commander';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';

interface WatchOptions {
  readonly output?: 'json';
  readonly since?: string;
  readonly snapshot?: boolean;
  readonly count?: number;
}

export function addWatch(program: Command): void {
  program
    .command('watch')
    .summary('print changes as they happen')
    .description(
      'Prints each change as it happens. A name that ends in / is a prefix, any other a key, which need not exist yet; none means everything. Goes on by itself, ' +
        'without gap or repeat, when the connection breaks or the server is restarted. Where that cannot be, it says so and prints the state anew.',
    )
    .argument('[names...]', 'prefixes (app/) and keys (app/pool-size)')
    .option('--since <cursor>', 'begin after this position, as an earlier answer gave it')
    .option('--snapshot', 'begin with what is there')
    .option('-n, --count <n>', 'end after this many changes', parseCount)
    .addOption(new Option('-o, --output <format>', 'one JSON object a line').choices(['json']))
    .addHelpText(
      'after',
      examples([
        ['attune watch app/', 'every change below app/'],
        ['attune watch app/pool-size db/', 'a key and a prefix'],
        ['attune watch app/ -o json | jq .newValue', 'for programs'],
        ['attune watch app/flag -n 1', 'wait for the next change'],
      ]),
    )
    .action(perform(watch));
}

async function watch(invocation: Invocation, options: WatchOptions, ...names: readonly string[]): Promise<void> {
  const { terminal, signal, connect } = invocation;
  const [{ followChanges }, { jsonLines, plainLines }] = await Promise.all([import('../watch/follow.ts'), import('../watch/lines.ts')]);
  const selection = {
    prefixes: names.filter((name) => name === '' || name.endsWith('/')),
    keys: names.filter((name) => name !== '' && !name.endsWith('/')),
  };
  const lines = options.output === 'json' ? jsonLines : plainLines(terminal.paint);
  const tell = (line: string): void => terminal.tell(`attune: ${line}`);
  const follow = {
    selection: selection.prefixes.includes('') ? {} : selection,
    since: options.since,
    snapshot: options.snapshot === true,
    signal,
    tell,
    onLive: () => tell(`watching ${names.length === 0 || names.includes('') ? 'everything' : names.join(', ')}`),
  };
  let left = options.count ?? Number.POSITIVE_INFINITY;
  for await (const event of followChanges(await connect(), follow)) {
    await terminal.print(`${lines(event)}\n`);
    if (event.kind === 'change' && --left === 0) return;
  }
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidOptionError('A count is a whole number above 0.');
  return Number(text);
}
