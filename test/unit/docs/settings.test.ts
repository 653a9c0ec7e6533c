import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS, type SettingDefinition } from '../../../src/server/settings.ts';
import { parseMarkdown, tablesOf } from '../../support/markdown.ts';

const [table] = tablesOf(parseMarkdown(readFileSync('docs/settings.md', 'utf8')));

function rowOf({ name, env, type, unit = '', default: byDefault, effect, placeholder, min, max }: SettingDefinition): readonly string[] {
  return [
    `\`${name}\``,
    `\`--${name}${placeholder === undefined ? '' : ` <${placeholder}>`}\``,
    `\`${env}\``,
    type === 'integer' ? `integer from ${min} to ${max}` : type,
    unit,
    byDefault === '' ? '(empty)' : `\`${byDefault}\``,
    effect,
  ];
}

describe('docs/settings.md', () => {
  it('has a row for each setting, saying what the service takes', () => {
    expect(table?.header).toEqual(['setting', 'flag', 'variable', 'type', 'unit', 'default', 'effect']);
    expect(table?.rows).toEqual(SETTINGS.map(rowOf));
  });
});
