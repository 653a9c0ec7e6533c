import { Option, type Command } from 'commander';
import type { Api } from '../../client/api.ts';
import { EXIT, UsageError, type ExitCode } from '../exit-code.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';
import { withNeighbours } from '../missing-key.ts';
import { parseVersion } from './set.ts';

interface DeleteOptions {
  readonly prefix?: string;
  readonly ifVersion?: number;
  readonly yes?: boolean;
}

export function addDelete(program: Command): void {
  program
    .command('delete')
    .summary('delete keys')
    .description(
      'Deletes keys. With --prefix: lists all keys under it and asks first. A key that changed after it was listed is kept and told.',
    )
    .argument('[keys...]', 'the keys')
    .option('--prefix <prefix>', 'delete everything under this prefix, which ends in /')
    .option('--if-version <n>', 'only if the key is at this version', parseVersion)
    .option('-y, --yes', 'do not ask')
    .addOption(new Option('-o, --output <format>', 'how to write errors').choices(['json']))
    .addHelpText(
      'after',
      examples([
        ['attune delete app/pool-size', 'one key'],
        ['attune delete app/pool-size --if-version 4', 'exit code 3 if somebody changed it'],
        ['attune delete --prefix app/old/', 'lists what would go, and asks'],
        ['attune delete --prefix app/old/ --yes', 'in a script'],
      ]),
    )
    .action(perform(deleteKeys));
}

async function deleteKeys(invocation: Invocation, options: DeleteOptions, ...keys: readonly string[]): Promise<ExitCode | void> {
  if (options.prefix !== undefined) {
    if (keys.length > 0) throw new UsageError(`both keys and --prefix '${options.prefix}' are given; give one of them`);
    if (options.ifVersion !== undefined) throw new UsageError('--if-version is for one key, not for a --prefix');
    return deletePrefix(invocation, options.prefix, options.yes === true);
  }
  if (keys.length === 0) throw new UsageError('nothing to delete: name a key, or a --prefix');
  if (options.ifVersion !== undefined && keys.length > 1) throw new UsageError(`--if-version is for one key, but ${keys.length} are given`);
  const api = await invocation.connect();
  for (const key of keys) await deleteKey(invocation, api, key, options.ifVersion);
}

async function deleteKey({ terminal, signal }: Invocation, api: Api, key: string, ifVersion: number | undefined): Promise<void> {
  try {
    await api.delete(key, { signal, ...(ifVersion === undefined ? {} : { ifVersion }) });
  } catch (error) {
    throw await withNeighbours(error, api, key, signal);
  }
  await terminal.print(`${terminal.paint('cyan', key)} deleted\n`);
}

async function deletePrefix(invocation: Invocation, prefix: string, isAgreed: boolean): Promise<ExitCode | void> {
  const [{ requireFolder }, { takeSnapshot }, { applyChanges }] = await Promise.all([
    import('../folder-prefix.ts'),
    import('../snapshot.ts'),
    import('../import/apply.ts'),
  ]);
  const { terminal, signal, connect } = invocation;
  requireFolder(prefix);
  if (!isAgreed && !terminal.canAsk) throw new UsageError('delete --prefix asks before it deletes, and nobody is there to ask: give --yes');
  const api = await connect();
  const { items } = await takeSnapshot(api, { prefix }, signal);
  if (items.size === 0) {
    terminal.tell(`no keys under '${prefix}'`);
    return EXIT.ok;
  }
  if (!isAgreed) {
    for (const key of items.keys()) terminal.tell(`  ${key}`);
    const { confirm } = await import('../confirm.ts');
    if (!(await confirm(invocation, `Delete ${items.size === 1 ? 'this key' : `these ${items.size} keys`} under '${prefix}'?`))) {
      terminal.tell('nothing was deleted');
      return EXIT.error;
    }
  }
  const changes = [...items].map(([key, old]) => ({ type: 'deleted' as const, key, old }));
  await applyChanges(invocation, api, changes);
  terminal.tell(`${items.size === 1 ? '1 key' : `${items.size} keys`} under '${prefix}' deleted`);
}
