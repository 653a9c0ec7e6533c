import type { Command } from 'commander';
import type { SettingDefinition } from '../server/settings.ts';
import { examples } from './help.ts';

export type { SettingDefinition };

/** The settings of the server, each an option of `serve`. The only door from the command line into the server is this file. */
export async function loadSettings(): Promise<readonly SettingDefinition[]> {
  return (await import('../server/settings.ts')).SETTINGS;
}

/** `attune serve`, with one option for each setting. Given as a parameter, because loading them loads the server. */
export function addServe(program: Command, settings: readonly SettingDefinition[]): void {
  const command = program
    .command('serve')
    .summary('run the service')
    .description(
      'Runs the service until SIGTERM or SIGINT. Each setting may also come from its variable or from a settings file; docs/settings.md lists them.',
    )
    .option('--config <path>', 'a TOML file with settings by name')
    .option('--print-settings', 'show every setting with its source, and end')
    .addHelpText(
      'after',
      examples([
        ['attune serve', 'an embedded store in ./data, on 127.0.0.1:8080'],
        ['attune serve --port 0 --provider memory:', 'for a try: any free port, nothing kept'],
        ['attune serve --provider etcd://127.0.0.1:2379/app/config', 'over an etcd, with the keys that lie in it'],
        ['attune serve --print-settings', 'what it would run with'],
      ]),
    );
  for (const { name, type, placeholder, effect, env, default: byDefault } of settings) {
    const flag = type === 'flag' ? `--${name}` : `--${name} <${placeholder ?? type}>`;
    command.option(flag, `${effect} (${env}${byDefault === '' ? '' : `; default ${byDefault}`})`);
  }
  command.action(async () => {
    process.exitCode = await runServe(flagsOf(command, settings), command.opts<ServeFlags>());
  });
}

interface ServeFlags {
  readonly config?: string;
  readonly printSettings?: boolean;
}

/** Commander keeps `--data-dir` as `dataDir`; the server knows it by its name. */
function flagsOf(command: Command, settings: readonly SettingDefinition[]): Readonly<Record<string, string | true | undefined>> {
  const attribute = (name: string): string | undefined => command.options.find((option) => option.long === `--${name}`)?.attributeName();
  return Object.fromEntries(
    settings.map(({ name }) => [name, command.getOptionValue(attribute(name) ?? name) as string | true | undefined]),
  );
}

async function runServe(
  flags: Readonly<Record<string, string | true | undefined>>,
  { config, printSettings }: ServeFlags,
): Promise<number> {
  const { serve, ServeError } = await import('../server/main.ts');
  try {
    await serve({ flags, env: process.env, file: config, isPrintOnly: printSettings === true });
    return 0;
  } catch (error) {
    if (!(error instanceof ServeError)) throw error;
    process.stderr.write(`attune: ${error.message}\n`);
    return error.exitCode;
  }
}
