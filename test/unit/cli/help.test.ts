import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../../src/cli/program.ts';
import { SETTINGS } from '../../../src/server/settings.ts';

const program = createProgram(SETTINGS);
const commands = program.commands.filter((command) => command.name() !== 'complete-keys');

/** The help of a command as it would be shown. */
function helpOf(command: Command): string {
  let shown = '';
  command.configureOutput({ writeOut: (text) => (shown += text) }).outputHelp();
  return shown;
}

/** The command lines in the examples, one for each `attune` in a line. */
const examplesOf = (command: Command): readonly string[] =>
  helpOf(command)
    .split('\n')
    .flatMap((line) => /^ {2}\$ (.*?) {3,}\S/.exec(line)?.[1] ?? [])
    .flatMap((line) =>
      line
        .replaceAll(/'[^']*'/g, 'quoted')
        .split(/[|<>()]/)
        .filter((part) => /(?:^|\s)attune\s/.test(part)),
    );

describe('help', () => {
  it.each(commands.map((command) => [command.name(), command] as const))('of %s has examples that its options allow', (name, command) => {
    const examples = examplesOf(command);
    expect(examples.length).toBeGreaterThan(1);
    const known = [...command.options, ...program.options].flatMap(({ short, long }) => [short, long]);
    for (const example of examples) {
      const words = example.trim().split(/\s+/);
      const own = words.slice(words.indexOf('attune'));
      expect(own.slice(0, 2)).toEqual(['attune', name]);
      expect(own.filter((word) => /^--?[a-z]/i.test(word) && !known.includes(word))).toEqual([]);
    }
  });

  it.each(commands.map((command) => [command.name(), command] as const))('of %s says what each operand and option is', (_name, command) => {
    for (const { description } of [...command.options, ...command.registeredArguments]) expect(description).not.toBe('');
    expect(command.description()).toMatch(/\.$/);
    expect(command.summary()).not.toBe('');
  });

  it('of serve has an option for every setting, with its variable', () => {
    const serve = commands.find((command) => command.name() === 'serve');
    for (const { name, env } of SETTINGS) expect(serve?.options.find(({ long }) => long === `--${name}`)?.description).toContain(env);
  });
});
