import { startAttune } from '../support/attune-server.ts';
import { answerLike, startBare } from '../support/bare-process.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { fillConsul, fillEtcd } from '../support/fill.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { distributionOf, loadFigures, measureLoad, type LoadRound, type TimedLoad } from '../support/measure.ts';
import { askOnce, attune, consul } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';
import { ratios } from '../support/statistics.ts';
import { startConsul, startEtcd } from '../support/stores.ts';

const PER_FOLDER = 100;
const FOLDERS_READ = 50;
const CONNECTIONS = 8;

export const list: Scenario = {
  name: 'list',
  title: `list of ${PER_FOLDER} items of 100,000`,
  method: `Folders of ${PER_FOLDER} keys of about 100 bytes, ${FOLDERS_READ} of them listed in turn over ${CONNECTIONS} connections. Attune over an etcd that holds the keys (read from the mirror); Consul with the same keys, GET /v1/kv/FOLDER/?recurse; a bare node:http server that answers with the bytes of one of Attune's lists.`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const keys = bench.size(100_000, 10_000);
  const load = await LoadProcess.start(bench);
  const [bare, consulServer, etcdServer] = [await startBare(bench), await startConsul(bench), await startEtcd(bench)];
  bench.options.progress(`writing ${keys} keys to etcd and Consul`);
  await fillEtcd(load, { port: etcdServer.port, keys, perFolder: PER_FOLDER }, 'app/config');
  await fillConsul(load, { port: consulServer.port, keys, perFolder: PER_FOLDER });
  const server = await startAttune(bench, { args: ['--provider', `etcd://${etcdServer.host}/app/config`] });
  const folders = Array.from(
    { length: FOLDERS_READ },
    (_, index) => `bench/folder-${Math.floor((index * keys) / PER_FOLDER / FOLDERS_READ)}/`,
  );
  const own = folders.map((folder) => attune.list(folder, PER_FOLDER));
  const answer = await askOnce(server.port, own[0] ?? '');
  const { items } = JSON.parse(answer.body) as { readonly items: readonly unknown[] };
  if (items.length !== PER_FOLDER) throw new Error(`a list has ${items.length} items instead of ${PER_FOLDER}`);
  await answerLike(bare, answer);

  const by = (target: Pick<TimedLoad, 'pid' | 'port' | 'requests'>) => async (): Promise<LoadRound> =>
    measureLoad(load, { ...target, connections: CONNECTIONS, durationMs: bench.size(4_000, 1_000) });
  const rounds = await bench.alternate({
    attune: by({ pid: server.pid, port: server.port, requests: own }),
    consul: by({ pid: consulServer.pid, port: consulServer.port, requests: folders.map(consul.list) }),
    bare: by({ pid: bare.pid, port: bare.port, requests: own }),
  });
  const perSecond = (of: readonly LoadRound[]): readonly number[] => of.map((round) => round.perSecond);
  return {
    figures: [
      ...loadFigures('Attune', rounds.attune),
      ...loadFigures('Consul', rounds.consul),
      ...loadFigures('bare node:http', rounds.bare),
      { party: 'Attune', what: 'requests, of bare node:http', unit: 'x', rounds: ratios(perSecond(rounds.attune), perSecond(rounds.bare)) },
    ],
    goals: [
      {
        what: 'requests/s, of Consul recurse of the same keys',
        unit: 'x',
        limit: { atLeast: 2 },
        rounds: ratios(perSecond(rounds.attune), perSecond(rounds.consul)),
      },
    ],
    distributions: [
      distributionOf(`list of ${PER_FOLDER} items`, {
        Attune: rounds.attune.map(({ latencies }) => latencies),
        Consul: rounds.consul.map(({ latencies }) => latencies),
        'bare node:http': rounds.bare.map(({ latencies }) => latencies),
      }),
    ],
    notes: keys === 100_000 ? [] : [`Of ${keys} keys.`],
  };
}
