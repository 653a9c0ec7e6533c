import { join } from 'node:path';
import { collectedMemory, metricOf, startAttune, type Memory } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { fillAttune } from '../support/fill.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { untilQuiet } from '../support/processor.ts';
import type { Figure, Goal, ScenarioResult } from '../support/result.ts';

export const memoryKeys: Scenario = {
  name: 'memory-keys',
  title: 'memory of a key in the mirror',
  method:
    'The embedded store is filled by PUTs, 64 at a time; then a node is started over it, and one over an empty store. Heap and buffers after a collection, the difference of the two, less what the window of changes says it holds, for each key. Beside it: the same of the resident memory. 100,000 keys with values of 100 bytes, 20,000 with values of 2,000.',
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
    await fillAttune(load, { port: writer.port, keys, perFolder: 1_000, bytes: valueBytes });
    await writer.end('SIGTERM');
    const rounds = await bench.alternate({
      full: async () => memoryOf(bench, folder),
      empty: async () => memoryOf(bench, join(await bench.folder(), 'data')),
    });
    const perKey = (pick: (memory: Memory) => number, isWindowLeftOut: boolean): readonly number[] =>
      rounds.full.map(({ memory, window }, round) => {
        const empty = rounds.empty[round];
        if (!empty) throw new Error(`round ${round} has no node over an empty store`);
        return (pick(memory) - pick(empty.memory) - (isWindowLeftOut ? window - empty.window : 0)) / keys;
      });
    const heap = perKey(({ heapUsed, external }) => heapUsed + external, true);
    const what = `per key, values of ${valueBytes} bytes`;
    figures.push(
      { party: 'Attune', what: `heap and buffers ${what}`, unit: 'bytes', rounds: heap },
      {
        party: 'Attune',
        what: `the same with the window of changes ${what}`,
        unit: 'bytes',
        rounds: perKey(({ heapUsed, external }) => heapUsed + external, false),
      },
      { party: 'Attune', what: `resident ${what}`, unit: 'bytes', rounds: perKey(({ rss }) => rss, false) },
    );
    goals.push({ what: `heap and buffers ${what}`, unit: 'bytes', limit: { atMost: 1_024 + 2 * valueBytes }, rounds: heap });
  }
  return {
    figures,
    goals,
    distributions: [],
    notes: bench.options.isQuick ? sizes.map(({ keys, valueBytes }) => `${keys} keys of ${valueBytes} bytes.`) : [],
  };
}

async function memoryOf(bench: Bench, folder: string): Promise<{ readonly memory: Memory; readonly window: number }> {
  const server = await startAttune(bench, { args: ['--data-dir', folder], canCollect: true });
  await untilQuiet(server.pid);
  const window = await metricOf(server, 'attune_window_bytes');
  const memory = await collectedMemory(server);
  await server[Symbol.asyncDispose]();
  return { memory, window };
}
