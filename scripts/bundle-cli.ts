import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { rolldown, type OutputChunk } from 'rolldown';
import { z } from 'zod';

import { refuseLogs } from './bundle-client.ts';

/*
 * Part of npm run build; tsx scripts/bundle-cli.ts [folder]: the program `attune` with the packages it needs, in few files (docs/adr/0008). Loading several hundred small ones would be half of
 * its start.
 */

const ENTRY = 'src/cli/main.ts';
const [folder = 'dist/cli'] = process.argv.slice(2);

/** Found beside the program when it runs: what has native code, starts threads from its own files, or is only loaded for the store in use. */
const EXTERNAL = ['@photostructure/sqlite', 'consul', 'etcd3', 'pino', 'yaml'];

const MANIFEST = z.object({ name: z.string(), version: z.string(), license: z.string() });

/** The folders of the packages that are in `chunks`. */
function packagesIn(chunks: readonly OutputChunk[]): ReadonlySet<string> {
  const folders = chunks
    .flatMap(({ moduleIds }) => moduleIds)
    .flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0].replace(/^\0/, '') ?? []);
  return new Set(folders.toSorted());
}

/** What the licence of a package asks to be passed on with its code. */
function noticeOf(home: string): string {
  const { name, version, license } = MANIFEST.parse(JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')));
  const file = readdirSync(home).find((one) => /^licen[cs]e/i.test(one));
  return [`${name} ${version} (${license})`, ...(file ? [readFileSync(join(home, file), 'utf8').trim()] : [])].join('\n\n');
}

await using bundle = await rolldown({
  input: ENTRY,
  platform: 'node',
  external: EXTERNAL.map((name) => new RegExp(`^${name}(?:/|$)`)),
  transform: { target: 'node20.19' },
  onLog: refuseLogs(ENTRY),
});
const { output } = await bundle.write({ dir: folder, format: 'esm', cleanDir: true });
const chunks = output.filter((one) => one.type === 'chunk');
writeFileSync(join(folder, 'NOTICES.txt'), `${[...packagesIn(chunks)].map((one) => noticeOf(one)).join(`\n\n${'-'.repeat(80)}\n\n`)}\n`);
chmodSync(join(folder, 'main.js'), 0o755);
