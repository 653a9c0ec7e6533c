/**
 * A process that writes to a store until it is killed, and says on stdout what it was told: `open HEAD`, `ack WRITER NUMBER REVISION`,
 * `fail WRITER NUMBER CODE`. Arguments: directory, writers, bytes of a value, first number. Each write is one transaction of three keys.
 */
import { isAttuneError } from '../../src/core/provider.ts';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';

const [directory = '', writers = '1', bytes = '100', first = '0'] = process.argv.slice(2);

const provider = new EmbeddedProvider(directory);
await provider.open();
process.stdout.write(`open ${await provider.head('')}\n`);

await Promise.all(
  Array.from({ length: Number(writers) }, async (_, writer) => {
    const value = new Uint8Array(Number(bytes)).fill(0x61 + (writer % 26));
    for (let number = Number(first); ; number++) {
      const operations = ['a', 'b', 'c'].map((part) => ({ type: 'put' as const, key: `w${writer}/${number}/${part}`, value }));
      try {
        const revision = await provider.commit({ checks: [], operations });
        process.stdout.write(`ack ${writer} ${number} ${revision}\n`);
      } catch (error) {
        process.stdout.write(`fail ${writer} ${number} ${isAttuneError(error) ? error.code : String(error)}\n`);
        // A failing disk answers at once: without a pause this would only fill the pipe.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }),
);
