import { startAttune } from '../support/attune-server.ts';
import { answerLike, startBare } from '../support/bare-process.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { fillAttune, fillConsul, fillEtcd, keyAt } from '../support/fill.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { distributionOf, loadFigures, measureLoad, type LoadRound, type TimedLoad } from '../support/measure.ts';
import { askOnce, attune, consul, etcd } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';
import { ratios } from '../support/statistics.ts';
import { startConsul, startEtcd } from '../support/stores.ts';

const KEYS = 1_000;
const CONNECTIONS = 32;

export const getItem: Scenario = {
  name: 'get-item',
  title: `GET item, ${CONNECTIONS} connections`,
  method: `${KEYS} keys of about 100 bytes read in turn over ${CONNECTIONS} connections, each sending its next request when the answer to the last one is complete. Attune with default settings over its embedded store; a bare node:http server that answers with the same bytes; Consul's GET /v1/kv/KEY; etcd's POST /v3/kv/range.`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const load = await LoadProcess.start(bench);
  const [server, bare, consulServer, etcdServer] = [
    await startAttune(bench),
    await startBare(bench),
    await startConsul(bench),
    await startEtcd(bench),
  ];
  const filling = { keys: KEYS, perFolder: 100 };
  await fillAttune(load, { ...filling, port: server.port });
  await fillConsul(load, { ...filling, port: consulServer.port });
  await fillEtcd(load, { ...filling, port: etcdServer.port }, 'app/config');
  const keys = Array.from({ length: KEYS }, (_, index) => keyAt(index, filling.perFolder));
  const own = keys.map((key) => attune.get(key));
  await answerLike(bare, await askOnce(server.port, own[0] ?? ''));

  const by = (target: Pick<TimedLoad, 'pid' | 'port' | 'requests'>) => async (): Promise<LoadRound> =>
    measureLoad(load, { ...target, connections: CONNECTIONS, durationMs: bench.size(4_000, 1_000) });
  const rounds = await bench.alternate({
    attune: by({ pid: server.pid, port: server.port, requests: own }),
    bare: by({ pid: bare.pid, port: bare.port, requests: own }),
    consul: by({ pid: consulServer.pid, port: consulServer.port, requests: keys.map(consul.get) }),
    etcd: by({ pid: etcdServer.pid, port: etcdServer.port, requests: keys.map((key) => etcd.get(`app/config/${key}`)) }),
  });
  const perSecond = (of: readonly LoadRound[]): readonly number[] => of.map((round) => round.perSecond);
  const against = (of: readonly LoadRound[]): readonly number[] => ratios(perSecond(rounds.attune), perSecond(of));
  return {
    figures: [
      ...loadFigures('Attune', rounds.attune),
      ...loadFigures('bare node:http', rounds.bare),
      ...loadFigures('Consul', rounds.consul),
      ...loadFigures('etcd gateway', rounds.etcd),
    ],
    goals: [
      { what: 'requests/s, of bare node:http with the same bytes', unit: 'x', limit: { atLeast: 0.8 }, rounds: against(rounds.bare) },
      { what: 'requests/s, of Consul KV GET', unit: 'x', limit: { atLeast: 1.7 }, rounds: against(rounds.consul) },
      { what: "requests/s, of etcd's JSON gateway", unit: 'x', limit: { atLeast: 5 }, rounds: against(rounds.etcd) },
    ],
    distributions: [
      distributionOf(`GET item, ${CONNECTIONS} connections`, {
        Attune: rounds.attune.map(({ latencies }) => latencies),
        'bare node:http': rounds.bare.map(({ latencies }) => latencies),
        Consul: rounds.consul.map(({ latencies }) => latencies),
        'etcd gateway': rounds.etcd.map(({ latencies }) => latencies),
      }),
    ],
  };
}
