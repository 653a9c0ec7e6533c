import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { rolldown } from 'rolldown';
import { z } from 'zod';

import { refuseLogs } from './bundle-client.ts';

/*
 * Part of npm run build; tsx scripts/bundle-cli.ts [folder]: the program `attune` with the packages it needs, in few files (docs/adr/0008).
 * Loading several hundred small ones would be a third of its start.
 */

const ENTRY = 'src/cli/main.ts';
const [folder = 'dist/cli'] = process.argv.slice(2);

/**
 * Found beside the program when it runs: what has native code, starts threads from its own files, or is loaded for the store in use only. And what a
 * package asks for if it happens to be there, which is for whoever runs the program to say.
 */
const EXTERNAL = ['@photostructure/sqlite', 'consul', 'etcd3', 'pino', 'supports-color', 'yaml'];

const MANIFEST = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string(),
  engines: z.object({ node: z.string() }).optional(),
});

const manifestIn = (home: string): z.infer<typeof MANIFEST> => MANIFEST.parse(JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')));

/** The folder of the package that `id`, a module of the bundle, is of; undefined for a file of ours. */
function packageOf(id: string): string | undefined {
  // What the bundler adds itself.
  if (/^\0(?:rolldown|@oxc-project)/.test(id)) return packageOf(fileURLToPath(import.meta.resolve('rolldown')));
  const path = relative('.', id.replace(/^\0/, '')).replaceAll('\\', '/');
  if (path.startsWith('src/')) return undefined;
  const home = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0];
  if (home === undefined) throw new Error(`whose is ${id}? Its licence has to be passed on`);
  return home;
}

/** What the licence of a package asks to be passed on with its code. */
function noticeOf(home: string): string {
  const { name, version, license } = manifestIn(home);
  const file = readdirSync(home).find((one) => /^licen[cs]e/i.test(one));
  return [`${name} ${version} (${license})`, ...(file ? [readFileSync(join(home, file), 'utf8').trim()] : [])].join('\n\n');
}

await using bundle = await rolldown({
  input: ENTRY,
  platform: 'node',
  external: EXTERNAL.map((name) => new RegExp(`^${name}(?:/|$)`)),
  transform: { target: `node${/\d+\.\d+/.exec(manifestIn('.').engines?.node ?? '')?.[0]}` },
  onLog: refuseLogs(ENTRY),
});
const { output } = await bundle.write({ dir: folder, format: 'esm', cleanDir: true });
const ids = output.flatMap((one) => (one.type === 'chunk' ? one.moduleIds : []));
const homes = new Set(ids.flatMap((id) => packageOf(id) ?? []).toSorted());
writeFileSync(join(folder, 'NOTICES.txt'), `${[...homes].map((home) => noticeOf(home)).join(`\n\n${'-'.repeat(80)}\n\n`)}\n`);
chmodSync(join(folder, 'main.js'), 0o755);
