/** The examples below a command's help: a command line and what it does. */
export function examples(lines: readonly (readonly [commandLine: string, effect: string])[]): string {
  const width = Math.max(...lines.map(([commandLine]) => commandLine.length));
  return `\nExamples:\n${lines.map(([commandLine, effect]) => `  $ ${commandLine.padEnd(width)}   ${effect}`).join('\n')}\n`;
}
