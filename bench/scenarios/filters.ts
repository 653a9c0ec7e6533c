import { startAttune } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { loadFigures, measureLoad, type LoadRound } from '../support/measure.ts';
import { attune, renderRequest } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';
import type { ServerProcess } from '../support/server-process.ts';

const FILTERS = 50_000;
/** As many as one request may name. */
const PER_STREAM = 100;
const VALUES = 8;
const CONNECTIONS = 8;
/** Before the first round, so that both servers run compiled code. */
const WARM_UP = 3_000;

const keyOf = (index: number): string => `bench/filter-${String(index).padStart(6, '0')}`;

export const filters: Scenario = {
  name: 'filters',
  title: 'one change with 50,000 distinct key filters registered, one matching',
  method: `${FILTERS / PER_STREAM} streams with ${PER_STREAM} key filters each, all of them different; one key is written again and again over ${CONNECTIONS} connections. Processor time of the server per write, less that of another server, in alternation, which has no stream: what the matching, the rendering and the one frame cost. The write itself is in both.`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const load = await LoadProcess.start(bench);
  const [watched, alone] = [
    await startAttune(bench, { args: ['--provider', 'memory:'] }),
    await startAttune(bench, { args: ['--provider', 'memory:'] }),
  ];
  const requests = Array.from({ length: FILTERS / PER_STREAM }, (_, stream) => {
    const keys = Array.from({ length: PER_STREAM }, (_, index) => `key=${keyOf(stream * PER_STREAM + index)}`);
    return renderRequest({ path: `/api/v1/watch?${keys.join('&')}` });
  });
  await load.do('open', { port: watched.port, count: requests.length, requests, readyMarker: 'event: synced', withinMs: 60_000 });
  const key = keyOf(FILTERS / 2);
  const marker = 'the-one-that-matches';
  // The one that has to hear does, and no other is waited for.
  await load.do('change', { port: watched.port, request: attune.put(key, marker), marker, listeners: 1, withinMs: 10_000 });

  const writes = Array.from({ length: VALUES }, (_, index) => attune.put(key, `value ${index}`));
  for (const { port } of [watched, alone]) {
    const requests = Array.from({ length: WARM_UP }, (_, index) => writes[index % VALUES] ?? '');
    await load.do('requests', { port, requests, connections: CONNECTIONS, statuses: [200, 201], until: 'each-once' });
  }
  const by =
    ({ pid, port }: ServerProcess) =>
    async (): Promise<LoadRound> =>
      measureLoad(load, {
        pid,
        port,
        requests: writes,
        connections: CONNECTIONS,
        statuses: [200, 201],
        durationMs: bench.size(5_000, 2_000),
      });
  const rounds = await bench.alternate({ watched: by(watched), alone: by(alone) });
  const difference = rounds.watched.map(
    ({ processorMicros }, round) => processorMicros - (rounds.alone[round]?.processorMicros ?? Number.NaN),
  );
  return {
    figures: [...loadFigures(`Attune, ${FILTERS} filters`, rounds.watched), ...loadFigures('Attune, nobody watching', rounds.alone)],
    goals: [{ what: 'processor time of a change beyond its write', unit: 'µs', limit: { atMost: 100 }, rounds: difference }],
    distributions: [],
  };
}
