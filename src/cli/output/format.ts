import { Option } from 'commander';
import { formatJson } from '../formats/json.ts';
import type { Tree } from '../formats/tree.ts';

export const OUTPUTS = ['json', 'yaml', 'table'] as const;
export type Output = (typeof OUTPUTS)[number];

/** `-o`, with more choices if the command has them. */
export function outputOption(choices: readonly string[] = OUTPUTS): Option {
  return new Option('-o, --output <format>', 'how to write the answer').choices(choices);
}

/** A tree as JSON or YAML, ending with a line feed; numbers as the server wrote them. */
export async function formatTree(tree: Tree, output: 'json' | 'yaml'): Promise<string> {
  if (output === 'json') return `${formatJson(tree, 2)}\n`;
  const { formatYaml } = await import('../formats/yaml.ts');
  return formatYaml(tree);
}
