import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { z } from 'zod';

import { copySources, packInto, type PackedPackage } from './pack.ts';

const NAME = 'attune-client';
const SOURCES = ['tsconfig.json', 'tsconfig.build.json', 'LICENSE', 'src/core', 'src/client'];

/** Where each door of the package stands in the sources. */
const DOORS = Object.entries({
  '.': 'client/index',
  './node': 'client/node/index',
  './tabs': 'client/tabs/index',
  './testing': 'client/testing/index',
});

/** The doors that stand open in browsers, as files of the package. */
export const BROWSER_DOORS = DOORS.filter(([door]) => door !== './node').map(([, path]) => `dist/${path}.js`);

const MANIFEST = z.object({
  version: z.string(),
  license: z.string(),
  type: z.literal('module'),
  engines: z.record(z.string(), z.string()),
  dependencies: z.object({ 'eventsource-parser': z.string() }),
});

function manifestOf(project: string): object {
  const { version, license, type, engines, dependencies } = MANIFEST.parse(JSON.parse(project));
  const exports = DOORS.map(([door, path]) => [door, { types: `./dist/${path}.d.ts`, default: `./dist/${path}.js` }]);
  return {
    name: NAME,
    version,
    description: 'The client of Attune, a configuration service: a local, always current, typed copy of the configuration.',
    license,
    type,
    engines,
    sideEffects: false,
    exports: { ...(Object.fromEntries(exports) as object), './package.json': './package.json' },
    files: ['dist'],
    dependencies,
  };
}

/** The guide's first words and its first program. @throws where the guide no longer has them. */
function readmeOf(guide: string): string {
  const intro = /^# [^\n]+\n\n(.+?)\n\n/s.exec(guide)?.[1];
  const program = /^```ts\n(?:\/\/ [^\n]+\n)?(.+?)^```$/ms.exec(guide)?.[1];
  if (intro === undefined || program === undefined)
    throw new Error('docs/client.md must begin with a paragraph and show a program in ```ts');
  const imports = program.replaceAll(/'attune\/client\b/g, `'${NAME}`);
  const install = ['```sh', `npm install ${NAME}`, '```'];
  return `${[`# ${NAME}`, '', intro, '', ...install, '', '```ts', imports.trimEnd(), '```'].join('\n')}\n`;
}

/** Builds the package from the sources and packs it, in a folder of its own that is gone when the result is disposed. */
export function packClient(): PackedPackage {
  return packInto((folder) => {
    copySources(folder, SOURCES);
    const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
    write('package.json', `${JSON.stringify(manifestOf(readFileSync('package.json', 'utf8')), null, 2)}\n`);
    write('README.md', readmeOf(readFileSync('docs/client.md', 'utf8')));
    const files = DOORS.map(([, path]) => `src/${path}.ts`);
    const compilerOptions = { incremental: false, tsBuildInfoFile: null };
    write('tsconfig.client.json', JSON.stringify({ extends: './tsconfig.build.json', compilerOptions, include: [], files }));
    execFileSync(resolve('node_modules/.bin/tsc'), ['-p', 'tsconfig.client.json'], { cwd: folder, stdio: ['ignore', 2, 2] });
  });
}
