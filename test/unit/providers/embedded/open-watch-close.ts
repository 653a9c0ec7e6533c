/** Opens a store, writes, watches, and closes it or not; then there is nothing left to do. */
import { EmbeddedProvider } from '../../../../src/providers/embedded/embedded-provider.ts';

const [directory = '', end] = process.argv.slice(2);
const provider = new EmbeddedProvider(directory);
await provider.open();
const after = await provider.commit({ checks: [], operations: [{ type: 'put', key: 'a', value: Uint8Array.of(1) }] });
const watch = provider.watch('', { after, signal: new AbortController().signal });
void watch[Symbol.asyncIterator]()
  .next()
  .catch(() => {});
if (end === 'close') await provider.close();
process.stdout.write('done\n');
