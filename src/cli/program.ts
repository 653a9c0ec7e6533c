import { Command } from 'commander';
import { addCompletion } from './commands/completion.ts';
import { addDelete } from './commands/delete.ts';
import { addEdit } from './commands/edit.ts';
import { addExport } from './commands/export.ts';
import { addGet } from './commands/get.ts';
import { addImport } from './commands/import.ts';
import { addList } from './commands/list.ts';
import { addSet } from './commands/set.ts';
import { addStatus } from './commands/status.ts';
import { addWatch } from './commands/watch.ts';
import { DEFAULT_URL } from './connection.ts';
import { addServe, type SettingDefinition } from './serve.ts';
import { readVersion } from './version.ts';

const FOOTER = `
The server is --url, ATTUNE_URL, the url in attune/context.toml of your configuration folder, or ${DEFAULT_URL}.
The token is ATTUNE_TOKEN, the file ATTUNE_TOKEN_FILE names, or that of context.toml; never a flag.

Exit codes: 0 ok, 1 error, 2 usage, 3 conflict or locked, 4 not found, 5 unauthenticated or forbidden, 6 unreachable,
not ready or timed out, 7 refused as invalid, 8 differences found, 9 outcome unknown, 128+n on a signal.
`;

/** All commands. `settings` are the server's, empty where `serve` is not about to be run, described or completed. */
export function createProgram(settings: readonly SettingDefinition[]): Command {
  const program = new Command('attune')
    .description('A configuration service: change a key once, every running process sees it within milliseconds.')
    .version(readVersion(), '-V, --version')
    .option('--url <url>', 'the server to ask')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', FOOTER)
    // Sub-commands inherit these when they are added, so they come first.
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  addServe(program, settings);
  addGet(program);
  addSet(program);
  addDelete(program);
  addEdit(program);
  addList(program);
  addWatch(program);
  addImport(program);
  addExport(program);
  addStatus(program);
  addCompletion(program);
  return program;
}
