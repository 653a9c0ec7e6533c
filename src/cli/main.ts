#!/usr/bin/env node
import { CommanderError } from 'commander';
import { EXIT } from './exit-code.ts';
import { createProgram } from './program.ts';
import { loadSettings } from './serve.ts';

/** Words after which the settings of `serve` are needed. The server is not loaded for a `get`. */
const NEEDS_SETTINGS: ReadonlySet<string> = new Set(['serve', 'help', 'completion']);

/** Runs the command line; sets `process.exitCode`. */
async function main(words: readonly string[]): Promise<void> {
  const settings = words.some((word) => NEEDS_SETTINGS.has(word)) ? await loadSettings() : [];
  try {
    await createProgram(settings).parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    if (error.code !== 'commander.help') process.stderr.write(`attune: ${usageLine(error.message)}\n`);
    process.exitCode = EXIT.usage;
  }
}

/** Commander's message in the form of ours: `unknown option '--prefx'; did you mean '--prefix'?` */
function usageLine(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(
      /\s*\(Did you mean one of (.*)\?\)$/s,
      (_all, words: string) =>
        `; did you mean ${words
          .split(', ')
          .map((word) => `'${word}'`)
          .join(' or ')}?`,
    )
    .replace(/\s*\(Did you mean (.*)\?\)$/s, "; did you mean '$1'?");
}

// A reader that went away (`attune serve | head -1`, `attune --help | head`) is no failure; a command that only prints ends by itself.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

await main(process.argv.slice(2));
