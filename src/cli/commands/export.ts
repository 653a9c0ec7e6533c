import { Option, type Command } from 'commander';
import { UsageError } from '../exit-code.ts';
import { formatOfName, FORMATS, loadCodec, type Format } from '../formats/codec.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';

interface ExportOptions {
  readonly format?: Format;
  readonly output?: string;
  readonly flat?: boolean;
  readonly separator?: string;
}

export function addExport(program: Command): void {
  program
    .command('export')
    .summary('write the keys under a prefix to a file')
    .description(
      'Writes all keys under a prefix, as of one revision, as one file: the inverse of import. A file takes the place of an older one only when it is complete.',
    )
    .argument('<prefix>', "the folder, such as app/; '' for everything")
    .addOption(new Option('--format <format>', "what to write; default: as the file's name tells, else json").choices(FORMATS))
    .option('-o, --output <file>', 'the file to write; default: stdout')
    .option('--separator <text>', 'what joins the parts of a name in .properties (default ".") and .env (default "__")')
    .option('--flat', 'one member a key, names as the keys are: exact for whatever is stored')
    .addHelpText(
      'after',
      examples([
        ['attune export app/', 'as JSON, nested'],
        ['attune export app/ -o app.yaml', 'as YAML, into a file'],
        ['attune export app/ --format env', 'as NAME=value lines'],
        ["attune export '' --flat -o backup.json", 'everything, key by key'],
      ]),
    )
    .action(perform(exportPrefix));
}

async function exportPrefix({ terminal, signal, connect }: Invocation, options: ExportOptions, prefix = ''): Promise<void> {
  const [{ requireFolder }, { takeSnapshot }, { renderExport }] = await Promise.all([
    import('../folder-prefix.ts'),
    import('../snapshot.ts'),
    import('../export/render.ts'),
  ]);
  requireFolder(prefix);
  const file = options.output === '-' ? undefined : options.output;
  const codec = await loadCodec(options.format ?? (file === undefined ? undefined : formatOfName(file)) ?? 'json');
  if (codec.kind === 'nested' && options.separator !== undefined) throw new UsageError('--separator is for .properties and .env files');
  if (options.flat && options.separator !== undefined)
    throw new UsageError(`--flat and --separator '${options.separator}' contradict each other; give one of them`);
  if (options.separator === '') throw new UsageError('--separator has at least one character; --flat keeps keys as they are');
  const { items } = await takeSnapshot(await connect(), { prefix }, signal);
  const { text, notes } = renderExport(items, codec, { prefix, flat: options.flat === true, separator: options.separator });
  for (const note of notes) terminal.tell(`note: ${note}`);
  if (file === undefined) return terminal.print(text);
  const { replaceFile } = await import('../replace-file.ts');
  await replaceFile(file, text);
  terminal.tell(`${items.size === 1 ? '1 key' : `${items.size} keys`} written to ${file}`);
}
