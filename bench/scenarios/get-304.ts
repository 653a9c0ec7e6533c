import { startAttune } from '../support/attune-server.ts';
import { answerLike, startBare } from '../support/bare-process.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { fillAttune, keyAt } from '../support/fill.ts';
import { LoadProcess } from '../support/load/load-process.ts';
import { distributionOf, loadFigures, measureLoad, type LoadRound } from '../support/measure.ts';
import { askOnce, attune } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';
import { ratios } from '../support/statistics.ts';
import type { ServerProcess } from '../support/server-process.ts';

const KEYS = 100;
const CONNECTIONS = 32;

export const getNotModified: Scenario = {
  name: 'get-304',
  title: 'GET 304',
  method: `${KEYS} keys asked for in turn with If-None-Match and their own ETag over ${CONNECTIONS} connections; a bare node:http server answers with the same bytes (304, no body).`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const load = await LoadProcess.start(bench);
  const [server, bare] = [await startAttune(bench), await startBare(bench)];
  await fillAttune(load, { port: server.port, keys: KEYS, perFolder: KEYS });
  const requests: string[] = [];
  for (let index = 0; index < KEYS; index++) {
    const key = keyAt(index, KEYS);
    const { head } = await askOnce(server.port, attune.get(key));
    requests.push(attune.get(key, { 'If-None-Match': /\r\netag: (.+)/i.exec(head)?.[1] ?? '' }));
  }
  await answerLike(bare, await askOnce(server.port, requests[0] ?? ''));

  const by =
    ({ pid, port }: ServerProcess) =>
    async (): Promise<LoadRound> =>
      measureLoad(load, { pid, port, requests, connections: CONNECTIONS, statuses: [304], durationMs: bench.size(4_000, 1_000) });
  const rounds = await bench.alternate({ attune: by(server), bare: by(bare) });
  return {
    figures: [...loadFigures('Attune', rounds.attune), ...loadFigures('bare node:http', rounds.bare)],
    goals: [
      {
        what: 'requests/s, of bare node:http with the same bytes',
        unit: 'x',
        limit: { atLeast: 0.85 },
        rounds: ratios(
          rounds.attune.map(({ perSecond }) => perSecond),
          rounds.bare.map(({ perSecond }) => perSecond),
        ),
      },
    ],
    distributions: [
      distributionOf('GET 304', {
        Attune: rounds.attune.map(({ latencies }) => latencies),
        'bare node:http': rounds.bare.map(({ latencies }) => latencies),
      }),
    ],
  };
}
