import { CHANGES, measureAudience, WITHIN_MS, type Audience, type AudienceRound } from '../support/audience.ts';
import { startAttune } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { consulAudience } from '../support/consul-audience.ts';
import { LoadProcess, requireConnections } from '../support/load/load-process.ts';
import { distributionOf, timeFigures } from '../support/measure.ts';
import { askOnce, attune, renderRequest } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';
import { quantile, ratios } from '../support/statistics.ts';

const POLLS = 5_000;
const KEY = 'bench/long-poll';

export const longPolls: Scenario = {
  name: 'long-polls',
  title: 'one change to 5,000 long-polls on one key',
  method: `${POLLS} connections with one held request each; ${CHANGES} changes a round, each when all are held again; time from the moment before the write is sent until each has its answer. Consul: blocking queries on one key.`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  requireConnections(POLLS);
  const audiences = { attune: await ownAudience(bench), consul: await consulAudience(bench, POLLS) };
  const by = (audience: Audience) => async (): Promise<AudienceRound> => measureAudience(audience, POLLS);
  const rounds = await bench.alternate({ attune: by(audiences.attune), consul: by(audiences.consul) });
  const arrivalsOf = (of: readonly AudienceRound[]): readonly (readonly number[])[] => of.map(({ arrivals }) => arrivals);
  const at = (of: readonly AudienceRound[], share: number): readonly number[] => of.map(({ arrivals }) => quantile(arrivals, share));
  const processor = (party: string, of: readonly AudienceRound[]) => ({
    party,
    what: 'processor time of the server per change and poll',
    unit: 'µs' as const,
    rounds: of.map(({ processorMicros }) => processorMicros),
  });
  return {
    figures: [
      ...timeFigures('Attune', 'answer', arrivalsOf(rounds.attune)),
      processor('Attune', rounds.attune),
      ...timeFigures('Consul', 'answer', arrivalsOf(rounds.consul)),
      processor('Consul', rounds.consul),
    ],
    goals: [
      {
        what: "p99 of the answers, of Consul's",
        unit: 'x',
        limit: { atMost: 1 },
        rounds: ratios(at(rounds.attune, 0.99), at(rounds.consul, 0.99)),
      },
    ],
    distributions: [
      distributionOf('one change to 5,000 long-polls', { Attune: arrivalsOf(rounds.attune), Consul: arrivalsOf(rounds.consul) }),
    ],
  };
}

async function ownAudience(bench: Bench): Promise<Audience> {
  const load = await LoadProcess.start(bench);
  const server = await startAttune(bench, { args: ['--provider', 'memory:'] });
  await askOnce(server.port, attune.put(KEY, 'begin'));
  await load.do('open', { port: server.port, count: POLLS, requests: [], withinMs: WITHIN_MS });
  return {
    pid: server.pid,
    load,
    prepare: async () => {
      const { version } = JSON.parse((await askOnce(server.port, attune.get(KEY))).body) as { readonly version: number };
      await load.do('send', { request: renderRequest({ path: `/api/v1/configs/${KEY}?watch&version=${version}&wait=2m` }) });
    },
    change: (value) => ({ port: server.port, request: attune.put(KEY, value), marker: value }),
  };
}
