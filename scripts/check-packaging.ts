import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { z } from 'zod';

import { findImports } from './bundle-client.ts';
import { BROWSER_DOORS, packClient } from './client-package.ts';
import { packPackage, type PackedPackage } from './pack.ts';

/*
 * npm run packaging: what would be published is what is meant to be. Each tarball holds what users need and nothing else, its source
 * maps show sources that are there, and publint's rules hold for it. What browsers load of the client needs nothing they do not have.
 */

interface Contents {
  readonly allowed: readonly RegExp[];
  readonly needed: readonly string[];
}

const BUILT = 'js|d\\.ts|js\\.map';
const PACKAGE: Contents = {
  allowed: [/^package\.json$/, /^README\.md$/, /^LICENSE$/, /^docs\//, /^dist\/cli\/NOTICES\.txt$/, new RegExp(`^dist/.+\\.(${BUILT})$`)],
  needed: ['package.json', 'README.md', 'LICENSE', 'dist/cli/main.js', 'dist/cli/NOTICES.txt'],
};
const CLIENT_PACKAGE: Contents = {
  allowed: [/^package\.json$/, /^README\.md$/, /^LICENSE$/, new RegExp(`^dist/(client|core)/.+\\.(${BUILT})$`)],
  needed: ['package.json', 'README.md', 'LICENSE', ...BROWSER_DOORS],
};
/** What the client may ask for in a browser, beside its own files. */
const BROWSER_PACKAGES: ReadonlySet<string> = new Set(['eventsource-parser']);

const SOURCE_MAP = z.object({ sources: z.array(z.string()), sourcesContent: z.array(z.string()).default([]) });

function isSelfContained(map: string): boolean {
  const { sources, sourcesContent } = SOURCE_MAP.parse(JSON.parse(readFileSync(map, 'utf8')));
  return sources.length === sourcesContent.length;
}

function problemsOf({ tarball, files }: PackedPackage, { allowed, needed }: Contents): readonly string[] {
  return [
    ...needed.filter((name) => !files.includes(name)).map((name) => `${name} is not in the package`),
    ...files.filter((name) => !allowed.some((pattern) => pattern.test(name))).map((name) => `${name} is packed without need`),
    ...files
      .filter((name) => name.endsWith('.map') && !isSelfContained(join(dirname(tarball), name)))
      .map((name) => `${name} points at sources nobody has`),
  ];
}

/** Everything a browser would be asked for and does not have, wherever it is imported. */
async function unbrowsableOf(packed: PackedPackage): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const door of BROWSER_DOORS) {
    const imports = await findImports(join(dirname(packed.tarball), door));
    for (const name of imports) if (!BROWSER_PACKAGES.has(name)) problems.push(`${door} leads to ${name}, which browsers do not have`);
  }
  return problems;
}

function report(name: string, packed: PackedPackage, problems: readonly string[]): boolean {
  for (const problem of problems) console.error(`${name}: ${problem}`);
  const publint = spawnSync('publint', ['run', packed.tarball, '--strict'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (publint.error) throw publint.error;
  console.log(`${packed.files.length} files in the package ${name}`);
  return problems.length === 0 && publint.status === 0;
}

using packed = packPackage();
using client = packClient();
const results = [
  report('attune', packed, problemsOf(packed, PACKAGE)),
  report('attune-client', client, [...problemsOf(client, CLIENT_PACKAGE), ...(await unbrowsableOf(client))]),
];
if (results.includes(false)) process.exitCode = 1;
