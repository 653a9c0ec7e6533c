import { join } from 'node:path';
import { collectedMemory, startAttune, type Memory } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { fillAttune, keyAt, sendAll } from '../support/fill.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { untilQuiet } from '../support/processor.ts';
import { attune } from '../support/requests.ts';
import type { Figure, Goal, ScenarioResult } from '../support/result.ts';

const PER_FOLDER = 1_000;

export const memoryKeys: Scenario = {
  name: 'memory-keys',
  title: 'memory of a key in the mirror',
  method:
    'The embedded store is filled by PUTs, 64 at a time; then a node is started over it, and one over an empty store. Heap and buffers after a collection, the difference of the two for each key: the mirror, and what the window of changes keeps of the last writes. Beside it: the same when every key was read once, and the resident memory. 100,000 keys with values of 100 bytes, 20,000 with values of 2,000.',
  run,
};

interface Size {
  readonly keys: number;
  readonly valueBytes: number;
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const sizes: readonly Size[] = [
    { keys: bench.size(100_000, 10_000), valueBytes: 100 },
    { keys: bench.size(20_000, 4_000), valueBytes: 2_000 },
  ];
  const load = await LoadProcess.start(bench);
  const figures: Figure[] = [];
  const goals: Goal[] = [];
  for (const { keys, valueBytes } of sizes) {
    const folder = join(await bench.folder(), 'data');
    bench.options.progress(`writing ${keys} keys with values of ${valueBytes} bytes`);
    const writer = await startAttune(bench, { args: ['--data-dir', folder] });
    await fillAttune(load, { port: writer.port, keys, perFolder: PER_FOLDER, bytes: valueBytes });
    await writer.end('SIGTERM');
    const gets = Array.from({ length: keys }, (_, index) => attune.get(keyAt(index, PER_FOLDER)));
    const rounds = await bench.alternate({
      full: async () => memoryOf(bench, folder, async (port) => sendAll(load, port, gets, 32)),
      empty: async () => memoryOf(bench, join(await bench.folder(), 'data'), async () => undefined),
    });
    const perKey = (pick: (memory: Memory) => number, state: keyof Measured): readonly number[] =>
      rounds.full.map((full, round) => (pick(full[state]) - pick(rounds.empty[round]?.[state] ?? full[state])) / keys);
    const heapOf = ({ heapUsed, external }: Memory): number => heapUsed + external;
    const heap = perKey(heapOf, 'fresh');
    const what = `per key, values of ${valueBytes} bytes`;
    figures.push(
      { party: 'Attune', what: `heap and buffers ${what}`, unit: 'bytes', rounds: heap },
      { party: 'Attune', what: `the same when every key was read once, ${what}`, unit: 'bytes', rounds: perKey(heapOf, 'read') },
      { party: 'Attune', what: `resident ${what}`, unit: 'bytes', rounds: perKey(({ rss }) => rss, 'fresh') },
    );
    goals.push({ what: `heap and buffers ${what}`, unit: 'bytes', limit: { atMost: 1_000 + 2 * valueBytes }, rounds: heap });
  }
  return {
    figures,
    goals,
    distributions: [],
    notes: bench.options.isQuick ? sizes.map(({ keys, valueBytes }) => `${keys} keys of ${valueBytes} bytes.`) : [],
  };
}

/** After a collection each. */
interface Measured {
  readonly fresh: Memory;
  readonly read: Memory;
}

async function memoryOf(bench: Bench, folder: string, read: (port: number) => Promise<void>): Promise<Measured> {
  const server = await startAttune(bench, { args: ['--data-dir', folder], canCollect: true });
  await untilQuiet(server.pid);
  const fresh = await collectedMemory(server);
  await read(server.port);
  const after = await collectedMemory(server);
  await server[Symbol.asyncDispose]();
  return { fresh, read: after };
}
