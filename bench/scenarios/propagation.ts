import { startAttune } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import type { WatchedPuts } from '../support/load/watch-latency.ts';
import { distributionOf, timeFigures } from '../support/measure.ts';
import { askOnce, attune } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';
import { ascending, quantile, ratios } from '../support/statistics.ts';
import { startEtcd } from '../support/stores.ts';

const KEY = 'bench/propagation';

export const propagation: Scenario = {
  name: 'propagation',
  title: 'put -> SDK callback through etcd, other node',
  method:
    'Two nodes over one etcd. PUT to the first, one after the other; time from the moment before it is sent until the listener of an SDK client of the second node is called. In alternation: a put to the same etcd by the etcd3 package until the listener of its watch is called. Writer and listener are one process.',
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const etcdServer = await startEtcd(bench);
  const args = ['--provider', `etcd://${etcdServer.host}/app/config`];
  const [first, second] = [await startAttune(bench, { args }), await startAttune(bench, { args })];
  const [sdk, raw] = [await LoadProcess.start(bench), await LoadProcess.start(bench)];
  await askOnce(first.port, attune.put(KEY, 'begin'));
  await sdk.do('watch', { by: 'sdk', url: second.url, key: KEY });
  await raw.do('watch', { by: 'etcd3', host: etcdServer.host, key: 'elsewhere/propagation' });

  const by = (load: LoadProcess, puts: WatchedPuts) => async (): Promise<readonly number[]> =>
    ascending((await load.do('watchedPuts', puts)).times);
  const count = bench.size(500, 200);
  const rounds = await bench.alternate({ attune: by(sdk, { count, port: first.port }), raw: by(raw, { count }) });
  const at = (of: readonly (readonly number[])[], share: number): readonly number[] => of.map((times) => quantile(times, share));
  return {
    figures: [...timeFigures('Attune', 'put to callback', rounds.attune), ...timeFigures('raw etcd watch', 'put to callback', rounds.raw)],
    goals: [
      {
        what: "p50, of a raw etcd watch's",
        unit: 'x',
        limit: { atMost: 1.5 },
        rounds: ratios(at(rounds.attune, 0.5), at(rounds.raw, 0.5)),
      },
    ],
    distributions: [distributionOf('put to callback through etcd', { Attune: rounds.attune, 'raw etcd watch': rounds.raw })],
  };
}
