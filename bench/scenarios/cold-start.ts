import { join } from 'node:path';
import { startAttune } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { fillAttune, fillEtcd, keyAt, sendAll, valueAt } from '../support/fill.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { timeRawList } from '../support/raw-list.ts';
import { etcd } from '../support/requests.ts';
import type { Figure, Goal, ScenarioResult } from '../support/result.ts';
import { ratios } from '../support/statistics.ts';
import { startEtcd } from '../support/stores.ts';

const PER_FOLDER = 1_000;
const PREFIX = 'app/config/';
/** A node replays the last revisions into its window, 4,096 of them: one key each, as people change them, not the hundred of a transaction of the filling. */
const LATER_CHANGES = 5_000;

export const coldStart: Scenario = {
  name: 'cold-start',
  title: '100,000 keys, ready to serve',
  method: `From the start of the process 'attune serve' until /readyz says so, with values of about 100 bytes, over the embedded store (filled by PUTs, 64 at a time) and over etcd (plain keys as another tool writes them, the last ${LATER_CHANGES} revisions of one key each). In alternation: a program that opens the same store with the same provider and lists the same keys, from the start of its process to its last item.`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const keys = bench.size(100_000, 10_000);
  const load = await LoadProcess.start(bench);
  const folder = join(await bench.folder(), 'data');
  bench.options.progress(`writing ${keys} keys to an embedded store and to etcd`);
  const writer = await startAttune(bench, { args: ['--data-dir', folder] });
  await fillAttune(load, { port: writer.port, keys, perFolder: PER_FOLDER });
  await writer.end('SIGTERM');
  const etcdServer = await startEtcd(bench);
  await fillEtcd(load, { port: etcdServer.port, keys, perFolder: PER_FOLDER }, 'app/config');
  const changes = Array.from({ length: LATER_CHANGES }, (_, index) =>
    etcd.put(`app/config/${keyAt(index, PER_FOLDER)}`, valueAt(index + 1)),
  );
  await sendAll(load, etcdServer.port, changes, 64);

  const rounds = await bench.alternate({
    'Attune over the embedded store': async () => timeStart(bench, ['--data-dir', folder]),
    'raw list of the embedded store': async () => timeRawList(bench, { folder }, PREFIX),
    'Attune over etcd': async () => timeStart(bench, ['--provider', `etcd://${etcdServer.host}/app/config`]),
    'raw list of etcd': async () => timeRawList(bench, { etcd: etcdServer.host }, PREFIX),
  });
  const goal = (store: 'the embedded store' | 'etcd'): Goal => ({
    what: `process start to ready, of a raw list of ${store}`,
    unit: 'x',
    limit: { atMost: 1.5 },
    rounds: ratios(rounds[`Attune over ${store}`], rounds[`raw list of ${store}`]),
  });
  return {
    figures: Object.entries(rounds).map(([party, times]): Figure => ({
      party,
      what: 'from the start of the process',
      unit: 'ms',
      rounds: times,
    })),
    goals: [goal('the embedded store'), goal('etcd')],
    distributions: [],
    notes: keys === 100_000 ? [] : [`With ${keys} keys.`],
  };
}

async function timeStart(bench: Bench, args: readonly string[]): Promise<number> {
  const begin = performance.now();
  const server = await startAttune(bench, { args });
  const tookMs = performance.now() - begin;
  // In order, so that no store is left to be repaired in the next round.
  await server.end('SIGTERM');
  return tookMs;
}
