import { spawnSync } from 'node:child_process';

import { packPackage } from './pack.ts';

/*
 * npm run packaging: what would be published is what is meant to be. The rules of publint hold for the tarball, and it holds
 * nothing but what users need.
 */

const MEANT_TO_BE_PACKED = [/^package\.json$/, /^README\.md$/, /^LICENSE$/, /^docs\//, /^dist\/.+\.(js|d\.ts|js\.map)$/];

using packed = packPackage(process.cwd());

const strays = packed.files.filter((name) => !MEANT_TO_BE_PACKED.some((pattern) => pattern.test(name)));
for (const name of strays) console.error(`packed without need: ${name}`);

const publint = spawnSync('publint', ['run', packed.tarball, '--strict'], { stdio: ['ignore', 'inherit', 'inherit'] });
if (publint.error) throw publint.error;

console.log(`${packed.files.length} files in the package`);
if (strays.length > 0 || publint.status !== 0) process.exitCode = 1;
