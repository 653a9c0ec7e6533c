import { startAttune } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { keyAt, valueAt } from '../support/fill.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { distributionOf, loadFigures, measureLoad, type LoadRound, type TimedLoad } from '../support/measure.ts';
import { attune, consul, etcd } from '../support/requests.ts';
import type { Distribution, Figure, Goal, ScenarioResult } from '../support/result.ts';
import { ratios } from '../support/statistics.ts';
import { startConsul, startEtcd } from '../support/stores.ts';

const KEYS = 1_000;
/** So that a value differs from the one before it: a store may leave out a write that changes nothing. */
const VALUES = 7;

export const put: Scenario = {
  name: 'put',
  title: 'PUT, embedded store, 1 and 64 writers',
  method: `${KEYS} keys written in turn, values of about 100 bytes that differ from the ones before, over 1 connection and over 64. Attune over its embedded store; Consul's PUT /v1/kv/KEY; etcd's POST /v3/kv/put; each a single node whose answer says that the write is on the disk.`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const load = await LoadProcess.start(bench);
  const [server, consulServer, etcdServer] = [await startAttune(bench), await startConsul(bench), await startEtcd(bench)];
  const writes = Array.from({ length: KEYS * VALUES }, (_, index): readonly [string, string] => [keyAt(index % KEYS, 100), valueAt(index)]);
  const targets = {
    attune: { pid: server.pid, port: server.port, requests: writes.map(([key, value]) => attune.put(key, JSON.parse(value))) },
    consul: { pid: consulServer.pid, port: consulServer.port, requests: writes.map(([key, value]) => consul.put(key, value)) },
    etcd: { pid: etcdServer.pid, port: etcdServer.port, requests: writes.map(([key, value]) => etcd.put(`app/config/${key}`, value)) },
  };
  // Compiled code and files as they are after a while, also for the one writer who writes little.
  for (const { port, requests } of Object.values(targets)) {
    await load.do('requests', { port, requests, connections: 64, statuses: [200, 201], until: 'each-once' });
  }
  const figures: Figure[] = [];
  const goals: Goal[] = [];
  const distributions: Distribution[] = [];
  for (const writers of [1, 64]) {
    const by = (target: Pick<TimedLoad, 'pid' | 'port' | 'requests'>) => async (): Promise<LoadRound> =>
      measureLoad(load, { ...target, connections: writers, statuses: [200, 201], durationMs: bench.size(4_000, 1_500) });
    const rounds = await bench.alternate({ attune: by(targets.attune), consul: by(targets.consul), etcd: by(targets.etcd) });
    const named = { Attune: rounds.attune, Consul: rounds.consul, etcd: rounds.etcd };
    const who = writers === 1 ? '1 writer' : `${writers} writers`;
    for (const [party, measured] of Object.entries(named)) figures.push(...loadFigures(party, measured, `, ${who}`));
    const perSecond = (of: readonly LoadRound[]): readonly number[] => of.map((round) => round.perSecond);
    for (const other of ['Consul', 'etcd'] as const) {
      const against = ratios(perSecond(rounds.attune), perSecond(named[other]));
      goals.push({ what: `writes/s of ${who}, of ${other}'s`, unit: 'x', limit: { atLeast: 1 }, rounds: against });
    }
    distributions.push(
      distributionOf(`PUT, ${who}`, {
        Attune: rounds.attune.map(({ latencies }) => latencies),
        Consul: rounds.consul.map(({ latencies }) => latencies),
        etcd: rounds.etcd.map(({ latencies }) => latencies),
      }),
    );
  }
  return { figures, goals, distributions };
}
