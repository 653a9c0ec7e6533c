import { Option, type Command } from 'commander';
import { EXIT, UsageError, type ExitCode } from '../exit-code.ts';
import { FORMATS, type Format } from '../formats/codec.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';

interface ImportOptions {
  readonly prefix?: string;
  readonly format?: Format;
  readonly asDocument?: string | true;
  readonly contentType?: string;
  readonly flat?: boolean;
  readonly separator?: string;
  readonly text?: boolean;
  readonly dryRun?: boolean;
  readonly exitCode?: boolean;
  readonly prune?: boolean;
  readonly yes?: boolean;
  readonly output?: 'json';
}

export function addImport(program: Command): void {
  program
    .command('import')
    .summary('make keys of a file')
    .description(
      'Makes keys of a JSON, YAML, TOML, .properties or .env file: an object is a folder, everything else one value, so that {"db":{"host":"x"}} is db/host. ' +
        'Or stores the file as one value. What is stored already is left alone. docs/import-export.md has the rule in full.',
    )
    .argument('<file>', 'the file, - for stdin')
    .option('--prefix <prefix>', "the folder to write below, such as app/; '' is the top")
    .addOption(new Option('--format <format>', 'what the file is, if its name does not tell').choices(FORMATS))
    .option('--as-document [key]', 'store the whole file as this one key, or as its own name under --prefix')
    .option('--content-type <type>', 'with --as-document: what the file is')
    .option('--dry-run', 'show what would change, and change nothing')
    .option('--exit-code', 'with --dry-run: exit with 8 if anything would change')
    .option('--prune', 'also delete the keys under the prefix that are not in the file; asks first')
    .option('-y, --yes', 'do not ask')
    .option('--separator <text>', 'what joins the parts of a name in .properties (default ".") and .env (default "__")')
    .option('--flat', 'take each name as a whole key, and each value as one')
    .option('--text', 'store every value of a .properties or .env file as text')
    .addOption(new Option('-o, --output <format>', 'how to write the differences and errors').choices(['json']))
    .addHelpText(
      'after',
      examples([
        ['attune import app.yaml --prefix app/ --dry-run', 'what would change'],
        ['attune import app.yaml --prefix app/', 'change it'],
        ['attune import app.yaml --prefix app/ --prune', 'and delete what the file no longer has'],
        ['attune import nginx.conf --as-document app/nginx.conf', 'the file as one value'],
        ['env | attune import - --format env --prefix env/', 'from a pipe'],
      ]),
    )
    .action(perform(importFile));
}

async function importFile(invocation: Invocation, options: ImportOptions, path = ''): Promise<ExitCode | void> {
  const { terminal, signal, connect } = invocation;
  if (options.exitCode && !options.dryRun) throw new UsageError('--exit-code is for --dry-run');
  if (options.prune && options.asDocument !== undefined)
    throw new UsageError('--prune is for keys under a --prefix; --as-document writes one key');
  if (options.prune && !options.dryRun && !options.yes && !terminal.canAsk) {
    throw new UsageError('import --prune asks before it deletes, and nobody is there to ask: give --yes, or see --dry-run');
  }
  const [{ requireFolder }, { decodeText, readFileOf }, { readSource }, { takeSnapshot }, { applyChanges }, { planImport }, diff] =
    await Promise.all([
      import('../folder-prefix.ts'),
      import('../value-operand.ts'),
      import('../import/source.ts'),
      import('../snapshot.ts'),
      import('../import/apply.ts'),
      import('../import/plan-import.ts'),
      import('../import/diff.ts'),
    ]);
  if (options.prefix !== undefined) requireFolder(options.prefix);
  const text = decodeText(path === '-' ? await terminal.readInput(signal) : await readFileOf(path), path === '-' ? 'stdin' : path);
  const source = await readSource(path, text, { ...options, infer: options.text !== true });
  for (const note of source.notes) terminal.tell(`note: ${note}`);

  const api = await connect();
  const [{ items }, status] = await Promise.all([takeSnapshot(api, source.scope, signal), api.status({ signal })]);
  const plan = planImport(source, items, status.body, options.prune === true);
  if (options.dryRun) {
    if (options.output === 'json') {
      const { formatTree } = await import('../output/format.ts');
      await terminal.print(await formatTree(diff.planTree(plan), 'json'));
    } else for (const change of plan.changes) await terminal.print(`${diff.diffLine(change, terminal.paint)}\n`);
    terminal.tell(`${diff.summaryOf(plan)}; nothing was written`);
    return options.exitCode && plan.changes.length > 0 ? EXIT.different : EXIT.ok;
  }

  const deletions = plan.changes.filter((change) => change.type === 'deleted');
  if (deletions.length > 0 && !options.yes) {
    for (const deletion of deletions) terminal.tell(`  ${diff.diffLine(deletion)}`);
    const { confirm } = await import('../confirm.ts');
    if (
      !(await confirm(
        invocation,
        `Delete ${deletions.length === 1 ? 'this key' : `these ${deletions.length} keys`}, and make the other changes?`,
      ))
    ) {
      terminal.tell('nothing was written');
      return EXIT.error;
    }
  }
  await applyChanges(invocation, api, plan.changes);
  terminal.tell(diff.summaryOf(plan));
}
