import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Bench } from './bench.ts';
import { pinTo } from './processor.ts';

const moduleUrl = (path: string): string => pathToFileURL(join(import.meta.dirname, '../../dist/providers', path)).href;

/**
 * Milliseconds for a bare program that lists everything below `prefix` with the provider of this checkout and does nothing else, from its start as a
 * process to the last item. Given to Node as text, so that no loader's time is counted.
 */
export async function timeRawList(
  bench: Bench,
  store: { readonly folder: string } | { readonly etcd: string },
  prefix: string,
): Promise<number> {
  const create =
    'folder' in store
      ? `const { EmbeddedProvider } = await import(${JSON.stringify(moduleUrl('embedded/embedded-provider.js'))});
         const provider = new EmbeddedProvider(${JSON.stringify(store.folder)});`
      : `const { EtcdProvider } = await import(${JSON.stringify(moduleUrl('etcd/etcd-provider.js'))});
         const provider = new EtcdProvider({ hosts: [${JSON.stringify(store.etcd)}], namespace: 'app/config' });`;
  const program = `${create}
    await provider.open();
    const { entries } = await provider.list(${JSON.stringify(prefix)});
    console.log(entries.length);
    process.exit();`;
  const [command, ...words] = [...pinTo('server', bench.options.isPinned), process.execPath, '--input-type=module', '--eval', program];
  const begin = performance.now();
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let tookMs = Number.NaN;
  let items = 0;
  child.stdout.once('data', (chunk: Buffer) => {
    tookMs = performance.now() - begin;
    items = Number(chunk.toString());
  });
  await once(child, 'close');
  if (!(items > 0)) throw new Error('the raw list found nothing');
  return tookMs;
}
