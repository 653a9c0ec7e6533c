import { CHANGES, measureAudience, WITHIN_MS, type Audience, type AudienceRound } from '../support/audience.ts';
import { longestDelay, startAttune } from '../support/attune-server.ts';
import { startBare } from '../support/bare-process.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { consulAudience } from '../support/consul-audience.ts';
import { LoadProcess, requireConnections } from '../support/load/load-process.ts';
import { distributionOf, timeFigures } from '../support/measure.ts';
import { attune, renderRequest } from '../support/requests.ts';
import type { Distribution, Figure, Goal, ScenarioResult } from '../support/result.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { quantile, ratios } from '../support/statistics.ts';

const SIZES = [5_000, 10_000];
const KEY = 'bench/fan-out';

interface MeteredRound extends AudienceRound {
  /** The server's event loop was held up so long at most; of Attune only. */
  readonly delayMs?: number;
}

export const fanOut: Scenario = {
  name: 'fan-out',
  title: 'one change to 5,000 and 10,000 SSE streams',
  method: `Streams of one prefix, all open from one load process; ${CHANGES} changes a round, one after the other when the server has become quiet; time from the moment before the write is sent until each stream has read the change. The bare loop: a node:http server that writes the same frame to every stream in one loop when it is told to. Consul: as many blocking queries on one key, sent again after each change. Beside it: how long the server's event loop was held up at most meanwhile.`,
  run,
};

async function run(bench: Bench): Promise<ScenarioResult> {
  const figures: Figure[] = [];
  const goals: Goal[] = [];
  const distributions: Distribution[] = [];
  for (const streams of bench.options.isQuick ? SIZES.slice(0, 1) : SIZES) {
    requireConnections(streams);
    bench.options.progress(`opening ${streams} streams each`);
    const audiences = {
      attune: await ownAudience(bench, streams),
      bare: await bareAudience(bench, streams),
      consul: await consulAudience(bench, streams),
    };
    const by = (audience: Audience) => async (): Promise<MeteredRound> => measureAudience(audience, streams);
    const { server } = audiences.attune;
    const metered = async (): Promise<MeteredRound> => {
      await longestDelay(server);
      const round = await measureAudience(audiences.attune, streams);
      return { ...round, delayMs: await longestDelay(server) };
    };
    const rounds = await bench.alternate({ attune: metered, bare: by(audiences.bare), consul: by(audiences.consul) });
    const named = { Attune: rounds.attune, 'bare loop': rounds.bare, 'Consul blocking queries': rounds.consul };
    const size = streams.toLocaleString('en');
    for (const [party, measured] of Object.entries(named)) {
      figures.push(
        ...timeFigures(
          party,
          `arrival at ${size} streams`,
          measured.map(({ arrivals }) => arrivals),
        ),
        {
          party,
          what: `processor time of the server per change and stream, ${size} streams`,
          unit: 'µs',
          rounds: measured.map(({ processorMicros }) => processorMicros),
        },
      );
    }
    goals.push({
      what: `${size} streams, longest delay of the event loop`,
      unit: 'ms',
      limit: { atMost: 20 },
      rounds: rounds.attune.map(({ delayMs = Number.NaN }) => delayMs),
    });
    for (const share of [0.5, 0.99]) {
      const at = (of: readonly AudienceRound[]): readonly number[] => of.map(({ arrivals }) => quantile(arrivals, share));
      const what = `${size} streams, p${share * 100} of arrival, of`;
      goals.push(
        { what: `${what} the bare loop's`, unit: 'x', limit: { atMost: 1.15 }, rounds: ratios(at(rounds.attune), at(rounds.bare)) },
        { what: `${what} Consul's`, unit: 'x', limit: { atMost: 1 }, rounds: ratios(at(rounds.attune), at(rounds.consul)) },
      );
    }
    const arrivalsOf = (of: readonly AudienceRound[]): readonly (readonly number[])[] => of.map(({ arrivals }) => arrivals);
    distributions.push(
      distributionOf(`one change to ${size} streams`, {
        Attune: arrivalsOf(rounds.attune),
        'bare loop': arrivalsOf(rounds.bare),
        'Consul blocking queries': arrivalsOf(rounds.consul),
      }),
    );
    for (const { load } of Object.values(audiences)) await load[Symbol.asyncDispose]();
  }
  return { figures, goals, distributions };
}

async function ownAudience(bench: Bench, streams: number): Promise<Audience & { readonly server: ServerProcess }> {
  const load = await LoadProcess.start(bench);
  const server = await startAttune(bench, { args: ['--provider', 'memory:'], metersDelay: true });
  const requests = [renderRequest({ path: `/api/v1/watch?prefix=bench/` })];
  await load.do('open', { port: server.port, count: streams, requests, readyMarker: 'event: synced', withinMs: WITHIN_MS });
  return { server, pid: server.pid, load, change: (marker) => ({ port: server.port, request: attune.put(KEY, marker), marker }) };
}

async function bareAudience(bench: Bench, streams: number): Promise<Audience> {
  const load = await LoadProcess.start(bench);
  const bare = await startBare(bench);
  await load.do('open', {
    port: bare.port,
    count: streams,
    requests: [renderRequest({ path: '/stream' })],
    readyMarker: 'event: synced',
    withinMs: WITHIN_MS,
  });
  const frame = (marker: string): string =>
    `id: 5a8c256bfd15e5b9-3\nevent: change\ndata: {"revision":3,"changes":[{"type":"updated","key":"${KEY}","oldValue":"change-00000000","newValue":"${marker}","version":3,"timestamp":"2026-11-21T10:44:49.074Z","metadata":{},"contentType":"application/json"}]}\n\n`;
  return {
    pid: bare.pid,
    load,
    change: (marker) => ({ port: bare.port, request: renderRequest({ method: 'PUT', path: '/broadcast', body: frame(marker) }), marker }),
  };
}
