/**
 * A process that writes to a store until it is killed, and says on stdout what it was told: `open HEAD`, `ack WRITER NUMBER REVISION`,
 * `fail WRITER NUMBER CODE`; beside it a watch that says `seen REVISION` and `lost CODE`, and then watches again. Arguments: directory, writers, bytes of a value, first number. Each write is one transaction of three keys.
 */
import { isAttuneError, type Revision } from '../../src/core/provider.ts';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';

const [directory = '', writers = '1', bytes = '100', first = '0'] = process.argv.slice(2);

const provider = new EmbeddedProvider(directory);
await provider.open();
const head = await provider.head('');
process.stdout.write(`open ${head}\n`);

async function follow(position: Revision): Promise<void> {
  let last = position;
  for (;;) {
    try {
      for await (const batch of provider.watch('', { after: last, signal: new AbortController().signal })) {
        last = batch.revision;
        process.stdout.write(`seen - - ${last}\n`);
      }
    } catch (error) {
      process.stdout.write(`lost - - ${codeOf(error)}\n`);
      await pause();
    }
  }
}

function codeOf(error: unknown): string {
  return isAttuneError(error) ? error.code : String(error);
}

/** A failing disk answers at once: without a pause this would only fill the pipe. */
async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20));
}

void follow(head);

await Promise.all(
  Array.from({ length: Number(writers) }, async (_, writer) => {
    const value = new Uint8Array(Number(bytes)).fill(0x61 + (writer % 26));
    for (let number = Number(first); ; number++) {
      const operations = ['a', 'b', 'c'].map((part) => ({ type: 'put' as const, key: `w${writer}/${number}/${part}`, value }));
      try {
        const revision = await provider.commit({ checks: [], operations });
        process.stdout.write(`ack ${writer} ${number} ${revision}\n`);
      } catch (error) {
        process.stdout.write(`fail ${writer} ${number} ${codeOf(error)}\n`);
        await pause();
      }
    }
  }),
);
