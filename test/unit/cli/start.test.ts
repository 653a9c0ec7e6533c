import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const STATIC_IMPORT = /^(?:import|export)\s+(?!type\s)(?:[^'";]*?\sfrom\s+)?['"]([^'"\n]+)['"]/gm;

/** All that is loaded before `entry` runs its first line: files of ours, and packages by name. */
function loadedWith(entry: string): ReadonlySet<string> {
  const loaded = new Set([resolve(entry)]);
  for (const file of loaded) {
    if (!file.endsWith('.ts')) continue;
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
      if (!specifier.startsWith('node:')) loaded.add(specifier.startsWith('.') ? resolve(dirname(file), specifier) : specifier);
    }
  }
  return loaded;
}
const packagesOf = (loaded: ReadonlySet<string>): readonly string[] => [...loaded].filter((name) => !name.startsWith('/'));

describe('the command line', () => {
  it('starts with commander alone; formats, prompts and the server are loaded by the commands that need them', () => {
    const loaded = loadedWith('src/cli/main.ts');
    expect(packagesOf(loaded)).toEqual(['commander']);
    expect([...loaded].filter((name) => /\/src\/(?:server|client|providers)\//.test(name))).toEqual([]);
  });

  it('needs nothing but the stream parser to ask a server', () => {
    expect(packagesOf(loadedWith('src/client/api.ts'))).toEqual(['eventsource-parser']);
  });
});
