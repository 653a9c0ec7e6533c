import { Argument, type Command } from 'commander';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';
import { SHELLS, type Shell } from '../completion/shells.ts';

/** Candidates offered at once; a longer list helps nobody. */
const MOST_KEYS = 200;

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print a completion script for your shell')
    .description('Prints a script that completes commands, options and, by asking the server, keys.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples([
        ['source <(attune completion bash)', 'in ~/.bashrc'],
        ['source <(attune completion zsh)', 'in ~/.zshrc, after compinit'],
        ['attune completion fish > ~/.config/fish/completions/attune.fish', 'once'],
      ]),
    )
    .action(
      perform(async ({ terminal }, _options: unknown, shell = 'bash') => {
        const { completionScript } = await import('../completion/shells.ts');
        await terminal.print(completionScript(shell as Shell, program));
      }),
    );
  program.command('complete-keys', { hidden: true }).argument('[beginning]').action(perform(completeKeys));
}

/** Keys and folders that begin with `beginning`, one a line. Silent whatever happens: it runs while somebody types. */
async function completeKeys({ terminal, signal, connect }: Invocation, _options: unknown, beginning = ''): Promise<void> {
  try {
    const api = await connect();
    for await (const page of api.listKeys({ prefix: beginning, delimiter: '/', limit: MOST_KEYS, timeoutMs: 1_000, signal })) {
      await terminal.print([...page.prefixes, ...page.keys.map(({ key }) => key)].map((name) => `${name}\n`).join(''));
      return;
    }
  } catch {
    // No candidates, then.
  }
}
