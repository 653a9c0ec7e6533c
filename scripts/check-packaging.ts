import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { z } from 'zod';

import { packPackage } from './pack.ts';

/*
 * npm run packaging: what would be published is what is meant to be. The tarball holds what users need and nothing else, its source
 * maps show sources that are there, and publint's rules hold for it.
 */

const MEANT_TO_BE_PACKED = [/^package\.json$/, /^README\.md$/, /^LICENSE$/, /^docs\//, /^dist\/.+\.(js|d\.ts|js\.map)$/];
const NEEDED = ['package.json', 'README.md', 'LICENSE', 'dist/cli/main.js'];

const SOURCE_MAP = z.object({ sources: z.array(z.string()), sourcesContent: z.array(z.string()).default([]) });

using packed = packPackage();
const folder = dirname(packed.tarball);
const files = new Set(packed.files);

function isSelfContained(map: string): boolean {
  const { sources, sourcesContent } = SOURCE_MAP.parse(JSON.parse(readFileSync(join(folder, map), 'utf8')));
  return sources.length === sourcesContent.length;
}

const problems = [
  ...NEEDED.filter((name) => !files.has(name)).map((name) => `${name} is not in the package`),
  ...packed.files
    .filter((name) => !MEANT_TO_BE_PACKED.some((pattern) => pattern.test(name)))
    .map((name) => `${name} is packed without need`),
  ...packed.files.filter((name) => name.endsWith('.map') && !isSelfContained(name)).map((name) => `${name} points at sources nobody has`),
];
for (const problem of problems) console.error(problem);

const publint = spawnSync('publint', ['run', packed.tarball, '--strict'], { stdio: ['ignore', 'inherit', 'inherit'] });
if (publint.error) throw publint.error;

console.log(`${packed.files.length} files in the package`);
if (problems.length > 0 || publint.status !== 0) process.exitCode = 1;
