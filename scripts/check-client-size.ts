import { gzipSync } from 'node:zlib';

import { bundleSplit, type Bundle } from './bundle-client.ts';

/*
 * npm run size: what `import 'attune-client'` adds to a page, minified by a bundler and gzipped, the dependency included. What is loaded
 * at first is what counts; what waits behind an `import()` is shown beside it. docs/adr/0007 says why the goal is not reached.
 */

const ENTRY = 'src/client/index.ts';
/** Gzipped, of what is loaded at first. */
const GOAL_BYTES = 8 * 1024;
/** What has been reached, and must not be lost again: lower it with every byte that is won. */
const REACHED_BYTES = 14_200;

const gzipped = (code: string): number => gzipSync(code, { level: 9 }).byteLength;
const column = (value: number): string => value.toLocaleString('en').padStart(9);

/** For each module, what it adds: the gzipped size less that without it. */
function printModules({ code, modules }: Bundle): void {
  const rows = modules.map((module) => ({
    name: module.name,
    minified: module.code.length,
    added: gzipped(code) - gzipped(modules.map((other) => (other === module ? '' : other.code)).join('')),
  }));
  for (const { name, minified, added } of rows.sort((a, b) => b.minified - a.minified)) {
    console.log(`${column(minified)}${column(added)}  ${name}`);
  }
}

function print(name: string, bundles: readonly Bundle[]): number {
  for (const bundle of bundles) printModules(bundle);
  const total = bundles.reduce((sum, { code }) => sum + gzipped(code), 0);
  console.log(`${column(bundles.reduce((sum, { code }) => sum + code.length, 0))}${column(total)}  ${name}\n`);
  return total;
}

const { initial, later } = await bundleSplit(ENTRY);
console.log(' minified  gzipped  of the door attune-client (gzipped, of a module: what leaving it out would save)');
const size = print('loaded at first', [initial]);
if (later.length > 0) print('loaded only when needed, each file by itself', later);

const verdict = size <= GOAL_BYTES ? 'within' : `${size - GOAL_BYTES} bytes above`;
console.log(`${size} bytes gzipped are loaded at first: ${verdict} the goal of ${GOAL_BYTES}; more than ${REACHED_BYTES} fail`);
if (size > REACHED_BYTES) process.exitCode = 1;
